"""Rows as they are kept: the columns of the contract and nothing else of what was sent."""

from __future__ import annotations

from time import time
from typing import Any

import numpy as np
import orjson

from lengthwise.interfaces.http import fields
from lengthwise.interfaces.http.bodies import Rows
from lengthwise.interfaces.http.columns import REQUEST_ID, Columns
from lengthwise.interfaces.service.store import Observed
from lengthwise.units import FloatArray


def observed(rows: Rows) -> Observed:
    """Return a batch for the store.

    >>> columns = {name: np.array([7.0, 9.0]) for name in ("input_tokens", "ttft_ms", "tpot_ms")}
    >>> columns |= {name: np.array(["a", "a"], dtype=object) for name in fields.LABELS}
    >>> observed(Rows(columns, 2)).body[:52]
    b'{"n":2,"columns":{"input_token_length":[7,9],"actual'
    """
    columns = rows.columns
    ids = columns[REQUEST_ID].tolist() if REQUEST_ID in columns else []
    ids = ids if any(ids) else []
    table: dict[str, Any] = {
        name: _numbers(columns[column])
        for column, name in fields.TO_LLM_D.items()
        if column in columns and columns[column].any()
    }
    table |= {name: _texts(columns[name].tolist()) for name in fields.LABELS if columns[name].any()}
    if ids:
        table["id"] = [i or None for i in ids]
    body = orjson.dumps({"n": rows.n, "columns": table}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Observed(body, rows.n, ids, _said(columns, "ttft_ms"), _said(columns, "tpot_ms"), time())


def _numbers(values: FloatArray) -> Any:
    """Whole numbers without a point; what is infinite becomes null."""
    if values.max() < fields.EXACT and (values == np.floor(values)).all():
        return values.astype(np.int64)
    return np.ascontiguousarray(values)


def _texts(values: list[str]) -> list[str] | str:
    first = values[0]
    return first if first and values.count(first) == len(values) else values


def _said(columns: Columns, name: str) -> int:
    return int(np.count_nonzero(columns[name]))
