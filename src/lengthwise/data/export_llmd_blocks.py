"""Statistics over requests and the scenario behind them, as blocks of an llm-d report."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.data.formats.aggregates import STATISTICS, statistic_column
from lengthwise.data.schema import DEPLOYMENT
from lengthwise.units import MS_PER_S, FloatArray

Report = dict[str, Any]

_PERCENT = {"p0p1": 0.1, "p99p9": 99.9}


def blocks_of(stage: pd.DataFrame, columns: dict[str, tuple[str, str]]) -> Report:
    """Describe columns, given by name of the block: (column, unit); empty ones are left out."""
    blocks = {}
    for name, (column, unit) in columns.items():
        block = _block(stage, column, 1 / MS_PER_S if column.endswith("_ms") else 1.0)
        if block:
            blocks[name] = {"units": unit, **block}
    return blocks


def _block(stage: pd.DataFrame, column: str, factor: float) -> dict[str, float]:
    """All statistics of a column over the requests, or those a mean row came with."""
    if first_of(stage, "statistic") is not None:
        given = {s: first_of(stage, statistic_column(column, s)) for s in STATISTICS}
        if given["mean"] is None:
            given["mean"] = first_of(stage, column)
        known = {s: factor * float(value) for s, value in given.items() if value is not None}
        return known if "mean" in known else {}
    values = values_of(stage, column) * factor
    if not len(values):
        return {}
    percents = [s for s in STATISTICS if s[0] == "p"]
    at = np.percentile(values, [_PERCENT.get(s) or float(s[1:]) for s in percents])
    return {
        "mean": float(values.mean()), "stddev": float(values.std()), "min": float(values.min()),
        **dict(zip(percents, at.tolist(), strict=True)), "max": float(values.max()),
    }  # fmt: skip


def load_of(stage: pd.DataFrame, number: int) -> Report:
    """Describe the load: rate or concurrency, lengths, and the tool."""
    tool = first_of(stage, "load_tool")
    standardized: Report = {
        "tool": tool or "lengthwise",
        "tool_version": "unknown" if tool else version("lengthwise"),
        "parallelism": 1, "source": "unknown",
        "stage": int(first_of(stage, "stage") or number),
        "input_seq_len": _distribution(stage, "isl") or {"distribution": "other", "value": 0},
    }  # fmt: skip
    if output := _distribution(stage, "osl"):
        standardized["output_seq_len"] = output
    if (rate := first_of(stage, "request_rate")) is not None:
        standardized["rate_qps"] = float(rate)
    concurrency = first_of(stage, "concurrency") or first_of(stage, "batch_size")
    if concurrency is not None:
        standardized["concurrency"] = int(concurrency)
    metadata = {"schema_version": "0.0.1", "cfg_id": _short_hash(standardized)}
    return {"metadata": metadata, "standardized": standardized, "native": {}}


def _distribution(stage: pd.DataFrame, column: str) -> Report | None:
    block = _block(stage, column, 1.0)
    if not block:
        return None
    low, high = block.get("min", block["mean"]), block.get("max", block["mean"])
    if low == high:
        return {"distribution": "fixed", "value": block["mean"]}
    spread = {"std_dev": block["stddev"]} if "stddev" in block else {}
    ends = {"min": int(low), "max": int(high)}
    return {"distribution": "other", "value": block["mean"], **spread, **ends}


def stack_of(stage: pd.DataFrame) -> list[Report]:
    """Describe the engine; the format asks for model and accelerator, so none without both."""
    label = {name: first_of(stage, name) for name in DEPLOYMENT}
    if label["model"] is None or label["hardware"] is None:
        return []
    parallel = {name: int(label[name] or 1) for name in ("dp", "ep", "pp", "tp")}
    devices = parallel["dp"] * parallel["pp"] * max(parallel["tp"], parallel["ep"])
    standardized: Report = {
        "kind": "inference_engine", "tool": label["engine"] or "unknown",
        "tool_version": label["engine_version"] or "unknown", "role": "replica",
        "replicas": int(first_of(stage, "replicas") or 1), "model": {"name": label["model"]},
        "accelerator": {"model": label["hardware"], "count": devices, "parallelism": parallel},
    }  # fmt: skip
    metadata = {
        "schema_version": "0.0.1", "label": "engine-0", "cfg_id": _short_hash(standardized),
    }  # fmt: skip
    native = {"args": {"precision": label["precision"]}} if label["precision"] else {}
    return [{"metadata": metadata, "standardized": standardized, "native": native}]


def values_of(stage: pd.DataFrame, column: str) -> FloatArray:
    """Give the known values of a column; empty when it is missing."""
    if column not in stage:
        return np.empty(0)
    return np.asarray(stage[column].dropna().to_numpy(dtype=float))


def first_of(stage: pd.DataFrame, column: str) -> Any:
    """Give the first known value of a column, None when there is none."""
    known = stage[column].dropna() if column in stage else pd.Series(dtype=object)
    return known.iloc[0] if len(known) else None


def _short_hash(value: Report) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
