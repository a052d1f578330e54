"""``vllm bench forward``: exact batch shapes, timed on the device.

Each case lists its sequences as ``query_len`` new tokens and ``kv_len`` tokens after the step, the
new ones included: q_i and c_i of :mod:`lengthwise.domain.work`. Times are microseconds, each
replay the slowest rank. A sequence with a prefix whose query is one token (and its drafts) decodes;
everything else prefills.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, at, damaged, number, parsed
from lengthwise.data.report import Flag
from lengthwise.units import counted

NAME = "vllm-forward"
TITLE = "vLLM bench forward"

UNSTABLE_PCT = 0.5
"""Spread of sample medians from which the tool itself calls a timing unstable, per cent."""


def matches(document: Document) -> bool:
    """Whether the list has cases of this tool."""
    cases = document.json
    return (
        isinstance(cases, list) and bool(cases) and isinstance(cases[0], dict)
        and {"case", "requests", "median_us"} <= set(cases[0])
    )  # fmt: skip


def read(document: Document) -> Parsed:
    """One row per case."""
    rows = [_row(case) for case in document.objects]
    shaky = [index for index, row in enumerate(rows) if row["sample_spread_pct"] > UNSTABLE_PCT]
    return parsed(rows, flags=[] if not shaky else [Flag.of(
        "unstable timing", "warning", shaky,
        f"sample medians of {counted(len(shaky), 'case')} spread over {UNSTABLE_PCT} %",
        "measure these again on an idle device with fixed clocks",
    )])  # fmt: skip


def step_of(sequences: Sequence[tuple[float, float]], decodes: Sequence[bool]) -> Row:
    """Describe a step by its sequences: prefill, decode or mixed, with exact sums.

    Parameters
    ----------
    sequences
        ``(query_len, context_len)`` of each, tokens; the context holds the new tokens.
    decodes
        Whether each of them decodes.

    Examples
    --------
    >>> step_of([(1, 100), (1, 300)], [True, True])["context_len"]
    200.0
    >>> step_of([(8, 8), (1, 100)], [False, True])["sum_query_x_context"]
    164.0
    """
    n = float(len(sequences))
    query, context = ([pair[i] for pair in sequences] for i in (0, 1))
    step: Row = {"batch_size": n}
    if all(decodes) and max(query) == 1:
        # Work of a decode is linear in the context, so a mean over sequences loses nothing.
        return step | {"phase": "decode", "context_len": sum(context) / n}
    if not any(decodes) and len(set(sequences)) == 1:
        return step | {
            "phase": "prefill",
            "isl": context[0],
            "cached_tokens": context[0] - query[0],
        }
    return step | {
        "phase": "mixed", "sum_query_len": float(sum(query)),
        "sum_context_len": float(sum(context)),
        "sum_query_x_context": float(sum(q * c for q, c in sequences)),
    }  # fmt: skip


def _row(case: dict[str, Any]) -> Row:
    requests = case["requests"]
    if not isinstance(requests, list) or not requests:
        raise damaged("a case must list its requests", repr(requests)[:60])
    sequences, decodes = [], []
    for request in requests:
        query = number(at(request, "query_len"), "query_len")
        context = number(at(request, "kv_len"), "kv_len")
        if not 1 <= query <= context:
            raise damaged("1 <= query_len <= kv_len must hold", f"{query:g} and {context:g}")
        drafts = number(at(request, "num_draft_tokens"), "num_draft_tokens")
        sequences.append((query, context))
        decodes.append(context > query and query == 1 + (drafts if drafts > 0 else 0))
    ranks = case.get("ranks")
    rank = ranks[0] if isinstance(ranks, list) and ranks else {}
    timing = at(rank, "latency_us")
    return {
        **step_of(sequences, decodes),
        "latency_ms": number(case["median_us"], "median_us") / 1e3,
        "case": case["case"], "clock": "server", "engine": "vllm", "timer": at(timing, "timer"),
        "latency_stddev_ms": number(at(timing, "std"), "std") / 1e3,
        "samples": number(at(timing, "count"), "count"),
        "sample_spread_pct": number(at(timing, "sample_spread_pct"), "sample_spread_pct"),
        "routing": at(rank, "routing"), "ranks": len(ranks) if isinstance(ranks, list) else None,
    }  # fmt: skip
