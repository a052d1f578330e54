"""What a prediction says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Regime = Literal["overhead", "memory", "compute", "capacity"]


@dataclass(frozen=True, repr=False)
class Estimate:
    """One predicted time with its interval and its standing.

    Attributes
    ----------
    latency_ms, lo_ms, hi_ms
        Point prediction and interval, milliseconds.
    level
        Nominal coverage of the interval, for example 0.9.
    in_domain
        Whether the point lies inside the region that was measured.
    extrapolation_factor
        Length asked for over the longest length measured (1 inside).
    regime
        What binds: ``overhead`` (launches, host), ``memory`` (reading weights or KV),
        ``compute`` (arithmetic) or ``capacity``.
    provenance
        Which law answered and what it was calibrated on.

    Examples
    --------
    >>> Estimate(12.0, 11.0, 13.5, 0.9, True, 1.0, "compute", "hachiya-patias, 24 rows").width_ms
    2.5
    """

    latency_ms: float
    lo_ms: float
    hi_ms: float
    level: float
    in_domain: bool
    extrapolation_factor: float
    regime: Regime
    provenance: str

    @property
    def width_ms(self) -> float:
        """Width of the interval, milliseconds."""
        return self.hi_ms - self.lo_ms

    def __contains__(self, latency_ms: float) -> bool:
        return self.lo_ms <= latency_ms <= self.hi_ms

    def __repr__(self) -> str:
        times = f"{self.latency_ms:.4g} ms, {self.level * 100:g} % in {self.lo_ms:.4g} to"
        where = "" if self.in_domain else f", {self.extrapolation_factor:.3g} x the longest length"
        return f"Estimate({times} {self.hi_ms:.4g} ms, bound by {self.regime}{where})"

    def to_dict(self) -> dict[str, Any]:
        """Give the same fields as a dictionary ready for JSON."""
        return asdict(self)
