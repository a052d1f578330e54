"""InferenceX, formerly InferenceMAX: ``agg_*.json``, the means of one point of a sweep.

One object, a list of them, or one a line. Times are in seconds although vLLM's client, whose
numbers they are, works in milliseconds; ``intvty`` (tokens/s per user) is 1 / TPOT. Each of
``conc`` clients sends a request as soon as it has an answer, without a rate. ``isl`` and ``osl``
are the lengths asked for; the prompts of a run vary below them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.aggregates import statistic_column
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, first, number, parsed
from lengthwise.data.formats.loads import fill_load
from lengthwise.data.formats.request_records import Record, disagreement, records, sample
from lengthwise.units import MS_PER_S

NAME = "inferencex"
TITLE = "InferenceX (InferenceMAX)"

_INSIDE = ("results", "benchmarks", "data")
_WORDS = {"ttft_ms": "ttft", "tpot_ms": "tpot", "e2e_ms": "e2el", "itl_ms": "itl"}
_KINDS = {"mean": "mean", "median": "p50", "std": "stddev"}
_SETTINGS = (
    "dp_attention", "mtp", "spec_decoding", "disagg", "is_multinode", "prefill_tp", "prefill_ep",
    "prefill_pp", "prefill_dp_attention", "prefill_num_workers", "prefill_hw", "decode_tp",
    "decode_ep", "decode_pp", "decode_dp_attention", "decode_num_workers", "decode_hw",
    "num_prefill_gpu", "num_decode_gpu", "dcp_size", "pcp_size", "offloading",
)  # fmt: skip
_OWN = {"tput_per_gpu", "output_tput_per_gpu", "mean_intvty", "median_intvty"}
_PRINTED = ("tput_per_gpu", "output_tput_per_gpu", "input_tput_per_gpu")
_NOTE = (
    "each row is the means of a run at its lengths asked for; conc clients were busy all along, "
    "without a rate"
)


def matches(document: Document) -> bool:
    """Whether records have the hardware, the clients and the figures of a run."""
    return any(_is_point(_flat(record)) for record in sample(document, _INSIDE)[:1])


def read(document: Document) -> Parsed:
    """Read one row of means per point."""
    dropped: Counter[str] = Counter()
    rows: list[Row] = []
    told: list[float] = []
    for record in map(_flat, records(document, _INSIDE)):
        row = _row(record) if _is_point(record) else {}
        if row.get("ttft_ms", 0.0) > 0 or row.get("tpot_ms", 0.0) > 0:
            clients = number(first(record.get("conc"), record.get("concurrency")), "conc")
            fill_load([row], clients=clients if clients >= 1 else None)
            rows.append(row)
            told.append(_per_token(record))
        else:
            dropped["point without a time"] += 1
    flags = disagreement(rows, told, [row.get("tpot_ms", math.nan) for row in rows],
                         "1 / mean_intvty")  # fmt: skip
    return parsed(rows, dropped=dropped, assumptions=[_NOTE] if rows else [], flags=flags)


def _is_point(record: Record) -> bool:
    named = {"hw", "hardware"} & set(record) and {"conc", "concurrency"} & set(record)
    return bool(named) and bool(set(record) & _OWN)


def _per_token(record: Record) -> float:
    """Return the time per token that the printed interactivity means, ms; NaN when unknown."""
    if "scenario_type" in record:  # a mean over requests there, not the inverse of one
        return math.nan
    each = number(record.get("mean_intvty"), "mean_intvty")
    return MS_PER_S / each if each > 0 else math.nan


def _flat(record: Record) -> dict[str, Any]:
    """Put metrics that are held in an object of their own beside the rest."""
    metrics = record.get("metrics")
    return {**record, **(metrics if isinstance(metrics, Mapping) else {})}


def _row(record: Record) -> Row:
    row: Row = {"phase": "request", "statistic": "mean", "clock": "client"}
    for column, word in _WORDS.items():
        for key, value in record.items():
            kind, sign, rest = key.partition("_")
            label = _KINDS.get(kind, kind.replace(".", "p"))
            if sign and rest == word and (kind in _KINDS or kind.startswith("p")):
                name = column if label == "mean" else statistic_column(column, label)
                row[name] = MS_PER_S * number(value, key)
    row["itl_mean_ms"] = row.pop("itl_ms", None)
    lengths = (("isl", "mean_input_tokens"), ("osl", "mean_output_tokens_actual"))
    row |= {name: first(record.get(name), record.get(other)) for name, other in lengths}
    image = first(record.get("image"), record.get("version"))
    multi = {name: record.get(name) for name in ("tp", "ep", "pp")}
    return {
        **row, **multi, "model": record.get("model"),
        "hardware": first(record.get("hw"), record.get("hardware")),
        "engine": record.get("framework"), "precision": record.get("precision"),
        "engine_version": str(image).rpartition(":")[2] if image else None,
        **{name: record[name] for name in (*_SETTINGS, *_PRINTED) if name in record},
    }  # fmt: skip
