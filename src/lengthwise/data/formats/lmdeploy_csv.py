"""CSV of LMDeploy's profilers, one line per setting; times in seconds (FTL is TTFT).

``profile_generation`` keeps ``batch`` requests of one shape in flight, so that its rows are
requests of that shape (means over rounds): a round of ``batch`` requests takes
batch * completion_tokens / throughput(out), which is E2E. ``profile_throughput`` and
``profile_restful_api`` run a data set: their rows are means with a mean length.
"""

from __future__ import annotations

import csv
import io
import math

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, number, parsed, tpot_s
from lengthwise.data.formats.loads import fill_load
from lengthwise.data.formats.printed import disagreement
from lengthwise.data.report import Flag
from lengthwise.units import s_to_ms

NAME = "lmdeploy"
TITLE = "CSV of LMDeploy's profilers"

_TTFT, _OUT, _ALL = "FTL(ave)(s)", "throughput(out tok/s)", "throughput(total tok/s)"
_CLIENTS = ("batch", "concurrency")
_COUNTS = ("num_prompts", "num_promts")
_OWN = {_TTFT, _OUT, _ALL, "rps", "rpm", *_CLIENTS, *_COUNTS, "prompt_tokens", "completion_tokens"}

Cells = dict[str, str]


def matches(document: Document) -> bool:
    """Whether the header has this tool's columns."""
    header = document.printed.lstrip().partition("\n")[0]
    return _OUT in header and "FTL(" in header


def read(document: Document) -> Parsed:
    """Read one row per line of the file."""
    rows: list[Row] = []
    flags: list[Flag] = []
    notes: list[str] = []
    for line in csv.DictReader(io.StringIO(document.printed.lstrip())):
        cells = {_plain(name): value for name, value in line.items() if name}
        row = _shape_row(cells) if "completion_tokens" in cells else _mean_row(cells)
        clients = _first(cells, _CLIENTS)
        is_shape = "statistic" not in row
        notes += fill_load(
            [row], clients=clients if is_shape else None, cap=None if is_shape else clients
        )
        rows.append({**row, **_settings(cells), "engine": "lmdeploy", "clock": "client"})
        rate, per_minute = _value(cells, "rps"), _value(cells, "rpm")
        flags += disagreement([len(rows) - 1], {"RPM": (per_minute, 60 * rate)})
    return parsed(rows, flags=flags, assumptions=notes)


def _plain(name: str) -> str:
    return name if "(" in name else name.strip().lower().replace(" ", "_")


def _shape_row(cells: Cells) -> Row:
    clients, osl, speed = (
        _value(cells, name) for name in ("batch", "completion_tokens", _OUT)
    )  # fmt: skip
    ttft = _value(cells, _TTFT)
    end = clients * osl / speed if speed > 0 else math.nan
    return {
        "phase": "request", "isl": _value(cells, "prompt_tokens"), "osl": osl,
        "ttft_ms": s_to_ms(ttft), "tpot_ms": s_to_ms(tpot_s(ttft, end, osl)),
        "e2e_ms": s_to_ms(end), "over_repeats": "mean",
    }  # fmt: skip


def _mean_row(cells: Cells) -> Row:
    rate, out, all_tokens = _value(cells, "rps"), _value(cells, _OUT), _value(cells, _ALL)
    lengths = {"isl_mean": (all_tokens - out) / rate, "osl_mean": out / rate} if rate > 0 else {}
    return {
        "phase": "request", "statistic": "mean", "ttft_ms": s_to_ms(_value(cells, _TTFT)),
        "n_requests": _first(cells, _COUNTS), "requests_per_s": rate,
        **{name: float(round(value)) for name, value in lengths.items() if value > 0},
    }  # fmt: skip


def _settings(cells: Cells) -> Row:
    return {
        name: value for name, value in cells.items()
        if name not in _OWN and not name.startswith(("FTL(", "mem(")) and "%" not in name
    }  # fmt: skip


def _first(cells: Cells, names: tuple[str, ...]) -> float:
    return next((_value(cells, name) for name in names if name in cells), math.nan)


def _value(cells: Cells, name: str) -> float:
    """Return a number; NaN where the tool writes ``-`` for what it did not measure."""
    text = cells.get(name)
    return number(None if text in (None, "", "-") else text, name)
