"""What one worker process holds: its store, its current law, and the trainer if it keeps one."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType

from lengthwise.interfaces.service.child import Child
from lengthwise.interfaces.service.current import CurrentLaw, follow
from lengthwise.interfaces.service.opening import open_store
from lengthwise.interfaces.service.private import private_folder
from lengthwise.interfaces.service.settings import ServiceSettings
from lengthwise.interfaces.service.store import ServiceUnavailable, Store

TRAINER = "lengthwise.interfaces.service.trainer_process"


class Runtime:
    """Open what a worker needs, and close it again.

    Parameters
    ----------
    settings
        Of the service.
    keep_trainer
        Start the trainer process and keep it alive. Of several processes on one state only one
        trains; the others stand by.

    Attributes
    ----------
    store
        None in the prediction role.
    current
        The law to answer from; it follows by itself.
    trainer
        The trainer's process, where this worker keeps one.
    """

    def __init__(self, settings: ServiceSettings, *, keep_trainer: bool = True) -> None:
        self.settings = settings
        with suppress(OSError):  # a full disk, or no permission: said by whoever needs it
            private_folder(settings.state)
        self.store: Store | None = open_store(settings) if settings.has_store else None
        self.current: CurrentLaw = follow(settings, self.store)
        keeps = keep_trainer and settings.has_store
        self.trainer = Child(TRAINER, settings) if keeps else None

    def start(self) -> None:
        """Follow the law, start the trainer."""
        self.current.start()
        if self.trainer is not None:
            self.trainer.start()

    def stop(self) -> None:
        """End the trainer, finish what was submitted, close the store."""
        if self.trainer is not None:
            self.trainer.stop()
        self.current.stop()
        if self.store is not None:
            with suppress(ServiceUnavailable):
                self.store.close()

    def __enter__(self) -> Runtime:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.stop()
