"""Tables of llama.cpp with a prompt and a generation per line: batched-bench and sweep-bench.

A line holds the time of a prompt and of a generation in seconds with three decimals and their
speeds with two: of a short time, the speed is the sharper figure.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from lengthwise.data.formats import llama_log
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, number, parsed
from lengthwise.data.formats.printed import disagreement, markdown_tables
from lengthwise.data.report import Flag

HALF_MS = 5e-4
HALF_CENT = 5e-3

_WORDS = {
    "PP": "pp", "TG": "tg", "B": "pl", "N_KV": "n_kv", "T_PP s": "t_pp", "S_PP t/s": "speed_pp",
    "T_TG s": "t_tg", "S_TG t/s": "speed_tg", "T s": "t", "S t/s": "speed",
}  # fmt: skip
Record = Mapping[str, Any]

_SHAPE = {*_WORDS.values()}
_KEYS = {"pp", "tg", "n_kv", "t_pp", "t_tg"}
_SHOWN = 0.025
"""Shortest time, s, that three decimals show to 2 %."""

_STEPS = "a decode row is the mean step over the contexts it ran through, at their mean"


def has_lines(document: Document, *, batched: bool) -> bool:
    """Return whether a file holds such lines, with or without a column of sequences."""
    if document.rows:
        found = document.rows[0]
        return isinstance(found, Mapping) and set(found) >= _KEYS and ("pl" in found) == batched
    text = document.printed
    return "T_PP s" in text and any(
        "T_PP s" in table.names and ("B" in table.names) == batched
        for table in markdown_tables(text)
    )


def read_lines(
    document: Document, rows_of: Callable[[Record], list[Row]], *, batched: bool,
    engine: str, notes: tuple[str, ...],
) -> Parsed:  # fmt: skip
    """Return the rows of every line.

    Parameters
    ----------
    document
        A file that :func:`has_lines`.
    rows_of
        Makes the rows of one line.
    batched
        Whether lines have a column of sequences.
    engine, notes
        Columns and assumptions of all rows.
    """
    common = {"engine": engine, **llama_log.labels(document.printed)}
    rows: list[Row] = []
    flags: list[Flag] = []
    dropped: Counter[str] = Counter()
    for record in _lines_of(document, batched):
        settings = {name: value for name, value in record.items() if name not in _SHAPE}
        made = [{**settings, **row, **common} for row in rows_of(record)]
        if not made:
            dropped["test without a time"] += 1
        rows += made
        flags += _check(record, list(range(len(rows) - len(made), len(rows))))
    return parsed(rows, dropped=dropped, assumptions=(*notes, _STEPS), flags=flags)


def _lines_of(document: Document, batched: bool) -> list[Record]:
    """Lines of JSON, or of the tables of a text with the settings printed above each."""
    if document.rows:
        return [row for row in document.rows if isinstance(row, dict)]
    text, last = document.printed, 0
    records: list[Record] = []
    for table in markdown_tables(text):
        if "T_PP s" not in table.names or ("B" in table.names) != batched:
            continue
        common = llama_log.settings(text[last : table.start])
        records += [
            {**common, **{_WORDS[name]: row[name] for name in row if name in _WORDS}}
            for row in table.rows
        ]
        last = table.end
    return records


def is_shared(record: Record) -> bool:
    """Return whether all sequences have one prompt; where it is not said, the cache tells.

    >>> is_shared({"pp": 512, "tg": 32, "pl": 4, "n_kv": 640})
    True
    """
    said = number(record.get("is_pp_shared"), "is_pp_shared")
    if said == said:
        return bool(said)
    pp, tg, pl, cached = (number(record.get(name), name) for name in ("pp", "tg", "pl", "n_kv"))
    return pl > 1 and cached == pp + pl * tg


def _check(record: Record, rows: list[int]) -> list[Flag]:
    """Flag speeds that do not belong to their times."""
    pp, tg, pl = (number(record.get(name, 1), name) for name in ("pp", "tg", "pl"))
    tokens = {"pp": pp if is_shared(record) else pp * pl, "tg": tg * pl}
    pairs = {}
    for phase, count in tokens.items():
        time, speed = (number(record.get(f"{what}_{phase}"), phase) for what in ("t", "speed"))
        if time > _SHOWN and speed > 0:
            pairs[f"S_{phase.upper()} t/s"] = (speed, count / time)
    return disagreement(rows, pairs)


def phase_seconds(record: Record, phase: str, tokens: float) -> float:
    """Return the seconds of a phase out of its time and its speed, whichever is sharper.

    >>> phase_seconds({"t_pp": "0.010", "speed_pp": "52000.00"}, "pp", 512)
    0.009846153846153846
    """
    time, speed = (number(record.get(f"{what}_{phase}"), what) for what in ("t", "speed"))
    if not speed > 0:
        return time
    computed = tokens / speed
    agrees = abs(computed - time) <= HALF_MS + computed * HALF_CENT / speed
    sharper = HALF_MS / max(time, HALF_MS) > HALF_CENT / speed
    return computed if math.isnan(time) or (agrees and sharper) else time
