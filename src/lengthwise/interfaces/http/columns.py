"""Rows of JSON objects to columns of numbers, quickly; None where a row is not ordinary.

Ordinary means: every required name there, numbers only (no strings, no booleans, no null),
inside their bounds, integers integral. Whatever else is decided by the exact path
(`exact_rows`), which is slower and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from lengthwise.interfaces.http.fields import ID_LENGTH, LABEL_LENGTH, LABELS, Field
from lengthwise.units import FloatArray

NUMBERS = frozenset({int, float})
TEXTS = frozenset({str, type(None)})
REQUEST_ID = "request_id"
MOST_LAYOUTS = 64

Columns = dict[str, Any]
"""Name of `RouterRows` (or ttft_ms, tpot_ms, osl) to an array of shape (n,)."""


@dataclass(frozen=True)
class Layout:
    """How rows with one set of keys are read: which numbers they hold, in which places."""

    width: int
    numbers: Callable[[Any], tuple[Any, ...]]
    places: npt.NDArray[np.intp]
    labels: tuple[str, ...]


class RowPlan:
    """How to turn rows of given fields into columns.

    Rows of one body nearly always have the same keys, known ones only. That is so if each is as
    long as the first and has all its keys; then one `itemgetter` reads them without a lookup of
    defaults. Otherwise rows are read one by one.

    Parameters
    ----------
    fields
        Numbers of a row.
    texts
        Names of texts in it.
    ignored
        Other names it may have.
    strict
        Whether a name that is none of these must be decided by the exact path.

    Examples
    --------
    >>> from lengthwise.interfaces.http.fields import NATIVE
    >>> plan = RowPlan(NATIVE)
    >>> plan.columns([{"input_tokens": 512}, {"input_tokens": 4096}])["input_tokens"]
    array([ 512., 4096.])
    >>> plan.columns([{"input_tokens": "512"}]) is None
    True
    """

    def __init__(
        self, fields: Iterable[Field], texts: Sequence[str] = LABELS,
        ignored: Sequence[str] = (), *, strict: bool = False,
    ) -> None:  # fmt: skip
        self.fields, self._texts, self._ignored = tuple(fields), tuple(texts), tuple(ignored)
        self._strict = strict
        self._place = {field.name: i for i, field in enumerate(self.fields)}
        self._required = [field.name for field in self.fields if field.required]
        self._upper = np.array([field.upper for field in self.fields])[:, None]
        self._counts = np.array([i for i, f in enumerate(self.fields) if f.kind == "count"])
        self._known = {*self._place, *self._texts, *self._ignored}
        self._layouts: dict[tuple[str, ...], Layout] = {}

    def columns(self, rows: Sequence[Any]) -> Columns | None:
        """Columns of `rows`, shape (n,) each; None where the exact path must decide."""
        found: tuple[FloatArray, tuple[str, ...]] | None
        if not rows:
            found = np.zeros((len(self.fields), 0)), self._texts
        else:
            found = self._uniform(rows) or self._mixed(rows)
        if found is None:
            return None
        table, labels = found
        if not ((table >= 0.0) & (table <= self._upper)).all():
            return None
        counts = table[self._counts]
        if (counts != np.floor(counts)).any():
            return None
        columns: Columns = dict(zip((f.column for f in self.fields), table, strict=True))
        for name in self._texts:
            values = [row.get(name) for row in rows] if name in labels else []
            if not TEXTS.issuperset(map(type, values)) or not _short(name, values):
                return None
            columns[name] = texts(values) if values else blank(len(rows))
        return columns

    def _uniform(self, rows: Sequence[Any]) -> tuple[FloatArray, tuple[str, ...]] | None:
        if type(rows[0]) is not dict:
            return None
        layout = self._layout(tuple(rows[0]))
        try:
            if layout is None or set(map(len, rows)) != {layout.width}:
                return None
            if any(name not in row for name in layout.labels for row in rows):
                return None
            flat = list(chain.from_iterable(map(layout.numbers, rows)))
        except (KeyError, TypeError):  # other keys, or not an object
            return None
        if not NUMBERS.issuperset(map(type, flat)):
            return None
        found = np.array(flat, dtype=np.float64).reshape(len(rows), -1)
        table = np.zeros((len(self.fields), len(rows)))
        table[layout.places] = found.T
        return table, layout.labels

    def _layout(self, keys: tuple[str, ...]) -> Layout | None:
        """How rows with these keys are read; None where one is unknown: such are not remembered."""
        found = self._layouts.get(keys)
        if found is None and self._known.issuperset(keys):
            found = self._made(keys)
            if found is not None:
                if len(self._layouts) >= MOST_LAYOUTS:
                    self._layouts.clear()
                self._layouts[keys] = found
        return found

    def _made(self, keys: tuple[str, ...]) -> Layout | None:
        numbers = [key for key in keys if key in self._place]
        if not numbers or not set(self._required) <= set(numbers):
            return None
        labels = tuple(key for key in keys if key not in self._place)
        places = np.array([self._place[name] for name in numbers], dtype=np.intp)
        get = itemgetter(*numbers)
        return Layout(
            len(keys), get if len(numbers) > 1 else lambda row: (get(row),), places, labels
        )

    def _mixed(self, rows: Sequence[Any]) -> tuple[FloatArray, tuple[str, ...]] | None:
        if any(type(row) is not dict for row in rows):
            return None
        if self._strict and not all(row.keys() <= self._known for row in rows):
            return None
        table = np.zeros((len(self.fields), len(rows)))
        for i, field in enumerate(self.fields):
            # a required field that is missing reads as None, which is no number
            default = None if field.required else 0
            values = [row.get(field.name, default) for row in rows]
            if not NUMBERS.issuperset(map(type, values)):
                return None
            table[i] = values
        return table, self._texts


def _short(name: str, values: Sequence[str | None]) -> bool:
    """Whether texts are as short as they must be."""
    most = ID_LENGTH if name == REQUEST_ID else LABEL_LENGTH
    return all(len(value) <= most for value in set(values) if value)


def blank(n: int) -> npt.NDArray[np.object_]:
    """Labels of rows that have none.

    >>> blank(2).tolist()
    ['', '']
    """
    return np.full(n, "", dtype=object)


def texts(values: Sequence[str | None]) -> npt.NDArray[np.object_]:
    """Labels of rows, "" where there is none.

    >>> texts(["decode", None]).tolist()
    ['decode', '']
    """
    found = np.empty(len(values), dtype=object)
    found[:] = [value or "" for value in values]
    return found
