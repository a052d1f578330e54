"""Runs of one benchmark client as vLLM and SGLang write them: arrays with one entry per request.

The two clients have one ancestor, and so the same arrays (seconds): ``ttfts``, ``itls`` (gaps
between chunks), ``input_lens``, ``output_lens``, ``errors``. Without the arrays a run holds only
statistics, which make one row.

A failed request has an error, ttft 0 or no output tokens; it is left out and counted by reason. The
last token came at ttft + sum(itls). With speculative decoding, or when chunks coalesce, there are
fewer gaps than tokens: single gaps say little, while (last - first token) / (osl - 1) stays right.
With as many gaps as tokens the last is that of an empty chunk, in which some servers send why they
stopped: it is left out. A run without any gap was not streamed: its "ttft" is the time of the whole
answer.

Where the server told the client no counts, vLLM's client counts the text with its own tokenizer and
SGLang's takes the length that was asked for; the file does not say which it was.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lengthwise.data.formats.base import Parsed
from lengthwise.data.formats.failures import failure_of
from lengthwise.data.formats.fields import (
    Row,
    damaged,
    number,
    numbers,
    parsed,
    request_row,
    tokens,
)
from lengthwise.data.formats.serving_load import add_load
from lengthwise.data.report import Flag
from lengthwise.units import counted, s_to_ms

NOT_STREAMED = "the run was not streamed: its requests have e2e_ms, no ttft_ms and no tpot_ms"

Run = Mapping[str, Any]


@dataclass
class Gathered:
    """Rows of several runs and the account of them, filled run by run."""

    rows: list[Row] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    assumptions: list[str] = field(default_factory=list)
    chunked: list[int] = field(default_factory=list)
    explained: bool = True

    def parsed(self, *flags: Flag) -> Parsed:
        """Put everything together; requests that came in chunks are flagged."""
        return parsed(
            self.rows, dropped=self.dropped, assumptions=self.assumptions,
            flags=[*flags, *self._chunk_flags()],
        )  # fmt: skip

    def _chunk_flags(self) -> list[Flag]:
        if not self.chunked:
            return []
        index = self.chunked[0]
        row = self.rows[index]
        seen = (
            f"{counted(len(self.chunked), 'request')} came in another number of chunks than tokens "
            f"(row {index}: {row['chunks']:g} chunks, {row['osl']:g} tokens): itl_mean_ms and "
            "itl_p99_ms are of gaps between chunks"
        )
        if self.explained:
            remedy = "nothing to do: tpot_ms is computed from the count of tokens"
            return [Flag.of("tokens in chunks", "info", self.chunked, seen, remedy)]
        remedy = (
            "nothing to do if the server sends several tokens at once; if it sends each alone, the "
            "tool counted with a tokenizer that is not the model's: --map osl=chunks --map "
            "tpot_ms=itl_mean_ms"
        )
        return [Flag.of("tokens in chunks", "warning", self.chunked, seen, remedy)]


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
        Columns with one value for the run (model, tp, ...).
    """
    arrays = _arrays(run)
    streamed = _was_streamed(arrays)
    if not streamed:
        gathered.assumptions.append(NOT_STREAMED)
    kept: list[Row] = []
    good: list[int] = []
    for index, ttft in enumerate(arrays["ttfts"]):
        reason = failure_of(arrays, index)
        if reason:
            gathered.dropped[reason] += 1
            continue
        row = _request(arrays, index, ttft, streamed)
        chunks = row.pop("_chunks")
        if chunks is not None and chunks != row["osl"]:
            gathered.chunked.append(len(gathered.rows) + len(kept))
            gathered.explained &= number(common.get("spec_acceptance_length"), "acceptance") > 1
        kept.append({**row, **common})
        good.append(index)
    add_load(kept, run, gathered.assumptions, arrays=arrays, good=good)
    gathered.rows += kept


def _arrays(run: Run) -> dict[str, Any]:
    """Arrays of a run by name; all that are there must be of one length."""
    names = (
        "ttfts", "itls", "input_lens", "output_lens", "errors", "latencies", "start_times",
        "queue_times", "server_queue_times", "server_ttfts", "cached_tokens", "finish_reasons",
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


def _was_streamed(arrays: Mapping[str, Any]) -> bool:
    """Say whether any answer of several tokens came in more than one piece."""
    if "itls" not in arrays:
        return True
    sizes = arrays.get("output_lens") or [2] * len(arrays["ttfts"])
    several = [gaps for gaps, n in zip(arrays["itls"], sizes, strict=True)
               if number(n, "output_lens") >= 2]  # fmt: skip
    return not several or any(bool(gaps) for gaps in several)


def _request(arrays: Mapping[str, Any], index: int, ttft: Any, streamed: bool) -> Row:
    def entry(name: str) -> Any:
        return arrays[name][index] if name in arrays else None

    first = number(ttft, "ttft")
    osl = tokens(entry("output_lens"), "output_lens")
    gaps = numbers(entry("itls"), "itls")
    last = first + float(gaps.sum())
    latency = number(entry("latencies"), "latencies")
    end = latency if latency > 0 else last if "itls" in arrays else math.nan
    gaps = gaps[:-1] if len(gaps) == osl else gaps  # the empty chunk at the end
    last = first + float(gaps.sum())
    chunks = len(gaps) + 1 if streamed and "itls" in arrays else None
    isl = tokens(entry("input_lens"), "input_lens")
    tpot = _tpot(first, last if len(gaps) else end, osl) if streamed else math.nan
    row = request_row(ttft=first if streamed else math.nan, end=end, isl=isl, osl=osl, tpot=tpot,
                      clock="client")  # fmt: skip
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
