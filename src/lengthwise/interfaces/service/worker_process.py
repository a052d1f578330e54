"""One of several workers: ``python -m lengthwise.interfaces.service.worker_process FD``.

Started by the service with the listening socket it inherited; ends when the service ends.
"""

from __future__ import annotations

import signal
import socket
import sys
from typing import Any

from lengthwise.interfaces.service.child import settings_from_parent
from lengthwise.interfaces.service.private import keep_private


def main() -> None:
    """Answer until the parent ends or a signal comes."""
    server: Any = None
    ending = False

    def end(*_: Any) -> None:
        nonlocal ending
        ending = True
        if server is not None:
            server.should_exit = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    keep_private()
    settings = settings_from_parent(end)
    from lengthwise.interfaces.service.runtime import Runtime
    from lengthwise.interfaces.service.server import make_server

    with Runtime(settings, keep_trainer=False) as runtime:
        server = make_server(settings, runtime)
        if not ending:
            server.run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
