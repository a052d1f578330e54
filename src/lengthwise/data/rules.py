"""The hard rules of the measurement table, on columns that already hold the right kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.data.places import place
from lengthwise.data.schema import COUNTS, NEEDED, NUMERIC, TIMES, TOKENS
from lengthwise.errors import ColumnError
from lengthwise.units import FloatArray

MAX_TOKENS = 1e9
MAX_MS = 1e9
MAX_SUM = 1e15

BoolArray = npt.NDArray[np.bool_]

_MEANS = ("context_len", "sum_query_len", "sum_context_len", "concurrency")
"""What may be a mean over steps or over time, and so need not be whole."""


def check_rows(frame: pd.DataFrame) -> None:
    """Raise :class:`ColumnError` at the first breach of a hard rule.

    Parameters
    ----------
    frame
        Table whose numeric columns are float64; n rows.
    """
    for name in NUMERIC:
        if name in frame:
            _check_finite(frame, name)
    _check_needed(frame)
    for name in (*TOKENS, *COUNTS):
        if name in frame:
            _check_count(frame, name)
    _check_sizes(frame)
    _check_chunks(frame)


def _check_finite(frame: pd.DataFrame, name: str) -> None:
    remedy = "leave the cell empty if the measurement failed"
    _refuse(frame, name, np.isinf, f"{name} must be finite", remedy)


def _check_needed(frame: pd.DataFrame) -> None:
    for phase in frame["phase"].unique():
        rows = (frame["phase"] == phase).to_numpy()
        for name in NEEDED[phase]:
            if name not in TIMES:
                empty = frame[name].isna().to_numpy() & rows
                _raise_at(
                    frame, name, empty, f"{phase} rows need {name}", "fill it in, or drop the row"
                )


def _check_count(frame: pd.DataFrame, name: str) -> None:
    lowest = 0.0 if name == "cached_tokens" else 1.0
    unit = "whole number" if name not in _MEANS else "number"
    rule = f"{name} must be a {unit} of at least {lowest:g}"
    remedy = "correct or drop these rows; lengths are tokens per sequence, not thousands of tokens"
    if name in COUNTS:
        remedy = f"correct {name}; use 1 for a single one, or leave the cell empty if unknown"
    _refuse(frame, name, lambda x: x < lowest, rule, remedy)
    if name not in _MEANS:
        hint = (
            "round it; a mean over requests is no length of one request: import a table of means "
            "with --set statistic=mean"
        )
        _refuse(frame, name, lambda x: x > np.floor(x), rule, hint)


def _check_sizes(frame: pd.DataFrame) -> None:
    for name in (*TOKENS, *COUNTS):
        if name in frame:
            limit = MAX_SUM if name.startswith("sum_") else MAX_TOKENS
            huge = (frame[name] > limit).to_numpy()
            rule = f"{name} must be at most {limit:,.0f}"
            _raise_at(frame, name, huge, rule, "check its unit")
    for name in TIMES:
        if name in frame:
            rule = f"{name} must be at most {MAX_MS:,.0f} ms (11 days)"
            remedy = f"check the unit, for example --map {name}=COLUMN/1000000 for nanoseconds"
            _refuse(frame, name, lambda x: x > MAX_MS, rule, remedy)
    if "request_rate" in frame:
        remedy = "leave the cell empty if unknown"
        _refuse(frame, "request_rate", lambda x: x <= 0, "request_rate must be positive", remedy)


def _check_chunks(frame: pd.DataFrame) -> None:
    whole = frame["phase"].isin(["prefill", "request"]).to_numpy()
    if {"cached_tokens", "isl"} <= set(frame):
        bad = (frame["cached_tokens"] >= frame["isl"]).to_numpy() & whole
        _raise_at(
            frame, "cached_tokens", bad, "cached_tokens must be less than isl",
            "give isl with the cached tokens included (at least one token is always computed)",
        )  # fmt: skip
    if "query_len" in frame:
        unknown = pd.Series(np.nan, frame.index)
        context = frame.get("context_len", unknown)
        context = context.where(context.notna() | ~whole, frame.get("isl", unknown))
        bad = (frame["query_len"] > context).to_numpy()
        _raise_at(
            frame, "query_len", bad, "query_len must not exceed context_len",
            "give context_len with the new tokens included",
        )  # fmt: skip


def _refuse(
    frame: pd.DataFrame,
    name: str,
    bad: Callable[[FloatArray], BoolArray],
    rule: str,
    remedy: str,
) -> None:
    _raise_at(frame, name, bad(frame[name].to_numpy()), rule, remedy)


def _raise_at(frame: pd.DataFrame, name: str, bad: BoolArray, rule: str, remedy: str) -> None:
    if not bad.any():
        return
    row, count = int(np.argmax(bad)), int(bad.sum())
    others = f" ({count:,} such rows)" if count > 1 else ""
    got = f"{name}={frame[name].iloc[row]:g} in {place(frame, row)}{others}"
    raise ColumnError(rule, got=got, remedy=remedy)
