"""Runs of one benchmark client as vLLM and SGLang write them: arrays with one entry per request.

The two clients have one ancestor, and so the same arrays (seconds): ``ttfts``, ``itls`` (gaps
between chunks), ``input_lens``, ``output_lens``, ``errors``. Without the arrays a run holds only
statistics, which make one row.

A failed request has ttft 0, no gaps and no output; it is left out and counted. The last token came
at ttft + sum(itls). With speculative decoding, or when chunks coalesce, there are fewer gaps than
tokens: single gaps then say little, while (last - first token) / (osl - 1) stays right.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lengthwise.data.formats.aggregates import statistic_column
from lengthwise.data.formats.base import Parsed
from lengthwise.data.formats.fields import (
    Row,
    damaged,
    number,
    numbers,
    parsed,
    request_row,
    tokens,
)
from lengthwise.data.formats.overlap import in_flight
from lengthwise.data.report import Flag
from lengthwise.units import counted, s_to_ms

FAILED = "failed request"

Run = Mapping[str, Any]


@dataclass
class Gathered:
    """Rows of several runs and the account of them, filled run by run."""

    rows: list[Row] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    assumptions: list[str] = field(default_factory=list)
    chunked: list[int] = field(default_factory=list)

    def parsed(self, *flags: Flag) -> Parsed:
        """Put everything together; requests that came in chunks are flagged."""
        return parsed(
            self.rows, dropped=self.dropped, assumptions=self.assumptions,
            flags=[*flags, *self._chunk_flags()],
        )  # fmt: skip

    def _chunk_flags(self) -> list[Flag]:
        if not self.chunked:
            return []
        seen = (
            f"{counted(len(self.chunked), 'request')} came with several tokens in a chunk "
            "(speculative decoding, or chunks that coalesced): itl_mean_ms and itl_p99_ms are of "
            "gaps between chunks"
        )
        remedy = "nothing to do: tpot_ms is computed from the count of tokens"
        return [Flag.of("tokens in chunks", "info", self.chunked, seen, remedy)]


def has_requests(run: Run) -> bool:
    """Say whether a run holds one entry per request.

    >>> has_requests({"ttfts": [0.1], "input_lens": [8]}), has_requests({"mean_ttft_ms": 1})
    (True, False)
    """
    return bool(run.get("ttfts")) and bool(run.get("input_lens"))


def gap_columns(gaps_s: Sequence[float] | np.ndarray) -> Row:
    """Statistics of single gaps as extra columns, from seconds; none without gaps.

    >>> gap_columns([0.01, 0.03])["itl_mean_ms"]
    20.0
    """
    if not len(gaps_s):
        return {}
    gaps = s_to_ms(np.asarray(gaps_s, dtype=float))
    return {"itl_mean_ms": float(gaps.mean()), "itl_p99_ms": float(np.percentile(gaps, 99))}


def add_requests(gathered: Gathered, run: Run, common: Row) -> None:
    """Add one row per request that succeeded.

    Parameters
    ----------
    gathered
        Where rows, reasons and assumptions go.
    run
        One result with arrays, times in seconds.
    common
        Columns with one value for the run (model, concurrency, ...).
    """
    arrays = _arrays(run)
    kept: list[Row] = []
    for index, ttft in enumerate(arrays["ttfts"]):
        row = _request(arrays, index, ttft)
        if row is None:
            gathered.dropped[FAILED] += 1
            continue
        chunks = row.pop("_chunks")
        if chunks is not None and chunks != row["osl"]:
            gathered.chunked.append(len(gathered.rows) + len(kept))
        kept.append({**row, **common})
    _add_burst_load(gathered, arrays, kept, run)
    gathered.rows += kept


def _arrays(run: Run) -> dict[str, Any]:
    """Arrays of a run by name; all that are there must be of one length."""
    names = (
        "ttfts", "itls", "input_lens", "output_lens", "errors", "latencies", "start_times",
        "queue_times", "server_queue_times", "server_ttfts", "cached_tokens",
    )  # fmt: skip
    found = {name: run[name] for name in names if isinstance(run.get(name), list)}
    size = len(found["ttfts"])
    for name, values in found.items():
        if len(values) != size:
            raise damaged(
                "the lists of a run must have one entry per request",
                f"{len(values)} {name} and {size} ttfts",
            )
    return found


def _request(arrays: Mapping[str, Any], index: int, ttft: Any) -> Row | None:
    def entry(name: str) -> Any:
        return arrays[name][index] if name in arrays else None

    first = number(ttft, "ttft")
    osl = tokens(entry("output_lens"), "output_lens")
    if entry("errors") or not first > 0:
        return None
    gaps = numbers(entry("itls"), "itls")
    last = first + float(gaps.sum())
    latency = number(entry("latencies"), "latencies")
    end = latency if latency > 0 else last if "itls" in arrays else math.nan
    chunks = len(gaps) + 1 if "itls" in arrays else None
    isl = tokens(entry("input_lens"), "input_lens")
    tpot = _tpot(first, last if len(gaps) else end, osl)
    row = request_row(ttft=first, end=end, isl=isl, osl=osl, tpot=tpot, clock="client")
    cached = number(entry("cached_tokens"), "cached_tokens")
    extra = {
        "cached_tokens": min(cached, isl - 1) if cached == cached else cached,
        "queue_ms": s_to_ms(number(entry("server_queue_times"), "server_queue_times")),
        "client_queue_ms": s_to_ms(number(entry("queue_times"), "queue_times")),
        "ttft_server_ms": s_to_ms(number(entry("server_ttfts"), "server_ttfts")),
        "chunks": chunks,
    }
    return {**row, **extra, **gap_columns(gaps), "_chunks": chunks if osl == osl else None}


def _tpot(first: float, last: float, osl: float) -> float:
    """Mean time per token after the first, s; unknown when all tokens came at once."""
    return (last - first) / (osl - 1) if osl >= 2 and last > first else math.nan


def _add_burst_load(
    gathered: Gathered, arrays: Mapping[str, Any], rows: list[Row], run: Run
) -> None:
    """Say how many requests ran at once where all were sent at once and none were held back."""
    if not rows or any(rows[0].get(name) is not None for name in ("concurrency", "request_rate")):
        return
    if "start_times" in arrays:
        start = numbers(arrays["start_times"], "start_times")
        ends = [
            begin + (row_end if row_end == row_end else 0.0)
            for begin, row_end in zip(start, _ends(arrays), strict=True)
        ]
        good = [i for i, ttft in enumerate(arrays["ttfts"]) if _request(arrays, i, ttft)]
        stop = np.asarray(ends)
        for row, value in zip(
            rows, in_flight(start[good], stop[good], among=(start, stop)), strict=True
        ):
            row["concurrency"] = float(value)
        how = "the mean number in flight while each request ran"
    else:
        at_once = number(run.get("max_concurrent_requests"), "max_concurrent_requests")
        at_once = at_once if at_once >= 1 else float(len(rows))
        for row in rows:
            row["concurrency"] = at_once
        how = f"{at_once:,.0f}, the most that can have run at once"
    gathered.assumptions.append(
        f"no limit on concurrency or rate was set, so all requests were sent at once: concurrency "
        f"is {how}"
    )


def _ends(arrays: Mapping[str, Any]) -> list[float]:
    """Seconds from send to end of every request, failed ones too."""
    ends = []
    for index, ttft in enumerate(arrays["ttfts"]):
        latency = number(arrays["latencies"][index], "latencies") if "latencies" in arrays else 0.0
        gaps = numbers(arrays["itls"][index], "itls") if "itls" in arrays else np.empty(0)
        ends.append(latency if latency > 0 else number(ttft, "ttft") + float(gaps.sum()))
    return ends


def statistics_row(run: Run, names: Mapping[str, str]) -> Row:
    """Make one row of the statistics of a run: means as times, the rest as extra columns.

    Parameters
    ----------
    run
        Result with keys such as ``mean_ttft_ms`` and ``p99_ttft_ms``, milliseconds.
    names
        Word of the tool for each column: ``{"ttft_ms": "ttft", "e2e_ms": "e2el"}``.

    Examples
    --------
    >>> run = {"mean_ttft_ms": 30.0, "p99_ttft_ms": 60.0, "completed": 4, "total_input_tokens": 40}
    >>> row = statistics_row(run, {"ttft_ms": "ttft"})
    >>> row["ttft_ms"], row["ttft_p99_ms"], row["isl_mean"]
    (30.0, 60.0, 10.0)
    """
    count = number(run.get("completed"), "completed")
    row: Row = {"phase": "request", "statistic": "mean", "n_requests": count, "clock": "client"}
    for column, word in names.items():
        for key, value in run.items():
            kind, _, rest = key.partition("_")
            if rest != f"{word}_ms" or not isinstance(value, (int, float)):
                continue
            label = {"median": "p50", "std": "stddev"}.get(kind, kind.replace(".", "p"))
            row[column if label == "mean" else statistic_column(column, label)] = float(value)
    for column, key in (("isl_mean", "total_input_tokens"), ("osl_mean", "total_output_tokens")):
        total = number(run.get(key), key)
        row[column] = float(round(total / count)) if count > 0 and total > 0 else math.nan
    return _itl_apart(row)


def _itl_apart(row: Row) -> Row:
    """Name the mean of single gaps as the rows of requests do."""
    if "itl_ms" in row:
        row["itl_mean_ms"] = row.pop("itl_ms")
    return row
