"""The process of the trainer: ``python -m lengthwise.interfaces.service.trainer_process``.

Started by the service; ends when the service ends.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

from lengthwise.interfaces.service.child import settings_from_parent
from lengthwise.interfaces.service.private import keep_private


def main() -> None:
    """Learn until the parent ends or a signal comes."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    keep_private()
    settings = settings_from_parent(stop.set)
    with suppress(OSError):
        os.nice(5)  # answers go first
    from lengthwise.interfaces.service.opening import open_store
    from lengthwise.interfaces.service.trainer import Trainer

    store = open_store(settings)
    try:
        Trainer(settings, store).run(stop)
    finally:
        store.close()


if __name__ == "__main__":
    main()
