"""One thread that writes, so that callers who wait at the same time share one commit.

While a commit waits for the disk further batches gather; the next commit takes them all. The thread
ends with :meth:`GroupCommit.close` after everything submitted is answered.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from lengthwise.interfaces.service.store import Observed, Receipt, ServiceUnavailable

Write = Callable[[Sequence[Observed]], list[Receipt]]
_Item = tuple[Observed, "Future[Receipt]"]

MAX_BATCHES, MAX_BYTES = 256, 16 << 20
"""Of one commit."""


class GroupCommit:
    """Queue in front of a function that writes several batches in one transaction.

    Parameters
    ----------
    write
        Called in the thread of this object only.
    max_waiting_bytes
        Bodies that may wait; beyond it callers are told to come back.
    """

    def __init__(self, write: Write, max_waiting_bytes: int = 64 << 20) -> None:
        self._write, self._limit = write, max_waiting_bytes
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def waiting_bytes(self) -> int:
        """Bodies not answered yet."""
        return self._waiting

    def submit(self, batch: Observed) -> Future[Receipt]:
        """Queue a batch."""
        future: Future[Receipt] = Future()
        with self._lock:
            if self._closed:
                raise ServiceUnavailable("the service is stopping")
            if self._waiting and self._waiting + len(batch.body) > self._limit:
                raise ServiceUnavailable("too many observations wait to be written")
            self._waiting += len(batch.body)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
                self._thread.start()
            self._queue.put((batch, future))
        return future

    def close(self) -> None:
        """Write what waits and end the thread."""
        with self._lock:
            self._closed, thread = True, self._thread
            self._queue.put(None)
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            items, last = self._gather()
            if items:
                self._answer(items)
            if last:
                return

    def _gather(self) -> tuple[list[_Item], bool]:
        """Wait for one batch, then take all that are there up to the limits of one commit."""
        items: list[_Item] = []
        size = 0
        item = self._queue.get()
        while item is not None:
            items.append(item)
            size += len(item[0].body)
            if len(items) >= MAX_BATCHES or size >= MAX_BYTES:
                return items, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return items, False
        return items, True

    def _answer(self, items: Sequence[_Item]) -> None:
        try:
            receipts = self._write([batch for batch, _ in items])
        except BaseException as error:  # the callers hear of it; the thread goes on
            if len(items) > 1 and not isinstance(error, ServiceUnavailable):
                for item in items:  # one of them is bad: the others shall not suffer
                    self._answer([item])
                return
            self._done(items)
            for _, future in items:
                future.set_exception(error)
            return
        self._done(items)
        for (_, future), receipt in zip(items, receipts, strict=True):
            if future.set_running_or_notify_cancel():
                future.set_result(receipt)

    def _done(self, items: Sequence[_Item]) -> None:
        with self._lock:
            self._waiting -= sum(len(batch.body) for batch, _ in items)
