"""What the client gives back: small frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Interval:
    """A time with its interval, milliseconds.

    Examples
    --------
    >>> Interval(200.0, 180.0, 230.0).width_ms
    50.0
    """

    value_ms: float
    lo_ms: float
    hi_ms: float

    @property
    def width_ms(self) -> float:
        """Width of the interval."""
        return self.hi_ms - self.lo_ms

    @classmethod
    def of(cls, row: Mapping[str, Any], target: str) -> Interval:
        """Read one target of an answer."""
        return cls(*(row[f"{target}{end}_ms"] for end in ("", "_lo", "_hi")))


@dataclass(frozen=True)
class Prediction:
    """Answer to one row.

    Attributes
    ----------
    ttft, tpot
        Time to first token, and per output token after it.
    e2e
        The whole request; None unless `osl` was given.
    in_domain, extrapolation_factor
        Whether the row lies inside the data learnt, and how many times beyond it.
    quantiles
        By target (`ttft_ms`, `tpot_ms`) and quantile, milliseconds; empty unless asked for.
    law_version, level
        Which law answered, and the level of the intervals.
    """

    ttft: Interval
    tpot: Interval
    e2e: Interval | None
    in_domain: bool
    extrapolation_factor: float
    quantiles: Mapping[str, Mapping[str, float]]
    law_version: int
    level: float

    @classmethod
    def of(cls, row: Mapping[str, Any], facts: Mapping[str, Any]) -> Prediction:
        """Read one answer of the service; `facts` holds what all rows share."""
        e2e = Interval.of(row, "e2e") if row.get("e2e_ms") is not None else None
        return cls(
            Interval.of(row, "ttft"), Interval.of(row, "tpot"), e2e, bool(row["in_domain"]),
            float(row["extrapolation_factor"]), row.get("quantiles", {}),
            int(facts["law_version"]), float(facts["level"]),
        )  # fmt: skip


@dataclass(frozen=True)
class Taken:
    """What became of observations."""

    accepted: int
    duplicates: int
    sequence: int


@dataclass(frozen=True)
class Law:
    """One version of the law."""

    version: int
    sha256: str
    created_at: str
    note: str
    size_bytes: int
    active: bool
