"""Notice changes: Page-Hinkley for fast ones, ADWIN for slow ones, on standardised residuals.

Both come from river. They watch residuals of the law as it stood when it was last set, since a law
that follows would hide the change from them. Residuals are divided by their *long-run* standard
deviation: those of one server rise and fall together, and detectors made for independent numbers
would take every busy minute for a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.calibration.online.packing import pack, unpack
from lengthwise.errors import MissingExtraError
from lengthwise.units import FloatArray

CLIP = 3.0
"""Standardised residuals are cut here: single stalls are no change."""
PAGE_HINKLEY: dict[str, Any] = {
    "min_instances": 30, "delta": 0.3, "threshold": 32.0, "alpha": 1.0 - 1e-5,
}  # fmt: skip
PRIMED = 300.0
"""Residuals of a law just set have mean zero: believed as if so many rows had said so."""
ADWIN_DELTA = 1e-9
LEAST_PAST = 100
KEPT, REBUILT = 4000, 2000
"""ADWIN sees at most the last ``KEPT`` residuals; then it starts again from ``REBUILT``."""
STRETCH, STRETCHES = 64, 64
LEAST_VARIANCE, PRIOR_VARIANCE, PRIOR_STRETCHES = 0.5, 4.0, 8.0
DIGITS = 4


class Detector:
    """Two detectors and the residuals they look at.

    >>> rng = np.random.default_rng(0)
    >>> detector = Detector()
    >>> detector.update(rng.normal(size=2000))
    (-1, '')
    >>> detector.update(rng.normal(size=200) + 2.0)[0] < 60
    True
    """

    def __init__(self) -> None:
        self.recent = np.empty(0)
        self.variance = PRIOR_VARIANCE
        self.reset()

    def reset(self) -> None:
        """Begin again, keeping how residuals vary in the long run."""
        self.seen = np.empty(0)
        self._page_hinkley, _ = _river()
        self.restart_slow()

    def restart_slow(self) -> None:
        """Begin again with ADWIN only."""
        _, self._adwin = _river()
        self._slow_from = len(self.seen)

    def update(self, z: FloatArray) -> tuple[int, str]:
        """Look at standardised residuals in order; stop at a change.

        Returns
        -------
        position, name
            Where a change was found and by which detector; -1 and "" if none.
        """
        cut = np.clip(z, -CLIP, CLIP)
        scaled = np.round(cut / np.sqrt(self.variance), DIGITS)
        found = (-1, "")
        for i, value in enumerate(scaled.tolist()):
            self._page_hinkley.update(value)
            self._adwin.update(value)
            if self._page_hinkley.drift_detected:
                found = (i, "page_hinkley")
                break
            if self._adwin.drift_detected and self._has_past():
                found = (i, "adwin")
                break
        end = len(z) if found[0] < 0 else found[0] + 1
        self._remember(cut[:end], scaled[:end])
        return found

    def _has_past(self) -> bool:
        """Whether ADWIN has more than a moment to compare with."""
        return len(self.seen) > LEAST_PAST

    def _remember(self, cut: FloatArray, scaled: FloatArray) -> None:
        self.recent = np.append(self.recent, cut)[-STRETCH * STRETCHES :]
        self.seen = np.append(self.seen, scaled)
        if len(self.seen) > KEPT:
            self.seen = self.seen[-REBUILT:]
            self.restart_slow()
            self._read_again(0)

    def _read_again(self, start: int) -> None:
        self._slow_from = start
        for value in self.seen[start:].tolist():
            self._adwin.update(value)

    def change_point(self) -> int:
        """Rows since the change began, from the recent residuals (at least 5)."""
        tail = self.seen[-1000:]
        if len(tail) < 10:
            return max(len(tail), 1)
        n = np.arange(1, len(tail))
        total = np.cumsum(tail)
        gap = np.abs(total[-1] * n / len(tail) - total[:-1])
        score = gap / np.sqrt(n * (len(tail) - n) / len(tail))
        return int(max(len(tail) - n[int(score.argmax())], 5))

    def settle(self) -> None:
        """Estimate the long-run variance from means over stretches."""
        whole = len(self.recent) // STRETCH
        if whole < 4:
            return
        means = self.recent[-whole * STRETCH :].reshape(whole, STRETCH).mean(axis=1)
        centre = np.median(means)
        spread = float(np.mean((means - centre) ** 2)) * STRETCH
        estimate = (whole * spread + PRIOR_STRETCHES * PRIOR_VARIANCE) / (whole + PRIOR_STRETCHES)
        self.variance = float(max(estimate, LEAST_VARIANCE))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        ph = self._page_hinkley
        return {
            "recent": pack(self.recent), "seen": pack(self.seen), "variance": self.variance,
            "slow_from": self._slow_from,
            "page_hinkley": {
                "n": ph._x_mean.n, "mean": ph._x_mean._mean, "up": ph._sum_increase,
                "down": ph._sum_decrease, "low": None if np.isinf(ph._min_increase)
                else ph._min_increase, "high": ph._max_decrease,
            },
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Detector:
        """Read :meth:`to_dict` back; ADWIN reads its residuals again."""
        detector = cls()
        detector.recent, detector.seen = unpack(data["recent"]), unpack(data["seen"])
        detector.variance = float(data["variance"])
        detector._read_again(int(data["slow_from"]))
        ph, state = detector._page_hinkley, data["page_hinkley"]
        ph._x_mean.n, ph._x_mean._mean = state["n"], float(state["mean"])
        ph._sum_increase, ph._sum_decrease = float(state["up"]), float(state["down"])
        ph._min_increase = float("inf") if state["low"] is None else float(state["low"])
        ph._max_decrease = float(state["high"])
        return detector


def _river() -> tuple[Any, Any]:
    try:
        from river import drift
    except ImportError:
        raise MissingExtraError("river", "serve") from None
    detectors: Any = drift
    page_hinkley = detectors.PageHinkley(**PAGE_HINKLEY)
    page_hinkley._x_mean.update(0.0, PRIMED)
    return page_hinkley, detectors.ADWIN(delta=ADWIN_DELTA)
