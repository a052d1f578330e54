"""Locust: ``*_stats.csv``, one line per endpoint, times in ms.

A line of an endpoint is the time of the whole answer. Scripts for LLMs fire lines of their own
whose names say what they time (``TTFT``, ``time_per_output_token``); those of one run become one
row with them. Locust counts no tokens: lengths are given with ``--set isl=... --set osl=...``. Its
means hold failed requests too.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter

from lengthwise.data.formats.aggregates import statistic_column
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, number, parsed
from lengthwise.data.formats.loads import fill_load, little
from lengthwise.data.report import Flag
from lengthwise.units import ms_to_s

NAME = "locust"
TITLE = "Locust statistics (CSV)"

_HEADER = ("Type", "Name", "Request Count", "Failure Count", "Median Response Time")
_MEANT = {
    "ttft_ms": re.compile(r"ttft|first[ _-]?token", re.I),
    "tpot_ms": re.compile(r"tpot|per[ _-]?output[ _-]?token|inter[ _-]?token|\bitl\b", re.I),
    "e2e_ms": re.compile(r"\be2e|end[ _-]?to[ _-]?end|total[ _-]?(?:time|latency)", re.I),
}
_NOT_TIMED = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH")
_NOTE = "an endpoint's response time is taken for the whole answer (e2e_ms)"

Cells = dict[str, str]


def matches(document: Document) -> bool:
    """Whether the header is that of Locust's statistics."""
    header = document.printed.lstrip().partition("\n")[0].replace('"', "").split(",")
    return tuple(header[: len(_HEADER)]) == _HEADER


def read(document: Document) -> Parsed:
    """Read one row of means per endpoint; lines that time a part of an answer join it."""
    dropped: Counter[str] = Counter()
    parts: dict[str, Cells] = {}
    endpoints: list[Cells] = []
    for cells in csv.DictReader(io.StringIO(document.printed.lstrip())):
        column = next((c for c, words in _MEANT.items() if words.search(cells["Name"])), None)
        if cells["Name"] in ("Aggregated", "Total"):
            dropped["sum of the lines above"] += 1
        elif cells["Type"].upper() in _NOT_TIMED:
            dropped[f"{cells['Type'].upper()} request, which asks for no answer"] += 1
        elif not _value(cells, "Request Count") > 0:
            dropped["endpoint without a request"] += 1
        elif column and column not in parts:
            parts[column] = cells
        else:
            endpoints.append(cells)
    rows, flags, notes = [], [], []
    for chosen in _joined(parts, endpoints):
        row = _row(chosen)
        main = chosen.get("e2e_ms", next(iter(chosen.values())))
        dropped["failed request"] += int(_value(main, "Failure Count"))
        rate = _value(main, "Requests/s")
        notes += fill_load([row], mean=little(rate, float(ms_to_s(row.get("e2e_ms", math.nan)))))
        rows.append(row)
        flags += _failures(main, len(rows) - 1)
    if any("e2e_ms" in row for row in rows) and "e2e_ms" not in parts:
        notes.append(_NOTE)
    return parsed(rows, dropped=+dropped, flags=flags, assumptions=notes)


def _joined(parts: dict[str, Cells], endpoints: list[Cells]) -> list[dict[str, Cells]]:
    """Put the lines of parts with the only endpoint; with several, they stand alone."""
    if len(endpoints) == 1 and "e2e_ms" not in parts:
        return [{**parts, "e2e_ms": endpoints[0]}]
    return ([parts] if parts else []) + [{"e2e_ms": cells} for cells in endpoints]


def _row(chosen: dict[str, Cells]) -> Row:
    main = chosen.get("e2e_ms", next(iter(chosen.values())))
    row: Row = {
        "phase": "request", "statistic": "mean", "clock": "client", "endpoint": main["Name"],
        "n_requests": _value(main, "Request Count") - _value(main, "Failure Count"),
    }  # fmt: skip
    for column, cells in chosen.items():
        row[column] = _value(cells, "Average Response Time")
        for label, value in cells.items():
            if re.fullmatch(r"\d+(\.\d+)?%", label or "") and value not in ("", "N/A"):
                name = f"p{label.rstrip('%').replace('.', 'p')}".replace("p100", "max")
                row[statistic_column(column, name)] = number(value, label)
    return row


def _failures(cells: Cells, row: int) -> list[Flag]:
    failed = _value(cells, "Failure Count")
    if not failed > 0:
        return []
    return [Flag.of(
        "failures in the mean", "warning", [row],
        f"{failed:,.0f} of {_value(cells, 'Request Count'):,.0f} requests of {cells['Name']} "
        "failed, and Locust's mean holds them",
        "run it again without failures, or take the median (e2e_p50_ms)",
    )]  # fmt: skip


def _value(cells: Cells, name: str) -> float:
    text = cells.get(name)
    return number(None if text in (None, "", "N/A") else text, name)
