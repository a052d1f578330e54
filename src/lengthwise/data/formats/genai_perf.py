"""genai-perf: ``profile_export_genai_perf.json``, a summary per metric.

The same shape as the summary of its successor AIPerf; other tools wrap it in an object. Tokens are
those of its own tokenizer, never the server's: with another than the model's, TPOT is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import MISMATCH, Row, at, first, number, parsed
from lengthwise.data.formats.loads import fill_means
from lengthwise.data.formats.metric_blocks import TIMES, requests_per_s, summary_row
from lengthwise.data.report import Flag

NAME = "genai-perf"
TITLE = "genai-perf"

_AIPERF = {"aiperf_version", "was_cancelled", "error_summary", "records"}

COUNTED = "tokens are counted by the tool's own tokenizer: tpot_ms holds if that is the model's"


def matches(document: Document) -> bool:
    """Whether an object, or one inside it, has metrics of this tool and no version of AIPerf."""
    return any(_summary(found) is not None for found in document.objects[:1])


def read(document: Document) -> Parsed:
    """One row of means per summary."""
    rows: list[Row] = []
    flags: list[Flag] = []
    notes = [COUNTED]
    for outer in document.objects:
        found = _summary(outer)
        if found is not None:
            row, seen = summary_row(found)
            config = found.get("input_config")
            rows.append({**row, "model": _model(config)})
            notes += fill_means(rows[-1], **_offer(config), requests_per_s=requests_per_s(found))
            flags += [*seen, *_more_than_asked(found, len(rows) - 1)]
    return parsed(rows, flags=flags, assumptions=notes)


def _more_than_asked(found: Mapping[str, Any], row: int) -> list[Flag]:
    """Flag answers longer than the length that was asked for: they were counted wrongly."""
    wanted = at(found, "input_config", "input", "output_tokens")
    spread = number(at(wanted, "stddev"), "output_tokens.stddev")
    asked = number(at(wanted, "mean"), "output_tokens.mean") + 3 * (spread if spread > 0 else 0.0)
    told = number(at(found, "output_sequence_length", "avg"), "output_sequence_length")
    if not (asked > 0 and told > (1 + MISMATCH) * asked):
        return []
    return [Flag.of(
        "token counts differ", "warning", [row],
        f"{asked:g} output tokens were asked for, and the tool counts {told:g} on average",
        "give genai-perf the tokenizer of the model (--tokenizer): its per-token times are wrong "
        "by this factor",
    )]  # fmt: skip


def _summary(found: Any, depth: int = 2) -> Mapping[str, Any] | None:
    if not isinstance(found, Mapping) or _AIPERF & set(found):
        return None
    blocks = [name for name in TIMES.values() if _is_block(found.get(name))]
    if blocks and ("input_config" in found or len(blocks) > 1):
        return found
    inner = (_summary(value, depth - 1) for value in found.values()) if depth else ()
    return next((value for value in inner if value is not None), None)


def _is_block(value: Any) -> bool:
    return isinstance(value, Mapping) and {"unit", "avg"} <= set(value)


def _model(config: Any) -> Any:
    models = first(at(config, "model_names"), at(config, "model"), at(config, "endpoint", "model"))
    return models[0] if isinstance(models, list) and models else models


def _offer(config: Any) -> dict[str, Any]:
    stimulus = at(config, "perf_analyzer", "stimulus")  # {"concurrency": 8} in the last versions
    return {
        "concurrency": first(at(config, "concurrency"), at(stimulus, "concurrency")),
        "rate": first(at(config, "request_rate"), at(stimulus, "request_rate")),
    }
