"""``lengthwise serve``: bind, start the workers and the trainer, and end everything in order.

One worker runs in this process; several are processes that share the listening socket. The trainer
is always a process of its own. On SIGTERM or an interrupt requests in flight are answered, what was
accepted is written, the trainer saves what it learnt, and nothing is left behind. When this process
is killed, its children notice and end.
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lengthwise.interfaces.service.addresses import without_secrets
from lengthwise.interfaces.service.child import Child
from lengthwise.interfaces.service.private import keep_private
from lengthwise.interfaces.service.runtime import TRAINER, Runtime
from lengthwise.interfaces.service.server import listen, make_server, uvicorn
from lengthwise.interfaces.service.settings import ServiceSettings

WORKER = "lengthwise.interfaces.service.worker_process"
INTERRUPTED = 130


def serve(settings: ServiceSettings) -> int:
    """Serve until a signal ends it; gives the exit code."""
    keep_private()
    uvicorn()  # say what is missing before anything is started
    with listen(settings) as listening:
        settings = settings.with_options(port=listening.getsockname()[1])
        if not settings.is_local and not settings.tokens:
            print(f"warning: {settings.host} is reachable from other machines and no token is"
                  " asked for; anybody there can read and write (see --tokens-file)",
                  file=sys.stderr, flush=True)  # fmt: skip
        return _serve_many(settings, listening) if settings.workers > 1 else _serve_here(
            settings, listening)  # fmt: skip


def start_line(settings: ServiceSettings) -> str:
    """Say where the service is and where its state is.

    >>> from pathlib import Path
    >>> start_line(ServiceSettings(state=Path("/var/lib/x"), llm_d=True))
    'lengthwise serves http://127.0.0.1:8000 (llm-d and native API, role both), state in /var/lib/x'
    """
    api = "llm-d and native API" if settings.llm_d else "native API"
    if not settings.has_store:
        where = f"laws from {settings.trainer_place}"
    elif settings.database:
        place = without_secrets(settings.database)
        where = f"state in PostgreSQL at {place.partition('://')[2] or place}"
    else:
        where = f"state in {settings.state}"
    return f"lengthwise serves {settings.url} ({api}, role {settings.role}), {where}"


def _serve_here(settings: ServiceSettings, listening: socket.socket) -> int:
    server: Any = None

    def end(again: bool) -> None:
        if server is not None:
            server.should_exit = True
            server.force_exit = again

    with signals(end) as got, Runtime(settings) as runtime:
        server = make_server(settings, runtime, lambda: _say(settings))
        if not got:
            server.run(sockets=[listening])
    return _code(got)


def _serve_many(settings: ServiceSettings, listening: socket.socket) -> int:
    ended = threading.Event()
    with (
        signals(lambda _again: ended.set()) as got,
        Runtime(settings, keep_trainer=False) as runtime,
    ):
        make_server(settings, runtime)  # what is wrong with the settings is said here, once
        fd = listening.fileno()
        children = [Child(WORKER, settings, [str(fd)], [fd]) for _ in range(settings.workers)]
        if settings.has_store:
            children.append(Child(TRAINER, settings))
        for child in children:
            child.start()
        _say(settings)
        while not ended.wait(1.0):
            pass
        for child in children:
            child.end()
        for child in children:
            child.stop()
    return _code(got)


@contextmanager
def signals(end: Callable[[bool], None]) -> Iterator[list[int]]:
    """Call ``end`` on SIGTERM and interrupts (True from the second on); gives those that came."""
    got: list[int] = []

    def handle(number: int, _frame: Any) -> None:
        got.append(number)
        end(len(got) > 1)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(settings: ServiceSettings) -> None:
    print(start_line(settings), flush=True)


def _code(got: list[int]) -> int:
    return INTERRUPTED if signal.SIGINT in got else 0 if got else 1
