"""Time that never runs backwards, from a wall clock that may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lengthwise.formulations.online.law import OnlineLaw


class LivedTime:
    """Wall time made monotone: a step back of the clock is bridged, not followed.

    Attributes
    ----------
    offset_s
        Lived time minus wall time: what the steps back add up to.
    jumps
        Steps back seen.

    Examples
    --------
    >>> clock = LivedTime()
    >>> [clock.at(wall_s) for wall_s in (100.0, 101.0, 41.0, 42.0)]
    [100.0, 101.0, 101.0, 102.0]
    """

    def __init__(self, offset_s: float = 0.0, last_s: float | None = None, jumps: int = 0) -> None:
        self.offset_s, self.jumps = offset_s, jumps
        self._last_s = last_s

    def to_dict(self) -> dict[str, Any]:
        """Write as plain JSON."""
        return {"offset_s": self.offset_s, "last_s": self._last_s, "jumps": self.jumps}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | None) -> LivedTime:
        """Go on from what :meth:`to_dict` wrote."""
        return cls(**data) if data else cls()

    @classmethod
    def going_on(cls, data: Mapping[str, Any] | None, law: OnlineLaw) -> LivedTime:
        """Go on from what was written, or from the time that a law has reached."""
        if data:
            return cls.from_dict(data)
        reached_s = max(float(part.recent.at_s) for part in law.targets.values())
        return cls(last_s=reached_s if reached_s > 0 else None)

    def at(self, wall_s: float) -> float:
        """Give the lived time of a wall time."""
        lived = wall_s + self.offset_s
        if self._last_s is not None and lived < self._last_s:
            if self._last_s - lived > 1.0:  # workers stamp batches; less is their order
                self.offset_s += self._last_s - lived
                self.jumps += 1
            lived = self._last_s
        self._last_s = lived
        return lived
