"""Bodies that hold rows: read quickly when ordinary, exactly when not, never all at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from pydantic import BaseModel

from lengthwise.interfaces.http import wire
from lengthwise.interfaces.http.columns import Columns, RowPlan
from lengthwise.interfaces.http.fields import LABELS, Field
from lengthwise.interfaces.http.schemas import (
    DATE,
    MOST_PROBLEMS,
    RejectedError,
    check_length,
    exact_columns,
    rows_of,
    told,
)
from lengthwise.interfaces.http.words import cut
from lengthwise.interfaces.service.pieces import CutError, Pieces

LARGE_BYTES = 256 * 1024
"""Bodies above this are read in pieces."""
INLINE_BYTES = 64 * 1024
"""Bodies below this may be answered on the event loop."""
MOST_BYTES = 16 * 1024
"""Of a row in a body that is read in pieces, and of all beside the rows."""
Read = Callable[[Any, bool], "Rows | None"]
"""Makes rows of a value; quickly, or exactly."""


@dataclass(frozen=True)
class Rows:
    """Rows of one body.

    Attributes
    ----------
    columns
        Arrays of shape (n,) by name.
    n
        How many.
    many
        Whether they came as a list; False: the row was the body itself.
    """

    columns: Columns
    n: int
    many: bool = True


class RowsBody:
    """How one endpoint's rows are read.

    Parameters
    ----------
    keys
        Names of the list in the body, the first is the documented one.
    fields, model
        What a row holds, and the exact check of it.
    least, most
        Bounds of the number of rows.
    texts
        Names of texts in a row.
    timed
        Name of a time in the row that must be valid where it is given, "" for none.
    strict
        Whether names that are unknown are refused.
    most_bytes
        Bytes of a row of a large body, and of all beside its rows.

    Examples
    --------
    >>> from lengthwise.interfaces.http import fields, schemas
    >>> body = RowsBody(["rows"], fields.NATIVE, schemas.NativeRow)
    >>> body.read(b'{"rows": [{"input_tokens": "7"}]}').columns["input_tokens"]
    array([7.])
    """

    def __init__(
        self, keys: Sequence[str], fields: Sequence[Field], model: type[BaseModel], *,
        least: int = 0, most: int | None = None, texts: Sequence[str] = LABELS, timed: str = "",
        strict: bool = False, most_bytes: int = MOST_BYTES,
    ) -> None:  # fmt: skip
        self.keys, self.key = tuple(keys), keys[0]
        self.fields, self.model = tuple(fields), model
        self.least, self.most, self._timed = least, most, timed
        self._texts, self._strict, self._most_bytes = tuple(texts), strict, most_bytes
        self._plan = RowPlan(fields, texts, [timed] if timed else [], strict=strict)

    def read(self, body: bytes | bytearray) -> Rows:
        """Read a body that holds a list; `RejectedError` if anything breaks the schema."""
        return self._in_pieces(body) if len(body) > LARGE_BYTES else self._whole(body, self._list)

    def either(self, body: bytes | bytearray) -> Rows:
        """Read a body that holds a list, or is one row itself."""
        return self._in_pieces(body) if len(body) > LARGE_BYTES else self._whole(body, self._any)

    def one(self, body: bytes | bytearray) -> Rows:
        """Read a body that is one row itself."""
        return self._whole(body, self._one)

    def _whole(self, body: bytes | bytearray, read: Read) -> Rows:
        """Read quickly; where that does not do, exactly (the quick reader rounds large numbers)."""
        data = wire.fast(body)
        found = None if data is None else read(data, False)
        if found is None:
            found = read(parsed(body), True)
        assert found is not None  # the exact path reads or raises
        return found

    def objects(self, body: bytes | bytearray) -> Iterator[dict[str, Any]]:
        """Return the rows of a body that was read, what is known of each."""
        names = {*(f.name for f in self.fields), *self._texts}
        for row in _all_rows(body, self.keys, self._most_bytes):
            yield {k: cut(v) if isinstance(v, str) else v for k, v in row.items() if k in names}

    def _any(self, data: Any, exact: bool) -> Rows | None:
        many = type(data) is dict and any(key in data for key in self.keys)
        return self._list(data, exact) if many else self._one(data, exact)

    def _list(self, data: Any, exact: bool) -> Rows | None:
        key = self._key_of(data)
        rows = rows_of(data, key, least=self.least, most=self.most)
        self._check_beside(data, key)
        columns = self._columns(rows, ["body", key]) if exact else self._ordinary(rows)
        return None if columns is None else Rows(columns, len(rows))

    def _one(self, data: Any, exact: bool) -> Rows | None:
        columns = None
        if exact:
            try:
                columns = self._columns([data], ["body"])
            except RejectedError as error:
                for found in error.detail:  # the row is the body: it has no number
                    found["loc"] = [found["loc"][0], *found["loc"][2:]]
                raise
        elif type(data) is dict:
            columns = self._ordinary([data])
        return None if columns is None else Rows(columns, 1, many=False)

    def _in_pieces(self, body: bytes | bytearray) -> Rows:
        """Read a large body piece by piece, so that it is never held as rows all at once."""
        parts: list[Columns] = []
        n = 0
        try:
            pieces = Pieces(body, self.keys, self._most_bytes)
            for text, rows in pieces:
                count = len(rows) if rows is not None else 0
                if rows is None or self._counts(max(n + count, self.least)):
                    columns = None if rows is None else self._ordinary(rows)
                    if columns is None:
                        exact = parsed(text)
                        count, columns = len(exact), self._columns(exact, ["body", pieces.key], n)
                    parts.append(columns)
                n += count
        except ValueError as error:
            raise _refused_as(error) from None
        self._check_beside(pieces.beside, pieces.key)
        check_length(n, pieces.key, least=self.least, most=self.most)
        return Rows({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, n)

    def _counts(self, n: int) -> bool:
        return n >= self.least and (self.most is None or n <= self.most)

    def _key_of(self, data: Any) -> str:
        return next((k for k in self.keys if type(data) is dict and k in data), self.key)

    def _check_beside(self, data: dict[str, Any], key: str) -> None:
        if self._strict and len(data) > 1:
            others = [name for name in data if name != key][:MOST_PROBLEMS]
            raise RejectedError([unknown(name, ["body"], [key]) for name in others])

    def _ordinary(self, rows: list[Any]) -> Columns | None:
        columns = self._plan.columns(rows)
        if columns is None or (self._timed and not all(_plain_times(rows, self._timed))):
            return None
        return columns

    def _columns(self, rows: Sequence[Any], where: list[str], first: int = 0) -> Columns:
        try:
            return exact_columns(rows, self.model, self.fields, where, first, self._texts)
        except RejectedError as error:
            for found in error.detail:
                if found["type"] == "extra_forbidden":
                    found |= unknown(str(found["loc"][-1]), found["loc"][:-1], self._names())
            raise

    def _names(self) -> Iterable[str]:
        return self.model.model_fields


def unknown(name: str, where: list[Any], known: Iterable[str]) -> dict[str, Any]:
    """Return the problem of a name that nothing has, with the one that was meant.

    >>> unknown("runing", ["body"], ["running", "waiting"])["msg"]
    "There is no field 'runing'; did you mean 'running'?"
    """
    near = difflib.get_close_matches(name[:60], known, 1, 0.7)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return told({"type": "extra_forbidden", "loc": [*where, name], "input": None,
                 "msg": f"There is no field {cut(name, 60)!r}{meant}"})  # fmt: skip


def parsed(body: bytes | bytearray) -> Any:
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


def _all_rows(body: bytes | bytearray, keys: Sequence[str], most: int) -> Iterator[dict[str, Any]]:
    if len(body) <= LARGE_BYTES:
        data = parsed(body)
        yield from next(data[key] for key in keys if key in data)
        return
    for text, rows in Pieces(body, keys, most):
        yield from parsed(text) if rows is None else rows


def _refused_as(error: ValueError) -> RejectedError:
    if isinstance(error, CutError):
        kind, words = "value_error", f"A large body is read in pieces: {error}"
    else:
        kind, words = "json_invalid", "JSON decode error"
    return RejectedError([{"type": kind, "loc": ["body"], "msg": words, "input": None}])


def _plain_times(rows: list[Any], name: str) -> Iterator[bool]:
    """Whether each row's time, where it has one, is an ordinary one."""
    match, read = DATE.fullmatch, datetime.fromisoformat
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
