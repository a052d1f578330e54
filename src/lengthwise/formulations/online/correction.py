"""Learned correction in tables: boosted trees of two features each, added up.

Trees that may split on two features only (Lou et al. 2013, GA2M) sum to one table per pair of
features. A prediction is then a look-up per pair, some hundred times faster than walking the trees,
and a table cell without data can be seen and set to zero: no value where nothing was learnt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from lengthwise.formulations.online.context import Context, array, rising
from lengthwise.units import FloatArray

FEATURES = ("input_tokens", "uncached", "prefill_in_flight", "waiting", "running", "kv_share",
            "type")  # fmt: skip
PAIRS = tuple(combinations(range(len(FEATURES)), 2))
_FIRST = np.array([i for i, _ in PAIRS])
_SECOND = np.array([j for _, j in PAIRS])
FADE = 3.0
"""The correction falls to exp(-(FADE d)^2) at d doublings outside the data."""
LARGEST = 1.5
"""Largest correction, in logarithms."""


@dataclass(frozen=True)
class Correction:
    """Tables of a log correction.

    Attributes
    ----------
    edges
        Values that separate the classes of each feature, each (m,), rising.
    tables
        One table per pair of features in the order of ``PAIRS``, after one another.
    share
        How much of it is used, 0 to 1.
    """

    edges: tuple[FloatArray, ...]
    tables: FloatArray
    share: float = 1.0

    def shared(self, share: float) -> Correction:
        """Give the same correction, of which so much is used."""
        return Correction(self.edges, self.tables, share)

    @cached_property
    def _index(self) -> tuple[Any, Any]:
        sizes = np.array([len(e) + 1 for e in self.edges])
        starts = np.concatenate([[0], np.cumsum(sizes[_FIRST] * sizes[_SECOND])[:-1]])
        return sizes[_SECOND][:, None], starts[:, None]

    def at(self, context: Context) -> FloatArray:
        """Log correction of rows, faded outside the data, shape (n,)."""
        codes = encode(features(context), self.edges)
        stride, start = self._index
        at = codes[_FIRST]
        at *= stride
        at += codes[_SECOND]
        at += start
        total: FloatArray = self.tables.take(at).sum(axis=0)
        if context.distance is not None:
            total *= np.exp(-((FADE * context.distance) ** 2))
        np.clip(total, -LARGEST, LARGEST, out=total)
        return total if self.share == 1.0 else self.share * total

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "edges": [e.tolist() for e in self.edges],
            "tables": self.tables.tolist(),
            "share": self.share,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Correction:
        """Read :meth:`to_dict` back."""
        edges = tuple(rising(e, (None,)) for e in data["edges"])
        if len(edges) != len(FEATURES):
            raise ValueError(f"a correction has {len(FEATURES)} lists of edges")
        sizes = [len(e) + 1 for e in edges]
        tables = array(data["tables"], (sum(sizes[i] * sizes[j] for i, j in PAIRS),))
        share = float(data.get("share", 1.0))
        if not 0.0 <= share <= 1.0:
            raise ValueError("the share of a correction lies between 0 and 1")
        return cls(edges, tables, share)


def features(context: Context) -> tuple[FloatArray, ...]:
    """Numbers the correction looks at, one (n,) for every name in ``FEATURES``."""
    rows = context.rows
    return (
        rows.input_tokens, rows.input_tokens * (1.0 - rows.cached_share), rows.prefill_in_flight,
        rows.waiting, rows.running, rows.kv_share, context.types,
    )  # fmt: skip


def encode(values: tuple[FloatArray, ...], edges: tuple[FloatArray, ...]) -> Any:
    """Class of every value, shape (features, n).

    >>> encode((np.array([1.0, 9.0]),), (np.array([5.0]),))
    array([[0, 1]])
    """
    codes = np.empty((len(edges), len(values[0])), dtype=np.intp)
    for i, (value, edge) in enumerate(zip(values, edges, strict=True)):
        codes[i] = edge.searchsorted(value) if len(edge) else 0
    return codes
