"""Bodies that hold rows: read quickly when ordinary, exactly when not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from pydantic import BaseModel

from lengthwise.interfaces.http import pieces, wire
from lengthwise.interfaces.http.columns import Columns, RowPlan
from lengthwise.interfaces.http.fields import Field
from lengthwise.interfaces.http.schemas import RejectedError, exact_columns, rows_of

LARGE_BYTES = 256 * 1024
"""Bodies above this are read in pieces."""
INLINE_BYTES = 64 * 1024
"""Bodies below this are answered on the event loop: some 200 rows."""
TURN_ROWS = 1000
"""Rows turned to columns at once: one call of numpy holds the interpreter for its whole length."""
_WHEN = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")


@dataclass(frozen=True)
class Rows:
    """Rows of one body.

    Attributes
    ----------
    columns
        Arrays of shape (n,) by name.
    n
        How many.
    raw
        The objects as they were sent.
    """

    columns: Columns
    n: int
    raw: Sequence[Any]


class RowsBody:
    """How one endpoint's rows are read.

    Parameters
    ----------
    key
        Name of the list in the body.
    fields, model
        What a row holds, and the exact check of it.
    least, most
        Bounds of the number of rows.
    timed
        Name of a time in the row that must be valid where it is given, "" for none.

    Examples
    --------
    >>> from lengthwise.interfaces.http import fields, schemas
    >>> body = RowsBody("rows", fields.NATIVE, schemas.NativeRow)
    >>> body.read(b'{"rows": [{"input_tokens": "7"}]}').columns["input_tokens"]
    array([7.])
    """

    def __init__(
        self, key: str, fields: Sequence[Field], model: type[BaseModel], *, least: int = 0,
        most: int | None = None, timed: str = "",
    ) -> None:  # fmt: skip
        self.key, self.fields, self.model = key, tuple(fields), model
        self._plan = RowPlan(fields)
        self.least, self.most, self._timed = least, most, timed

    def read(self, body: bytes) -> Rows:
        """Read a body; `RejectedError` if any row breaks the schema."""
        rows = pieces.read(body, self.key) if len(body) > LARGE_BYTES else None
        if rows is None:
            data = wire.fast(body)
            rows = data.get(self.key) if type(data) is dict else None
        if type(rows) is list and self._counts(len(rows)):
            columns = self._ordinary(rows)
            if columns is not None:
                return Rows(columns, len(rows), rows)
        if len(body) > LARGE_BYTES:
            rows = pieces.read(body, self.key, wire.exact)
            if rows is not None:
                return self._exactly({self.key: rows})
        return self._exactly(parsed(body))

    def _counts(self, n: int) -> bool:
        return n >= self.least and (self.most is None or n <= self.most)

    def _ordinary(self, rows: list[Any]) -> Columns | None:
        if self._timed and not all(_plain_times(rows, self._timed)):
            return None
        if len(rows) <= TURN_ROWS:
            return self._plan.columns(rows)
        parts = []
        for start in range(0, len(rows), TURN_ROWS):
            part = self._plan.columns(rows[start : start + TURN_ROWS])
            if part is None:
                return None
            parts.append(part)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _exactly(self, data: Any) -> Rows:
        raw = rows_of(data, self.key, least=self.least, most=self.most)
        columns = exact_columns(raw, self.model, self.fields, ["body", self.key])
        return Rows(columns, len(raw), raw)

    def one(self, body: bytes) -> Rows:
        """Read a body that is one row itself."""
        data = wire.fast(body)
        columns = self._ordinary([data]) if type(data) is dict else None
        if columns is not None:
            return Rows(columns, 1, [data])
        data = parsed(body)
        try:
            columns = exact_columns([data], self.model, self.fields, ["body"])
        except RejectedError as error:
            for found in error.detail:  # the row is the body: its number is no part of the place
                found["loc"] = [found["loc"][0], *found["loc"][2:]]
            raise
        return Rows(columns, 1, [data])


def parsed(body: bytes) -> Any:
    """Read any JSON body exactly; `RejectedError` if it is none."""
    if not body.strip():
        raise RejectedError(
            [{"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}]
        )
    try:
        return wire.exact(body)
    except wire.NotJsonError as error:
        raise RejectedError(
            [{"type": "json_invalid", "loc": ["body", error.position], "msg": "JSON decode error",
              "input": {}, "ctx": {"error": str(error)}}]
        ) from None  # fmt: skip


def _plain_times(rows: list[Any], name: str) -> Iterator[bool]:
    """Whether each row's time, where it has one, is an ordinary one."""
    match, read = _WHEN.fullmatch, datetime.fromisoformat
    for row in rows:
        value = row.get(name) if type(row) is dict else ""
        if value is None:
            yield True
        elif type(value) is not str or match(value) is None:
            yield False
        else:
            try:
                read(value)
            except ValueError:
                yield False
            else:
                yield True
