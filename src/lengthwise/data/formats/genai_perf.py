"""genai-perf: ``profile_export_genai_perf.json``, a summary per metric.

The same shape as the summary of its successor AIPerf; other tools wrap it in an object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, at, first, parsed
from lengthwise.data.formats.metric_blocks import summary_row

NAME = "genai-perf"
TITLE = "genai-perf"


def matches(document: Document) -> bool:
    """Whether an object, or one inside it, has metrics of this tool and no version of AIPerf."""
    return any(_summary(found) is not None for found in document.objects[:1])


def read(document: Document) -> Parsed:
    """One row of means per summary."""
    rows, flags = [], []
    for outer in document.objects:
        found = _summary(outer)
        if found is not None:
            row, seen = summary_row(found)
            rows.append({**row, **_config(found.get("input_config"))})
            flags += seen
    return parsed(rows, flags=flags)


def _summary(found: Any, depth: int = 2) -> Mapping[str, Any] | None:
    if not isinstance(found, Mapping) or "aiperf_version" in found:
        return None
    block = found.get("request_latency")
    if isinstance(block, Mapping) and {"unit", "avg"} <= set(block) and "input_config" in found:
        return found
    inner = (_summary(value, depth - 1) for value in found.values()) if depth else ()
    return next((value for value in inner if value is not None), None)


def _config(config: Any) -> Row:
    models = first(at(config, "model_names"), at(config, "model"), at(config, "endpoint", "model"))
    stimulus = at(config, "perf_analyzer", "stimulus")  # {"concurrency": 8} in the last versions
    return {
        "model": models[0] if isinstance(models, list) and models else models,
        "concurrency": first(at(config, "concurrency"), at(stimulus, "concurrency")),
        "request_rate": first(at(config, "request_rate"), at(stimulus, "request_rate")),
    }
