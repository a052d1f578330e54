"""Learn an online law from completed requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lengthwise.calibration.online.events import Event
from lengthwise.calibration.online.settings import LearnerSettings
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.formulations.online.rows import RouterRows


class OnlineLearner:
    """Learns from live traffic.

    Attributes
    ----------
    law
        The law learnt so far.
    events
        Changes noticed and made.
    """

    def __init__(
        self, settings: LearnerSettings | None = None, prior: OnlineLaw | None = None
    ) -> None:
        self.settings = settings or LearnerSettings()
        self.law = prior or OnlineLaw.cold()
        self.events: list[Event] = []

    def observe(self, rows: RouterRows, ttft_s: Any, tpot_s: Any, time_s: Any) -> None:
        """Learn from rows; NaN says nothing about that target."""

    def status(self) -> dict[str, Any]:
        """Plain JSON about the state."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON from which learning goes on exactly."""
        return {"settings": self.settings.to_dict(), "law": self.law.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OnlineLearner:
        """Read :meth:`to_dict` back."""
        settings = LearnerSettings.from_dict(data["settings"])
        return cls(settings, OnlineLaw.from_dict(data["law"]))
