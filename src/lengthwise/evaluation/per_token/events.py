"""Per-token events: rows of a measurement table that are one prefill or one decode step each.

The thesis logs the first token like any other; here it keeps its ``output_index`` 0, so that it can
be taken apart later. Warm-up rows stay in for the same reason. Rows that are no events are counted
by reason and set aside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lengthwise.data.checks import skipped_by_reason, usable
from lengthwise.data.table import load
from lengthwise.errors import ColumnError, InputError
from lengthwise.evaluation.per_token.requests import requests_of
from lengthwise.evaluation.per_token.subjects import names_of, subjects_of
from lengthwise.units import counted

MIN_EVENTS = 20


@dataclass(frozen=True)
class Events:
    """The events of one model on one machine in one engine.

    Attributes
    ----------
    name
        What was measured.
    frame
        One row per event, numbered from 0: the columns of the table (times in ms, lengths in
        tokens) with ``row`` (position in the table), ``first_token``, ``first_decode``,
        ``warmup`` and ``request_code``.
    set_aside
        Rows of the table that are no events, by reason.
    requests_from
        How the events were grouped into requests.
    notes
        What was assumed.
    """

    name: str
    frame: pd.DataFrame
    set_aside: dict[str, int]
    requests_from: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frame)


def events_of(
    table: pd.DataFrame | str | Path, *, max_events: int | None = None, seed: int = 0
) -> Iterator[Events]:
    """Yield the events of each model, machine and engine of a table.

    Parameters
    ----------
    table
        Measurement table or what :func:`lengthwise.data.table.load` takes.
    max_events
        Whole requests are drawn until about this many events are reached; None takes all.
    seed
        Seed of that draw.

    Raises
    ------
    ColumnError
        If the table does not say which token a row is, or how long the prompt was.
    InputError
        If there are fewer than 20 events.

    Examples
    --------
    >>> rows = pd.DataFrame({"phase": ["prefill"] + ["decode"] * 24, "isl": 8,
    ...                      "context_len": range(8, 33), "output_index": range(25),
    ...                      "latency_ms": 5.0})
    >>> [(len(events), int(events.frame["first_token"].sum())) for events in events_of(rows)]
    [(25, 1)]
    """
    frame = load(table)
    frame = frame.assign(row=np.arange(len(frame)))
    steps = frame[frame["phase"].isin(["prefill", "decode"])]
    if steps.empty:
        raise InputError(
            "a per-token study needs prefill and decode rows, one per token",
            got=f"{counted(len(frame), 'row')} of phase {', '.join(sorted(set(frame['phase'])))}",
            remedy="record every token, for example with lengthwise measure",
        )  # fmt: skip
    _check_columns(steps)
    aside = {
        f"{phase} row": int(n)
        for phase, n in frame["phase"].value_counts().items()
        if phase not in ("prefill", "decode")
    }
    steps = subjects_of(steps)
    names = names_of(steps)
    parts = [("(all)", steps)] if names is None else steps.groupby(names, sort=True)
    for name, rows in parts:
        yield _events(str(name), rows, dict(aside), max_events, seed)


def _events(
    name: str, rows: pd.DataFrame, aside: dict[str, int], max_events: int | None, seed: int
) -> Events:
    rows, notes = _with_lengths(rows)
    rows = rows.assign(warmup=rows.get("warmup", False))
    timed = rows.drop(columns="warmup")
    good = usable(timed)
    aside |= skipped_by_reason(timed)
    for column, reason in (
        ("isl", "no input length"), ("context_len", "no context size"),
        ("output_index", "no output index"),
    ):  # fmt: skip
        bad = good & ~(rows[column].to_numpy(float) >= (0 if column == "output_index" else 1))
        if bad.any():
            aside[reason] = int(bad.sum())
        good &= ~bad
    rows = rows[good].reset_index(drop=True)
    if len(rows) < MIN_EVENTS:
        why = "".join(f", {n:,} set aside ({reason})" for reason, n in aside.items())
        raise InputError(
            f"a per-token study needs at least {MIN_EVENTS} events, a fifth of them to test on",
            got=f"{counted(len(rows), 'event')} of {name}{why}",
            remedy="measure more prompts and tokens (the thesis logged 471)",
        )  # fmt: skip
    index = rows["output_index"].to_numpy(float)
    rows = rows.assign(first_token=index == 0, first_decode=index == 1)
    codes, how = requests_of(rows)
    rows = rows.assign(request_code=codes)
    if max_events is not None and len(rows) > max_events:
        notes.append(f"{len(rows):,} events thinned to about {max_events:,}, by whole requests")
        rows = _thinned(rows, max_events, seed)
    return Events(name, rows, aside, how, tuple(notes))


def _with_lengths(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Fill a missing prompt length or context from the other: context = isl + output_index."""
    notes = []
    blank = pd.Series(np.nan, rows.index)
    isl, context = (rows.get(name, blank).astype(float) for name in ("isl", "context_len"))
    for name, values, filled in (
        ("isl", isl, context - rows["output_index"]),
        ("context_len", context, isl + rows["output_index"]),
    ):
        gaps = values.isna() & filled.notna()
        if gaps.any():
            notes.append(f"{name} of {counted(int(gaps.sum()), 'event')} taken from "
                         "context_len = isl + output_index")  # fmt: skip
        rows = rows.assign(**{name: values.fillna(filled)})
    return rows, notes


def _thinned(rows: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
    codes = rows["request_code"].to_numpy()
    size = np.bincount(codes)
    order = np.random.default_rng(seed).permutation(len(size))
    enough = int(np.searchsorted(np.cumsum(size[order]), most)) + 1
    kept = rows[np.isin(codes, order[:enough])].reset_index(drop=True)
    return kept.assign(request_code=pd.factorize(kept["request_code"])[0])


def _check_columns(frame: pd.DataFrame) -> None:
    if "latency_ms" not in frame:
        raise ColumnError("per-token events need their time", got="no column 'latency_ms'",
                          remedy="add latency_ms, the time of each token")  # fmt: skip
    if "output_index" not in frame:
        derivable = {"isl", "context_len"} <= set(frame)
        raise ColumnError(
            "per-token events say which token they are (output_index, 0 for the first)",
            got="no column 'output_index'",
            remedy="lengthwise import FILE --map output_index=context_len-isl, if that is so"
            if derivable else "record one row per token with its output_index",
        )  # fmt: skip
