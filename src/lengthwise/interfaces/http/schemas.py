"""The exact check of a body: pydantic models made from the field tables.

Its coercions are the contract's: `500.0` and `"500"` are integers, `500.5` is not, true is 1,
unknown names are ignored, bounds hold. The native API takes no true for a number and no unknown
names. It is asked only about bodies the fast check refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, create_model
from pydantic import Field as Bounded

from lengthwise.interfaces.http import fields as f
from lengthwise.interfaces.http.columns import Columns, texts
from lengthwise.interfaces.http.words import cut, short

MOST_PROBLEMS = 8
"""Problems listed in one answer; a body may hold many thousands."""


class RejectedError(Exception):
    """A body that breaks the schema: `detail` as FastAPI words it, status 422."""

    def __init__(self, detail: list[dict[str, Any]]) -> None:
        super().__init__(detail[0]["msg"] if detail else "invalid body")
        self.detail = detail


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    return value


def row_model(
    name: str, fields: Iterable[f.Field], *, native: bool = False, **more: Any
) -> type[BaseModel]:
    """Model of one row; a native one takes no unknown names and no booleans for numbers.

    >>> row_model("Row", f.NATIVE)(input_tokens=500.0).input_tokens
    500
    """
    members: dict[str, Any] = {}
    for field in fields:
        kind: Any = int if field.kind == "count" else float
        kind = Annotated[kind, BeforeValidator(_no_truth)] if native else kind
        bounds: dict[str, Any] = {"ge": 0, "description": field.meaning}
        if field.kind == "share":
            bounds["le"] = 1
        elif field.most is not None:
            bounds["le"] = int(field.most)
        default = ... if field.required else 0
        members[field.name] = (kind, Bounded(default, **bounds))
    config = ConfigDict(extra="forbid" if native else "ignore")
    return create_model(name, __config__=config, **members, **more)


POD_TYPE: Any = (
    str | None,
    Bounded("", max_length=f.LABEL_LENGTH, description="role of the pod: prefill, decode, or free"),
)
POD: Any = (str | None, Bounded("", max_length=f.LABEL_LENGTH, description="name of the pod"))
DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.A)
"""Dates as the native API takes them."""
WHEN: Any = (
    datetime | None,
    Bounded(
        None, description="when it was measured; checked only, rows count from when they arrive",
        json_schema_extra={"anyOf": [
            {"type": "string", "format": "date-time"},
            {"type": "number", "minimum": -62135596800, "maximum": 253402300799999,
             "description": "seconds, or beyond 2e10 milliseconds, since 1970"},
            {"type": "null"},
        ]},
    ),
)  # fmt: skip


def _date(value: Any) -> Any:
    if value is None or (isinstance(value, str) and DATE.fullmatch(value)):
        return value
    raise ValueError("a date must be RFC 3339, such as 2026-11-21T12:00:00Z")


OBSERVED_AT: Any = (
    Annotated[datetime | None, BeforeValidator(_date)],
    Bounded(
        None, description="when it was measured; checked only, rows count from when they arrive",
        json_schema_extra={"anyOf": [
            {"type": "string", "pattern": f"^{DATE.pattern}$", "example": "2026-11-21T12:00:00Z"},
            {"type": "null"},
        ]},
    ),
)  # fmt: skip
REQUEST_ID: Any = (
    str | None,
    Bounded(None, max_length=f.ID_LENGTH, description="the same one sent twice counts once"),
)

PredictionRow = row_model("PredictionRow", f.ROUTER, pod_type=POD_TYPE)
TrainingRow = row_model("TrainingRow", (*f.ROUTER, *f.OBSERVED), pod_type=POD_TYPE, timestamp=WHEN)
NativeRow = row_model("Row", (*f.NATIVE, f.OSL), native=True, pod_type=POD_TYPE, pod=POD)
ObservationRow = row_model(
    "Observation", (*f.NATIVE, *f.NATIVE_OBSERVED, f.OSL), native=True, pod_type=POD_TYPE, pod=POD,
    request_id=REQUEST_ID, observed_at=OBSERVED_AT,
)  # fmt: skip


class FlushBody(BaseModel):
    """What to flush; nothing said means everything."""

    flush_training_data: bool = True
    flush_test_data: bool = True
    flush_metrics: bool = True
    reason: str | None = None


def problems(error: ValidationError, where: Sequence[str | int]) -> list[dict[str, Any]]:
    """Problems of one value, located inside the body."""
    found = error.errors(include_url=False, include_context=True)[:MOST_PROBLEMS]
    return [told({**problem, "loc": [*where, *problem["loc"]]}) for problem in found]


def told(problem: dict[str, Any]) -> dict[str, Any]:
    """Return a problem as it is told: nothing that was sent takes more than some 100 characters.

    >>> told({"loc": ["body", "x"], "msg": "no", "input": {"a": "b" * 500}})["input"][:20]
    "{'a': 'bbbbbbbbbbbbb"
    """
    found = {**problem, "input": short(problem.get("input"))}
    found["loc"] = [p if isinstance(p, int) else cut(str(p), 60) for p in problem["loc"]]
    if "ctx" in problem:
        found["ctx"] = {k: short(v) for k, v in problem["ctx"].items()}
    return found


def checked(model: type[BaseModel], value: Any, where: Sequence[str | int] = ("body",)) -> Any:
    """Validate one object.

    >>> checked(FlushBody, {"flush_metrics": "no"}).flush_metrics
    False
    """
    if not isinstance(value, dict):
        raise RejectedError([told(not_an_object(value, where))])
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise RejectedError(problems(error, where)) from None


def not_an_object(value: Any, where: Sequence[str | int]) -> dict[str, Any]:
    """Problem of a value that should have been a JSON object."""
    return {
        "type": "model_attributes_type",
        "loc": [*where],
        "msg": "Input should be a valid dictionary or object to extract fields from",
        "input": value,
    }


def rows_of(value: Any, key: str, *, least: int = 0, most: int | None = None) -> list[Any]:
    """Take the list under `key` of a body, its length checked.

    >>> rows_of({"requests": [{}]}, "requests", least=1)
    [{}]
    """
    if not isinstance(value, dict):
        raise RejectedError([told(not_an_object(value, ("body",)))])
    where = ["body", key]
    if key not in value:
        raise RejectedError(
            [{"type": "missing", "loc": where, "msg": "Field required", "input": None}]
        )
    rows = value[key]
    if not isinstance(rows, list):
        raise RejectedError(
            [{"type": "list_type", "loc": where, "msg": "Input should be a valid list",
              "input": short(rows)}]
        )  # fmt: skip
    check_length(len(rows), key, least=least, most=most)
    return rows


def check_length(n: int, key: str, *, least: int = 0, most: int | None = None) -> None:
    """Raise a `RejectedError` unless the list under `key` has a length it may have."""
    if n < least or (most is not None and n > most):
        raise RejectedError([_length_problem(["body", key], n, least, most)])


def _length_problem(where: list[str], n: int, least: int, most: int | None) -> dict[str, Any]:
    short = n < least
    limit, side = (least, "least") if short else (most, "most")
    return {
        "type": "too_short" if short else "too_long",
        "loc": where,
        "msg": f"List should have at {side} {limit} item{'' if limit == 1 else 's'}"
        f" after validation, not {n}",
        "input": None,
        "ctx": {
            "field_type": "List",
            f"{'min' if short else 'max'}_length": limit,
            "actual_length": n,
        },
    }


def exact_columns(
    rows: Sequence[Any],
    model: type[BaseModel],
    fields: Sequence[f.Field],
    where: Sequence[str],
    first: int = 0,
    labels: Sequence[str] = f.LABELS,
) -> Columns:
    """Columns of rows after the exact check; shape (n,) each. The first is row `first` of its list.

    Raises
    ------
    RejectedError
        Any row breaks the schema; the first `MOST_PROBLEMS` are listed.

    Examples
    --------
    >>> exact_columns([{"input_tokens": "512"}], NativeRow, f.NATIVE, ["body"])["input_tokens"]
    array([512.])
    """
    good: list[Any] = []
    bad: list[dict[str, Any]] = []
    for i, row in enumerate(rows, first):
        if not isinstance(row, dict):
            bad.append(told(not_an_object(row, (*where, i))))
        else:
            try:
                good.append(model.model_validate(row))
            except ValidationError as error:
                bad += problems(error, (*where, i))
        if len(bad) >= MOST_PROBLEMS:
            break
    if bad:
        raise RejectedError(bad[:MOST_PROBLEMS])
    columns: Columns = {
        field.column: np.array([_number(getattr(row, field.name)) for row in good], dtype=float)
        for field in fields
    }
    for name in labels:
        columns[name] = texts([_text(getattr(row, name, "")) for row in good])
    return columns


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return float("inf")


def _text(value: str | None) -> str:
    return (value or "").encode("utf-8", "replace").decode()
