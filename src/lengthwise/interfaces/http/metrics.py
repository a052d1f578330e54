"""Prometheus metrics with HELP and TYPE; histograms take whole arrays at once.

A bulk answer holds thousands of values, so one observation of a histogram is one `searchsorted`
over all of them rather than a call for each. Bounds are those of vLLM's histograms of TTFT and
TPOT, so that predicted, observed and served times can be laid over each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from threading import Lock

import numpy as np

from lengthwise.units import FloatArray

TTFT_BOUNDS_S = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
)  # fmt: skip
TPOT_BOUNDS_S = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
)  # fmt: skip
REQUEST_BOUNDS_S = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0,
)  # fmt: skip

Labels = tuple[str, ...]
MOST_WAITING = 256
"""Observations that wait before they are sorted into buckets."""


class Counter:
    """Counts that only grow, one for each combination of labels.

    Examples
    --------
    >>> c = Counter("rows_total", "Rows.", ("result",))
    >>> c.add(3, "accepted")
    >>> c.lines()[-1]
    'rows_total{result="accepted"} 3'
    """

    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: Labels = ()) -> None:
        self.name, self.help, self.labels = name, help_text, labels
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}
        self._lock = Lock()

    def add(self, amount: float, *values: str) -> None:
        """Add to the count of these label values."""
        with self._lock:
            self._values[values] = self._values.get(values, 0.0) + amount

    def value(self, *values: str) -> float:
        """Present count."""
        return self._values.get(values, 0.0)

    def lines(self) -> list[str]:
        """Text of this metric, HELP and TYPE first."""
        with self._lock:
            found = dict(self._values)
        return [
            *head(self.name, self.kind, self.help),
            *(sample(self.name, zip(self.labels, k, strict=True), v) for k, v in found.items()),
        ]


class Histogram:
    """Counts of values up to each bound, for each combination of labels.

    Examples
    --------
    >>> h = Histogram("wait_seconds", "Wait.", (0.1, 1.0))
    >>> h.observe(np.array([0.1, 0.5, 3.0]))
    >>> h.lines()[2:4]
    ['wait_seconds_bucket{le="0.1"} 1', 'wait_seconds_bucket{le="1.0"} 2']
    """

    def __init__(
        self, name: str, help_text: str, bounds: Sequence[float], labels: Labels = ()
    ) -> None:
        self.name, self.help, self.labels = name, help_text, labels
        self._bounds = np.asarray(bounds, dtype=np.float64)
        self._counts: dict[Labels, FloatArray] = {}
        self._sums: dict[Labels, float] = {}
        self._waiting: dict[Labels, list[FloatArray]] = {}
        self._single: dict[Labels, list[float]] = {}
        self._lock = Lock()
        if not labels:
            self._counts[()], self._sums[()] = self._zeros(), 0.0

    def _zeros(self) -> FloatArray:
        return np.zeros(len(self._bounds) + 1)

    def observe(self, values: FloatArray, *labels: str) -> None:
        """Take values, shape (n,), in the unit of the bounds; those not finite are left out."""
        with self._lock:
            waiting = self._waiting.setdefault(labels, [])
            waiting.append(values)
            if len(waiting) >= MOST_WAITING or len(values) >= MOST_WAITING:
                self._settle()

    def observe_one(self, value: float, *labels: str) -> None:
        """Take one value."""
        with self._lock:
            waiting = self._single.setdefault(labels, [])
            waiting.append(value)
            if len(waiting) >= MOST_WAITING:
                self._settle()

    def _settle(self) -> None:
        """Sort what waits into the buckets: many calls at once cost little more than one."""
        for labels in {*self._waiting, *self._single}:
            parts = self._waiting.pop(labels, [])
            values = np.concatenate([*parts, self._single.pop(labels, [])])
            values = values[np.isfinite(values)]
            if labels not in self._counts:
                self._counts[labels], self._sums[labels] = self._zeros(), 0.0
            places = self._bounds.searchsorted(values)
            self._counts[labels] += np.bincount(places, minlength=len(self._bounds) + 1)
            self._sums[labels] += float(values.sum())

    def lines(self) -> list[str]:
        """Text of this metric, HELP and TYPE first."""
        with self._lock:
            self._settle()
            found = {k: (v.copy(), self._sums[k]) for k, v in self._counts.items()}
        lines = head(self.name, "histogram", self.help)
        for values, (counts, total) in found.items():
            pairs = list(zip(self.labels, values, strict=True))
            bounds = [*(repr(float(b)) for b in self._bounds), "+Inf"]
            for bound, count in zip(bounds, counts.cumsum(), strict=True):
                lines.append(sample(f"{self.name}_bucket", [*pairs, ("le", bound)], count))
            lines.append(sample(f"{self.name}_sum", pairs, total))
            lines.append(sample(f"{self.name}_count", pairs, counts.sum()))
        return lines


def gauge(
    name: str, help_text: str, values: Mapping[Labels, float], labels: Labels = ()
) -> list[str]:
    """Text of a gauge read at this moment.

    >>> gauge("up", "Whether it is up.", {(): 1.0})[-1]
    'up 1'
    """
    return [
        *head(name, "gauge", help_text),
        *(sample(name, zip(labels, k, strict=True), v) for k, v in values.items()),
    ]


def head(name: str, kind: str, help_text: str) -> list[str]:
    """HELP and TYPE lines."""
    return [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]


def sample(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    """Write one line of the text format.

    >>> sample("a", [("b", "c")], 1.5)
    'a{b="c"} 1.5'
    """
    inner = ",".join(f'{name}="{escaped(text)}"' for name, text in labels)
    return f"{name}{{{inner}}} {number(value)}" if inner else f"{name} {number(value)}"


def escaped(text: str) -> str:
    """Label value as the text format wants it."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def number(value: float) -> str:
    """Write a number as the text format wants it: integers without a point.

    >>> number(3.0), number(0.25), number(float("inf"))
    ('3', '0.25', '+Inf')
    """
    value = float(value)
    if value != value or abs(value) == float("inf"):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
