"""Prometheus text: samples by name and labels, and the histograms among them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lengthwise.errors import FileFormatError

Labels = tuple[tuple[str, str], ...]

_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)\s*(\{.*\})?\s+(\S+)(?:\s+-?\d+)?")
_LABEL = re.compile(r'\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
_ESCAPE = re.compile(r"\\[\\\"n]")


@dataclass(frozen=True)
class Histogram:
    """A histogram, summed over whatever labels it had.

    Attributes
    ----------
    total, count
        Sum of the values observed and their number: their mean is exact.
    buckets
        Values up to each upper bound, cumulative, by bound; infinity is the last.
    """

    total: float
    count: float
    buckets: Mapping[float, float] = field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """Mean of the values, None without any."""
        return self.total / self.count if self.count > 0 else None

    def quantile_bounds(self, q: float) -> tuple[float, float] | None:
        """Give the bucket a quantile lies in; nothing is interpolated.

        >>> Histogram(3.0, 4, {0.5: 1, 1.0: 3, float("inf"): 4}).quantile_bounds(0.5)
        (0.5, 1.0)
        """
        below = 0.0
        for bound in sorted(self.buckets):
            if self.count > 0 and self.buckets[bound] >= q * self.count:
                return below, bound
            below = bound
        return None

    def minus(self, earlier: Histogram) -> Histogram | None:
        """Give what was added since; None if the counter began anew in between."""
        total, count = self.total - earlier.total, self.count - earlier.count
        buckets = {b: n - earlier.buckets.get(b, 0.0) for b, n in self.buckets.items()}
        if count < 0 or total < -1e-9 or any(n < 0 for n in buckets.values()):
            return None
        return Histogram(max(total, 0.0), count, buckets)


@dataclass(frozen=True)
class Metrics:
    """Samples of one scrape: values by labels, by name."""

    samples: Mapping[str, Mapping[Labels, float]]
    types: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str) -> float | None:
        """Give a counter or gauge, summed over its labels; None if it is absent."""
        found = self.samples.get(name)
        return sum(found.values()) if found else None

    def histogram(self, name: str) -> Histogram | None:
        """Give a histogram, summed over its labels; None if it is absent."""
        total, count = self.value(f"{name}_sum"), self.value(f"{name}_count")
        if total is None or count is None:
            return None
        buckets: dict[float, float] = {}
        for labels, value in self.samples.get(f"{name}_bucket", {}).items():
            bound = _number(dict(labels).get("le", ""))
            if bound is not None:
                buckets[bound] = buckets.get(bound, 0.0) + value
        return Histogram(total, count, buckets)

    @property
    def histograms(self) -> list[str]:
        """Names of the histograms, in the order of the text."""
        return [name for name, kind in self.types.items() if kind == "histogram"]

    def labels(self, name: str) -> list[dict[str, str]]:
        """Give the sets of labels of a sample, for example to find the model."""
        return [dict(labels) for labels in self.samples.get(name, {})]


def parse(text: str) -> Metrics:
    r"""Read Prometheus text.

    Raises
    ------
    FileFormatError
        If a line is neither a sample nor a comment.

    Examples
    --------
    >>> metrics = parse('# TYPE t histogram\nt_bucket{le="1"} 1\nt_sum 4.5\nt_count 3\n')
    >>> metrics.histogram("t").mean, metrics.histograms
    (1.5, ['t'])
    """
    samples: dict[str, dict[Labels, float]] = {}
    types: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith("#"):
            words = line.split()
            if len(words) == 4 and words[1] == "TYPE":
                types[words[2]] = words[3]
        elif line:
            name, labels, value = _sample(line, number)
            samples.setdefault(name, {})[labels] = value
    return Metrics(samples, types)


def _sample(line: str, number: int) -> tuple[str, Labels, float]:
    line = line.partition(" # ")[0] if " # {" in line else line  # an exemplar of OpenMetrics
    match = _SAMPLE.fullmatch(line)
    value = _number(match[3]) if match else None
    labels = _labels(match[2][1:-1]) if match and match[2] else ()
    if match is None or value is None or labels is None:
        raise FileFormatError(
            "each line of Prometheus text must be a sample or a comment",
            got=f"line {number}: {line[:60]!r}", remedy="save the page of /metrics as it is",
        )  # fmt: skip
    return match[1], labels, value


def _labels(text: str) -> Labels | None:
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _LABEL.match(text, at)
        if match is None:
            return None
        found.append((match[1], _ESCAPE.sub(lambda m: _ESCAPES[m[0]], match[2])))
        at = match.end()
    return tuple(found)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
