"""Rows of JSON objects to columns of numbers, quickly; None where a row is not ordinary.

Ordinary means: every required name there, numbers only (no strings, no booleans, no null),
inside their bounds, integers integral. Whatever else is decided by the exact path
(`exact_rows`), which is slower and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from lengthwise.interfaces.http.fields import Field
from lengthwise.units import FloatArray

NUMBERS = frozenset({int, float})
TEXTS = frozenset({str, type(None)})

Columns = dict[str, Any]
"""Name of `RouterRows` (or ttft_ms, tpot_ms, osl) to an array of shape (n,)."""


class RowPlan:
    """How to turn rows of given fields into columns.

    Examples
    --------
    >>> from lengthwise.interfaces.http.fields import NATIVE
    >>> plan = RowPlan(NATIVE)
    >>> plan.columns([{"input_tokens": 512}, {"input_tokens": 4096}])["input_tokens"]
    array([ 512., 4096.])
    >>> plan.columns([{"input_tokens": "512"}]) is None
    True
    """

    def __init__(self, fields: Iterable[Field]) -> None:
        self.fields = tuple(fields)
        self._names = [field.name for field in self.fields]
        self._all = itemgetter(*self._names)
        self._upper = np.array([field.upper for field in self.fields])[:, None]
        self._counts = np.array([i for i, f in enumerate(self.fields) if f.kind == "count"])

    def columns(self, rows: Sequence[Any]) -> Columns | None:
        """Columns of `rows`, shape (n,) each; None where the exact path must decide."""
        table = self._table(rows)
        if table is None or not ((table >= 0.0) & (table <= self._upper)).all():
            return None
        counts = table[self._counts]
        if (counts != np.floor(counts)).any():
            return None
        columns: Columns = dict(zip((f.column for f in self.fields), table, strict=True))
        for name in ("pod_type", "pod"):
            values = [row.get(name) for row in rows]
            if not TEXTS.issuperset(map(type, values)):
                return None
            columns[name] = texts(values)
        return columns

    def _table(self, rows: Sequence[Any]) -> FloatArray | None:
        try:
            flat: list[Any] = list(chain.from_iterable(map(self._all, rows)))
        except KeyError:
            found = [self._with_defaults(row) for row in rows]
            if None in found:
                return None
            flat = list(chain.from_iterable(found))  # type: ignore[arg-type]
        except TypeError:  # a row is not an object
            return None
        if not NUMBERS.issuperset(map(type, flat)):
            return None
        table = np.array(flat, dtype=np.float64).reshape(len(rows), len(self.fields))
        return np.ascontiguousarray(table.T)

    def _with_defaults(self, row: Any) -> list[Any] | None:
        if type(row) is not dict:
            return None
        try:
            return [row[f.name] if f.required else row.get(f.name, 0) for f in self.fields]
        except KeyError:
            return None


def texts(values: Sequence[str | None]) -> npt.NDArray[np.object_]:
    """Labels of rows, "" where there is none.

    >>> texts(["decode", None]).tolist()
    ['decode', '']
    """
    found = np.empty(len(values), dtype=object)
    found[:] = [value or "" for value in values]
    return found
