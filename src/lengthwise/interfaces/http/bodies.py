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
from lengthwise.interfaces.http.schemas import RejectedError, check_length, exact_columns, rows_of

LARGE_BYTES = 256 * 1024
"""Bodies above this are read in pieces."""
INLINE_BYTES = 64 * 1024
"""Bodies below this are answered on the event loop: some 200 rows."""
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
        The objects as they were sent; of a large body only where they are wanted.
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
    keep
        Whether the rows as they were sent are wanted of large bodies too.

    Examples
    --------
    >>> from lengthwise.interfaces.http import fields, schemas
    >>> body = RowsBody("rows", fields.NATIVE, schemas.NativeRow)
    >>> body.read(b'{"rows": [{"input_tokens": "7"}]}').columns["input_tokens"]
    array([7.])
    """

    def __init__(
        self, key: str, fields: Sequence[Field], model: type[BaseModel], *, least: int = 0,
        most: int | None = None, timed: str = "", keep: bool = False,
    ) -> None:  # fmt: skip
        self.key, self.fields, self.model = key, tuple(fields), model
        self._plan, self._keep = RowPlan(fields), keep
        self.least, self.most, self._timed = least, most, timed

    def read(self, body: bytes) -> Rows:
        """Read a body; `RejectedError` if any row breaks the schema."""
        if len(body) > LARGE_BYTES:
            try:
                return self._in_pieces(body)
            except pieces.WholeError:
                pass
        data = wire.fast(body)
        rows = data.get(self.key) if type(data) is dict else None
        if type(rows) is list and self._counts(len(rows)):
            columns = self._ordinary(rows)
            if columns is not None:
                return Rows(columns, len(rows), rows)
        raw = rows_of(parsed(body), self.key, least=self.least, most=self.most)
        return Rows(self._exact(raw), len(raw), raw)

    def _in_pieces(self, body: bytes) -> Rows:
        """Read a large body piece by piece, so that it is never held as rows all at once."""
        parts: list[Columns] = []
        raw: list[Any] = []
        n = 0
        for text, rows in pieces.cut(body, self.key):
            if self._counts(max(n + len(rows), self.least)):
                columns = self._ordinary(rows)
                parts.append(self._exact(wire.exact(text), n) if columns is None else columns)
                raw += rows if self._keep else ()
            n += len(rows)
        check_length(n, self.key, least=self.least, most=self.most)
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return Rows(found, n, raw)

    def _counts(self, n: int) -> bool:
        return n >= self.least and (self.most is None or n <= self.most)

    def _ordinary(self, rows: list[Any]) -> Columns | None:
        columns = self._plan.columns(rows)
        if columns is None or (self._timed and not all(_plain_times(rows, self._timed))):
            return None
        return columns

    def _exact(self, rows: Sequence[Any], first: int = 0) -> Columns:
        return exact_columns(rows, self.model, self.fields, ["body", self.key], first)

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
