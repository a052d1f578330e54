"""Which rows are believed: those near the law, and those that most of their neighbours agree with.

A row whose residual is more than ``WIDE`` robust standard deviations from the law is *far*. Far
rows are set aside and neither move the law nor its quantiles, unless most of the latest rows, of
all pods or of the row's own, moved by about the same plausible factor: then it is a change. So up
to nearly half of the rows may say anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.calibration.online.packing import pack, unpack
from lengthwise.units import FloatArray

WIDE, LEAST, MOST = 5.0, 0.25, 3.0
"""Robust standard deviations at which a row is far, and bounds on what they come to (ln s)."""
COLD = 4.6
"""The same while nothing was learnt: a factor of 100."""
HOLD_ROWS, HOLD = 48, 0.35
"""Where so many of the latest rows are far, those that are near are not believed either."""
KEPT = 512
VOTERS, LEAST_VOTERS = 15, 8
"""Latest rows that say whether a pod, or all, have changed."""
PLAUSIBLE = 1.65
"""Largest change believed on the word of so few: a factor of 5 (ln)."""
ALIKE = 3.0
"""Rows of a change scatter at most so many times as much as rows of the law."""
LATEST = 300
"""Rows over which the share set aside is told."""
SUSPECT = 0.05
"""Share of rows set aside from which nothing told is sure."""
TAIL = 0.025
"""Share of far rows that may be the tail of an honest queue."""
UNITS = {60.0: "60", 1e3: "1000", 3600.0: "3600", 1e6: "a million"}
SLIP = 0.5
"""How near a factor must come to that of a unit (ln) to be called by it."""
_POD, _RESIDUAL, _SCALE, _FAR, _VALUE = range(5)


class Gate:
    """The latest rows of a target and which of them were believed.

    Examples
    --------
    >>> gate, pods = Gate(), np.zeros(40, dtype=int)
    >>> residual = np.r_[np.full(36, 0.01), np.full(4, 6.9)]
    >>> far = gate.far(pods, residual, np.full(40, 0.1), fitted=True)
    >>> int(far.sum()), gate.far(pods, np.full(40, 0.7), np.full(40, 0.1), fitted=True).any()
    (4, np.False_)
    """

    def __init__(self) -> None:
        self._rows = np.empty((5, 0))
        self._share = 0.0
        self._agreed = False

    def far(self, pods: Any, residual: FloatArray, sd: FloatArray, fitted: bool) -> Any:
        """Tell which rows are far and did not move with most others, bool (m,).

        Parameters
        ----------
        pods
            Positions of pod and type together, shape (m,).
        residual, sd
            Log residual of what is served, and its robust standard deviation, shape (m,).
        fitted
            Whether the law was fitted to anything yet.
        """
        wide = np.clip(WIDE * sd, LEAST, MOST) if fitted else np.full(len(sd), COLD)
        far = np.abs(residual) > wide
        self._agreed = False
        if not far.any() or not fitted:
            return far
        rows = np.concatenate([self._rows[:3], np.stack([pods, residual, sd])], axis=1)
        self._agreed = _moved(rows)
        if self._agreed:
            return np.zeros(len(far), dtype=bool)
        for pod in np.unique(pods[far]):
            if _moved(rows[:, rows[_POD] == pod]):
                far &= pods != pod
        return far

    @property
    def holds(self) -> bool:
        """Whether so many of the latest rows are far that no other is believed either."""
        return not self._agreed and self.far_of(HOLD_ROWS) > HOLD

    def note(
        self, pods: Any, residual: FloatArray, sd: FloatArray, far: Any, value: FloatArray
    ) -> None:
        """Remember rows, shape (m,) each; ``value`` is the logarithm of what was observed."""
        new = np.stack([pods, residual, sd, far, value])
        self._rows = np.concatenate([self._rows, new], axis=1)[:, -KEPT:]
        self._share = float(self._rows[_FAR, -LATEST:].mean())

    def forget(self) -> None:
        """Forget residuals, after the law has changed; what was set aside stays known."""
        self._rows[_RESIDUAL] = 0.0

    def forget_pods(self) -> None:
        """Forget which pod a row came from: positions have changed."""
        self._rows[_POD] = -1.0

    @property
    def share(self) -> float:
        """Share of the latest rows that were set aside."""
        return self._share

    @property
    def suspect(self) -> bool:
        """Whether so many rows are set aside that nothing told is sure."""
        return self._rows.shape[1] >= LEAST_VOTERS and self._share > SUSPECT

    def far_of(self, rows: int) -> float:
        """Share set aside of the last ``rows`` rows; 0 while there are fewer."""
        latest = self._rows[_FAR, -rows:]
        return float(latest.mean()) if len(latest) == rows else 0.0

    def typical(self, rows: int) -> float:
        """Median size of the residuals of the last ``rows`` rows."""
        latest = self._rows[_RESIDUAL, -rows:]
        return float(np.median(np.abs(latest))) if len(latest) else 0.0

    def tail(self) -> bool:
        """Whether far rows are few enough to be the tail of an honest queue."""
        return self._rows.shape[1] == 0 or float(self._rows[_FAR].mean()) <= TAIL

    def shared(self, value: FloatArray) -> Any:
        """How many of the latest rows have exactly these values, shape (m,)."""
        known = np.sort(self._rows[_VALUE])
        return known.searchsorted(value, "right") - known.searchsorted(value, "left")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"rows": pack(self._rows)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Gate:
        """Read :meth:`to_dict` back."""
        gate = cls()
        rows = unpack(data["rows"])
        if rows.ndim != 2 or len(rows) != 5 or not np.isfinite(rows).all():
            raise ValueError("a gate holds five finite numbers per row")
        gate._rows = rows
        gate._share = float(rows[_FAR, -LATEST:].mean()) if rows.shape[1] else 0.0
        return gate


def reason(target: str, residual: float, shared: int) -> str:
    """Say why a far row was set aside.

    >>> reason("ttft", 6.95, 0)
    'ttft_s is about 1000 times what such requests take: another unit?'
    >>> reason("ttft", 3.0, 40)
    'ttft_s is a value that many requests share, far from usual: a time-out?'
    """
    if abs(residual) < LEAST:
        return f"{target}_s came among many rows that contradict the law"
    if shared >= LEAST_VOTERS:
        return f"{target}_s is a value that many requests share, far from usual: a time-out?"
    times = "times" if residual > 0 else "times less than"
    for factor, name in UNITS.items():
        if abs(abs(residual) - np.log(factor)) < SLIP:
            return f"{target}_s is about {name} {times} what such requests take: another unit?"
    return f"{target}_s is far from what such requests take"


def _moved(rows: FloatArray) -> bool:
    """Whether most of the last rows moved together, by a factor that can be true."""
    last = rows[:, -VOTERS:]
    if last.shape[1] < LEAST_VOTERS:
        return False
    residual, scale = last[_RESIDUAL], last[_SCALE]
    middle = float(np.median(residual))
    usual = float(np.median(scale))
    scatter = 1.4826 * float(np.median(np.abs(residual - middle)))
    return abs(middle) <= PLAUSIBLE and scatter <= ALIKE * usual and abs(middle) > 2.0 * usual
