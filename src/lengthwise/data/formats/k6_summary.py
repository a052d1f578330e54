"""k6: the summary of a load test (``--summary-export`` or ``handleSummary``), means of a run.

k6 times HTTP, not tokens: ``http_req_duration`` is E2E, and ``http_req_waiting`` runs to the first
byte, which a server may send long before its first token. It is kept as ``ttfb_ms``; TTFT, time per
token and lengths come only from metrics that the script adds, under names such as ``ttft``,
``time_to_first_token``, ``tpot``, ``prompt_tokens``. The requests in flight follow from Little's
law, requests per second x mean E2E.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.aggregates import mean_note, statistic_column
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, number, parsed
from lengthwise.data.formats.loads import fill_load, little
from lengthwise.data.report import Flag
from lengthwise.units import ms_to_s

NAME = "k6"
TITLE = "k6 summary"

_GOOD = "http_req_duration{expected_response:true}"
_FIRST_BYTE = "ttfb_ms, the first byte, is not the first token"
_KINDS = {"avg": "mean", "med": "p50", "min": "min", "max": "max"}
_MS_PER = {"ms": 1.0, "s": 1e3, "seconds": 1e3, "us": 1e-3, "ns": 1e-6, "milliseconds": 1.0}
_OWN = {
    "ttft_ms": ("ttft", "time_to_first_token", "first_token_latency", "first_token_time"),
    "tpot_ms": ("tpot", "time_per_output_token", "inter_token_latency"),
    "isl": ("prompt_tokens", "input_tokens", "tokens_in"),
    "osl": ("completion_tokens", "output_tokens", "generated_tokens", "tokens_out"),
}
_PREFIX = re.compile(r"^(?:llm|vllm|chat|openai|genai|gen_ai|inference|custom)_")


def matches(document: Document) -> bool:
    """Whether this is the summary of a run that timed HTTP requests."""
    data = document.json
    metrics = data.get("metrics") if isinstance(data, Mapping) else None
    return isinstance(metrics, Mapping) and {"http_req_duration", "http_reqs"} <= set(metrics)


def read(document: Document) -> Parsed:
    """Read the run as one row of means, and its failed requests as a count."""
    metrics = {str(name): _values(block) for name, block in document.json["metrics"].items()}
    count = number(metrics["http_reqs"].get("count"), "http_reqs")
    failed = round(count * _share_failed(metrics)) if count > 0 else 0
    dropped = Counter({"failed request": failed})
    if not count - failed >= 1:
        return parsed([], dropped=+dropped)
    timed = metrics.get(_GOOD) or metrics["http_req_duration"]
    row: Row = {"phase": "request", "statistic": "mean", "clock": "client",
                "n_requests": count - failed}  # fmt: skip
    row |= _statistics(timed, "e2e_ms", 1.0)
    row["ttfb_ms"] = number(metrics.get("http_req_waiting", {}).get("avg"), "http_req_waiting")
    flags = [] if _GOOD in metrics or not failed else [_mixed(failed)]
    kinds = {str(n): b for n, b in document.json["metrics"].items() if isinstance(b, Mapping)}
    flags += _own_metrics(row, metrics, kinds, count - failed)
    notes = [
        mean_note(count - failed),
        *_load(row, metrics),
        "ttfb_ms, the first byte, is not the first token",
    ]
    return parsed([row], dropped=+dropped, assumptions=notes, flags=flags)


def _values(block: Any) -> Mapping[str, Any]:
    """Return the values of a metric, which handleSummary holds in an object of their own."""
    if not isinstance(block, Mapping):
        return {}
    inner = block.get("values")
    return inner if isinstance(inner, Mapping) else block


def _share_failed(metrics: Mapping[str, Mapping[str, Any]]) -> float:
    """Return the share of failed requests: ``rate`` of handleSummary, ``value`` of an export."""
    block = metrics.get("http_req_failed", {})
    found = number(block.get("rate", block.get("value")), "http_req_failed")
    return found if 0 <= found <= 1 else 0.0


def _statistics(block: Mapping[str, Any], column: str, factor: float) -> Row:
    row: Row = {}
    for name, value in block.items():
        share = re.fullmatch(r"p\(([\d.]+)\)", str(name))
        label = f"p{share[1]}".replace(".", "p") if share else _KINDS.get(str(name))
        if label and isinstance(value, (int, float)):
            row[column if label == "mean" else statistic_column(column, label)] = factor * value
    return row


def _own_metrics(
    row: Row, metrics: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, Mapping[str, Any]],
    count: float,
) -> list[Flag]:  # fmt: skip
    """Write metrics of the script into the row; return flags for those of unknown unit."""
    flags = []
    for name, block in metrics.items():
        column, unit = _meaning(name)
        if column in ("isl", "osl"):
            mean = block.get("avg", number(block.get("count"), name) / count)
            row[column] = number(mean, name)
        elif column and "avg" in block:
            known = 1.0 if kinds[name].get("contains") == "time" else None
            factor = _MS_PER.get(unit, known)
            if factor is None:
                flags.append(_no_unit(name, column))
            else:
                row |= _statistics(block, column, factor)
    return flags


def _meaning(name: str) -> tuple[str, str]:
    """Return the column a metric is of and the unit in its name, both empty when it is none."""
    plain = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()).strip("_")
    plain = _PREFIX.sub("", plain)
    stem, _, unit = plain.rpartition("_")
    stem, unit = (stem, unit) if unit in _MS_PER else (plain, "")
    stem = stem.removesuffix("_total")
    return next((column for column, names in _OWN.items() if stem in names), ""), unit


def _load(row: Row, metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rate = number(metrics["http_reqs"].get("rate"), "http_reqs rate")
    mean = number(metrics["http_req_duration"].get("avg"), "http_req_duration avg")
    row["vus_max"] = number(metrics.get("vus_max", {}).get("max"), "vus_max")
    return fill_load([row], mean=little(rate, ms_to_s(mean)))


def _mixed(failed: int) -> Flag:
    return Flag.of(
        "failed requests in the means", "warning", [0],
        f"{failed:,} failed requests are in the times of this summary, which has no "
        "http_req_duration{expected_response:true}",
        "run it again without failures, or keep the default of setResponseCallback",
    )  # fmt: skip


def _no_unit(name: str, column: str) -> Flag:
    return Flag.of(
        "unit not known",
        "warning",
        [0],
        f"the metric {name} looks like {column}, but the summary does not say its unit: left out",
        f"declare it with new Trend('{name}', true), which means ms, or name it {name}_ms",
    )
