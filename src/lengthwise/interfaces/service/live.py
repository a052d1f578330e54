"""What the live page shows of the recent past: observed against predicted, error, events.

Every observation is predicted before it is learnt, so the errors are those of the future. The
record is bounded: a few hundred points, and the error series gets coarser as it gets longer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TARGETS = ("ttft", "tpot")
RECENT, POINTS, EVENTS = 300, 240, 200
"""Observations per target, points of the error series, events kept."""
ROWS_PER_POINT = 50


class LiveRecord:
    """Bounded memory of predictions and outcomes, written as the document ``live``.

    Examples
    --------
    >>> record = LiveRecord()
    >>> record.add("ttft", [1.0], [0.10], [0.09], [0.05], [0.2])
    >>> record.to_dict()["recent"]["ttft"]["predicted_ms"]
    [90.0]
    """

    def __init__(self) -> None:
        self._recent: dict[str, deque[tuple[float, ...]]] = {
            t: deque(maxlen=RECENT) for t in TARGETS
        }
        self._error: dict[str, list[tuple[float, float, float]]] = {t: [] for t in TARGETS}
        self._rows_per_point = dict.fromkeys(TARGETS, ROWS_PER_POINT)
        self._pending: dict[str, list[tuple[float, bool]]] = {t: [] for t in TARGETS}
        self.events: deque[dict[str, Any]] = deque(maxlen=EVENTS)

    def add(
        self, target: str, time_s: Any, observed_s: Any, predicted_s: Any, lo_s: Any, hi_s: Any,
        believed: Any = None,
    ) -> None:  # fmt: skip
        """Add rows, each (n,); those without an observation (NaN) are left out.

        The error and coverage are those of rows that were ``believed``, bool (n,).
        """
        table = np.array([time_s, observed_s, predicted_s, lo_s, hi_s], dtype=np.float64).T
        fine = np.isfinite(table).all(axis=1)
        believed = np.ones(len(table), dtype=bool) if believed is None else np.asarray(believed)
        table, believed = table[fine], believed[fine]
        if not len(table):
            return
        self._recent[target].extend(tuple(row) for row in table[-RECENT:].tolist())
        if not believed.any():
            return
        time, observed, predicted, lo, hi = table[believed].T
        error = np.abs(predicted - observed) / np.maximum(observed, 1e-9)
        inside = (observed >= lo) & (observed <= hi)
        self._pending[target] += zip(error.tolist(), inside.tolist(), strict=True)
        if len(self._pending[target]) >= self._rows_per_point[target]:
            self._point(target, float(time[-1]))

    def event(self, time_s: float, kind: str, target: str = "", **detail: Any) -> None:
        """Note something that happened."""
        self.events.append({"time_s": time_s, "kind": kind, "target": target, "detail": detail})

    def forget(self, *, recent: bool = False, error: bool = False) -> None:
        """Drop what a flush names."""
        for target in TARGETS:
            if recent:
                self._recent[target].clear()
            if error:
                self._error[target].clear()
                self._pending[target].clear()
                self._rows_per_point[target] = ROWS_PER_POINT

    def to_dict(self) -> dict[str, Any]:
        """Write as the document of the live page: times in seconds, latencies in ms."""
        return {
            "recent": {t: self._recent_columns(t) for t in TARGETS},
            "error": {t: self._error_columns(t) for t in TARGETS},
            "rows_per_point": dict(self._rows_per_point),
            "events": list(self.events),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | None) -> LiveRecord:
        """Go on from a document; one that does not fit is forgotten."""
        record = cls()
        try:
            record._restore(data or {})
        except (KeyError, TypeError, ValueError):
            return cls()
        return record

    def _restore(self, data: Mapping[str, Any]) -> None:
        self.events.extend(data.get("events", []))
        for target in TARGETS:
            recent = data.get("recent", {}).get(target)
            if recent:
                columns = [recent["time_s"], *([v * 1e-3 for v in recent[name]] for name in
                           ("observed_ms", "predicted_ms", "lo_ms", "hi_ms"))]  # fmt: skip
                self._recent[target].extend(zip(*columns, strict=True))
            error = data.get("error", {}).get(target)
            if error:
                self._error[target] = list(zip(error["time_s"], error["median_percent"],
                                               error["coverage_percent"], strict=True))  # fmt: skip
            self._rows_per_point[target] = int(data.get("rows_per_point", {}).get(target, 50))

    def _point(self, target: str, time_s: float) -> None:
        errors, inside = zip(*self._pending[target], strict=True)
        self._pending[target] = []
        series = self._error[target]
        series.append((time_s, 100.0 * float(np.median(errors)), 100.0 * float(np.mean(inside))))
        if len(series) > POINTS:
            self._error[target] = series[1::2]
            self._rows_per_point[target] *= 2

    def _recent_columns(self, target: str) -> dict[str, list[float]]:
        table = np.array(self._recent[target], dtype=np.float64).reshape(-1, 5)
        names = ("observed_ms", "predicted_ms", "lo_ms", "hi_ms")
        found = {"time_s": np.round(table[:, 0], 3).tolist()}
        return found | {n: np.round(1e3 * table[:, i], 4).tolist() for i, n in enumerate(names, 1)}

    def _error_columns(self, target: str) -> dict[str, list[float]]:
        names = ("time_s", "median_percent", "coverage_percent")
        table = np.array(self._error[target], dtype=np.float64).reshape(-1, 3)
        return {n: np.round(table[:, i], 3).tolist() for i, n in enumerate(names)}
