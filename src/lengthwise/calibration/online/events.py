"""What a learner noticed or did, one record for each: nothing changes silently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("promoted", "kept", "rolled_back", "drift", "widened", "offset_refitted",
         "covariance_reset", "alarm", "replaced", "recovered", "correction_on",
         "correction_off")  # fmt: skip
"""Kinds of event."""


@dataclass(frozen=True)
class Event:
    """One change.

    Attributes
    ----------
    time_s
        Time of the observation that brought it.
    kind
        One of ``KINDS``.
    target
        "ttft" or "tpot".
    detail
        Numbers and words that belong to it, plain JSON.

    Examples
    --------
    >>> Event(5.0, "drift", "ttft", {"factor": 1.35}).to_dict()["detail"]
    {'factor': 1.35}
    """

    time_s: float
    kind: str
    target: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"time_s": self.time_s, "kind": self.kind, "target": self.target,
                "detail": dict(self.detail)}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Event:
        """Read :meth:`to_dict` back."""
        return cls(float(data["time_s"]), str(data["kind"]), str(data["target"]),
                   dict(data["detail"]))  # fmt: skip
