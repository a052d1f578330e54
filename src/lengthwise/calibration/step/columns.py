"""Columns of a table in the form step models take: complete, checked, numpy arrays only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.calibration.step.rows import LABELS, NUMBERS, Columns
from lengthwise.errors import ColumnError
from lengthwise.units import FloatArray

DEGREES = ("tp", "pp", "ep", "dp")
TEXT = {"engine": "", "engine_version": "", "precision": "auto", "kv_precision": "auto"}
"""What stands for a label that is not given."""
PHASES = ("request", "prefill", "decode")


def columns_of(table: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the columns of n points.

    Parameters
    ----------
    table
        Column name to values of shape (n,): ``model`` and ``hardware``; ``isl`` and ``osl`` of a
        request, ``isl`` of a prefill, ``context_len`` of a decode step; ``concurrency`` or
        ``batch_size`` (1 when neither is given); the other labels as far as known. ``phase``
        follows from the lengths.

    Returns
    -------
    dict
        Arrays of shape (n,) for every column that :mod:`lengthwise.calibration.step.rows` reads;
        lengths that do not matter to a phase are 1.

    Examples
    --------
    >>> found = columns_of({"model": ["llama3.1-8b"], "hardware": ["h100_sxm"], "isl": [512],
    ...                     "osl": [64], "batch_size": [8]})
    >>> found["phase"][0], float(found["concurrency"][0]), int(found["tp"][0])
    ('request', 8.0, 1)
    """
    for name in ("model", "hardware"):
        if table.get(name) is None:
            raise ColumnError(f"points need the column {name}", got=", ".join(map(str, table)),
                              remedy=f"add {name}, such as "
                              + {"model": "llama3.1-8b", "hardware": "h100_sxm"}[name])  # fmt: skip
    n = _points(table)
    out: dict[str, Any] = {name: np.asarray(table[name], dtype=object) for name in LABELS[:2]}
    for name, usual in TEXT.items():
        out[name] = _text(table.get(name), n, usual)
    for name in DEGREES:
        out[name] = _degree(name, table.get(name), n)
    isl, osl, context = (_number(name, table, n) for name in ("isl", "osl", "context_len"))
    out["phase"] = _phases(table.get("phase"), isl, osl, context)
    batch, load = _number("batch_size", table, n), _number("concurrency", table, n)
    load = np.where(np.isnan(load), batch, load)
    _check_rate(_number("request_rate", table, n), load)
    out["concurrency"] = _positive("concurrency", np.where(np.isnan(load), 1.0, load))
    out["batch_size"] = _positive("batch_size", np.where(np.isnan(batch), 1.0, batch))
    cached = _number("cached_tokens", table, n)
    out["cached_tokens"] = np.where(np.isnan(cached), 0.0, cached)
    out["isl"] = np.where(out["phase"] == "decode", 1.0, isl)
    out["osl"] = np.where(out["phase"] == "request", osl, 1.0)
    out["context_len"] = np.where(out["phase"] == "decode", context, 1.0)
    out["query_len"] = np.ones(n)
    if "mode" in table:
        out["mode"] = _text(table["mode"], n, "agg")
    _check_lengths(out)
    return out


def _check_rate(rate: FloatArray, load: FloatArray) -> None:
    """Refuse a rate in the place of requests in flight, which would be taken for 1."""
    bad = ~np.isnan(rate) & np.isnan(load)
    if bad.any():
        raise ColumnError("the step law takes its load as requests in flight",
                          got=f"request_rate={rate[bad][0]:g} and no concurrency",
                          remedy="give concurrency: throughput x mean E2E")  # fmt: skip


def _points(table: Mapping[str, Any]) -> int:
    """Count points; every column that is read has one value for each."""
    used = [name for name in (*LABELS, "phase", *NUMBERS) if table.get(name) is not None]
    for name in used:
        if isinstance(table[name], str) or not hasattr(table[name], "__len__"):
            raise ColumnError("columns hold a list of values, one per point",
                              got=f"{name} = {table[name]!r}",
                              remedy=f"write [{table[name]!r}]")  # fmt: skip
    counts = {name: len(table[name]) for name in used}
    n = counts["model"]
    for name, count in counts.items():
        if count != n:
            raise ColumnError("all columns hold one value per point",
                              got=f"{n} in model, {count} in {name}")  # fmt: skip
    return n


def one(columns: Columns, index: Any) -> dict[str, Any]:
    """Select points by an index array or mask."""
    return {name: values[index] for name, values in columns.items()}


def _phases(given: Any, isl: FloatArray, osl: FloatArray, context: FloatArray) -> Any:
    implied = np.where(~np.isnan(osl) & ~np.isnan(isl), "request",
                       np.where(~np.isnan(context), "decode", "prefill"))  # fmt: skip
    if given is None:
        return implied.astype(object)
    stated = np.array([str(x) if _known(x) else y for x, y in zip(given, implied, strict=True)],
                      dtype=object)  # fmt: skip
    for phase in dict.fromkeys(stated.tolist()):
        if phase not in PHASES:
            raise ColumnError(f"phase must be one of {', '.join(PHASES)}", got=repr(phase))
    return stated


def _known(value: Any) -> bool:
    return value is not None and value == value and value != ""


def _text(values: Any, n: int, usual: str) -> Any:
    if values is None:
        return np.full(n, usual, dtype=object)
    return np.array([str(v).strip() if _is_text(v) else usual for v in values], dtype=object)


def _is_text(value: Any) -> bool:
    return value is not None and str(value).strip() not in ("", "nan", "None", "<NA>", "NaT")


def _degree(name: str, values: Any, n: int) -> Any:
    numbers = _number(name, {name: values} if values is not None else {}, n)
    numbers = np.where(np.isnan(numbers), 1.0, numbers)
    bad = (numbers < 1) | (numbers != np.floor(numbers)) | np.isinf(numbers)
    if bad.any():
        raise ColumnError(f"{name} must be a whole number, 1 or more", got=f"{numbers[bad][0]:g}")
    return numbers.astype(int)


def _number(name: str, table: Mapping[str, Any], n: int) -> FloatArray:
    if table.get(name) is None:
        return np.full(n, np.nan)
    values = [float("nan") if not _is_text(v) else v for v in table[name]]
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ColumnError(f"{name} must hold numbers", got=_first_text(values)) from None


def _first_text(values: list[Any]) -> str:
    return next((repr(v) for v in values if isinstance(v, str)), "something else")


def _positive(name: str, values: FloatArray) -> FloatArray:
    bad = ~((values > 0) & np.isfinite(values))
    if bad.any():
        raise ColumnError(f"{name} must be positive", got=f"{values[bad][0]:g}")
    return values


def _check_lengths(out: dict[str, Any]) -> None:
    for name, phases in (("isl", ("request", "prefill")), ("osl", ("request",)),
                         ("context_len", ("decode",))):  # fmt: skip
        values = out[name][np.isin(out["phase"], phases)]
        bad = ~((values >= 1) & np.isfinite(values))
        if bad.any():
            got = "none" if np.isnan(values[bad][0]) else f"{values[bad][0]:g}"
            raise ColumnError(f"{name} must be 1 token or more", got=got,
                              remedy=f"give --{name.replace('_', '-')} or the column")  # fmt: skip
    cached = out["cached_tokens"]
    bad = ~((cached >= 0) & (cached < np.maximum(out["isl"], 1.0 + (out["phase"] == "decode"))))
    if (bad & (out["phase"] != "decode")).any():
        raise ColumnError("cached_tokens must be at least 0 and less than isl",
                          got=f"{cached[bad][0]:g}")  # fmt: skip
