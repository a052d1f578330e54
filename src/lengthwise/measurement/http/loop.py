"""An event loop that wakes on time, and how late it was.

epoll counts whole milliseconds, so an asyncio timer on Linux fires up to 1 ms late. An epoll
descriptor can itself be waited for with ``select``, which counts microseconds.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

SAMPLE_S = 0.01
MOST_CONNECTIONS, SPARE_FILES = 16_384, 64
MS_PER_NS = 1e-6


def new_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop whose timers are good to about 0.1 ms."""
    if hasattr(selectors, "EpollSelector"):
        return asyncio.SelectorEventLoop(_FineSelector())
    return asyncio.new_event_loop()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on such a loop; Ctrl-C cancels it, then raises.

    >>> run(asyncio.sleep(0.001, result=3))
    3
    """
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


def room_for_connections() -> int:
    """Give how many connections this process may open; its own limit is raised if it can be."""
    try:
        import resource
    except ImportError:  # no such limit on Windows
        return MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_CONNECTIONS + SPARE_FILES
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, soft - SPARE_FILES)


async def sleep_until(when_ns: int) -> None:
    """Sleep until ``time.perf_counter_ns()`` reaches a value; returns at once if it has passed."""
    left_s = (when_ns - time.perf_counter_ns()) * 1e-9
    if left_s > 0:
        await asyncio.sleep(left_s)


if hasattr(selectors, "EpollSelector"):

    class _FineSelector(selectors.EpollSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            if timeout is not None and timeout > 0:
                select.select([self.fileno()], [], [], timeout)
                timeout = 0
            return super().select(timeout)


class LagMeter:
    """How long work waits for the event loop, and how much CPU this process takes.

    A thread asks the loop 100 times a second to note the time; what passes between is the lag that
    any arriving byte suffers too. Use it as a context manager inside the running loop.

    Attributes
    ----------
    lags_ms
        Samples, milliseconds.
    """

    def __init__(self) -> None:
        self.lags_ms: list[float] = []
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> LagMeter:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.wall_s = time.perf_counter() - self._wall
        self.cpu_s = time.process_time() - self._cpu

    @property
    def cpu_share(self) -> float:
        """CPU time over wall time; 1.0 is one core kept busy."""
        return self.cpu_s / max(self.wall_s, 1e-9)

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            try:
                self._loop.call_soon_threadsafe(self._note, time.perf_counter_ns())
            except RuntimeError:  # the loop was closed under us
                return

    def _note(self, asked_ns: int) -> None:
        self.lags_ms.append((time.perf_counter_ns() - asked_ns) * MS_PER_NS)
