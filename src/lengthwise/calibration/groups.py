"""From a measurement table to what is fitted: distinct points of one deployment and phase.

Repeats of a point are one point: its time is their median, which one slow repeat cannot move. A
request is turned into the steps it consists of: its TTFT is a prefill step, its TPOT the mean of
its decode steps, which, being affine in context, is the step at the mean context.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lengthwise.data.checks import usable
from lengthwise.data.identity import deployment_of
from lengthwise.data.points import POINT_COLUMNS
from lengthwise.data.schema import DEPLOYMENT
from lengthwise.data.work import work_of
from lengthwise.domain.model import ModelSpec, find_model
from lengthwise.domain.work import Work
from lengthwise.units import FloatArray, ms_to_s


@dataclass(frozen=True)
class Group:
    """Distinct points of one deployment and phase.

    Attributes
    ----------
    deployment, phase
        What was measured.
    work
        Work of the n points.
    y_s
        Median time of each point, shape (n,), seconds.
    repeats
        Rows behind each point, shape (n,).
    noise
        Median relative deviation of repeats from their point, NaN without repeats.
    labels
        The deployment columns with their values.
    spec
        Architecture of the model, when known.
    """

    deployment: str
    phase: str
    work: Work
    y_s: FloatArray
    repeats: FloatArray
    noise: float
    labels: dict[str, object]
    spec: ModelSpec | None

    def __len__(self) -> int:
        return len(self.y_s)


def step_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Turn request rows into prefill and decode rows; step rows pass through.

    Parameters
    ----------
    table
        A prepared measurement table. Requests without a batch take their concurrency for it.

    Examples
    --------
    >>> request = {"phase": ["request"], "isl": [100], "osl": [11], "ttft_ms": [20.0],
    ...            "tpot_ms": [5.0], "batch_size": [1.0]}
    >>> step_rows(pd.DataFrame(request))[["phase", "latency_ms", "context_len"]].values.tolist()
    [['prefill', 20.0, nan], ['decode', 5.0, 106.0]]
    """
    is_request = (table["phase"] == "request").to_numpy()
    if not is_request.any():
        return table
    requests = table[is_request].copy()
    batch = (
        requests["batch_size"] if "batch_size" in requests else pd.Series(np.nan, requests.index)
    )
    if "concurrency" in requests:
        batch = batch.fillna(requests["concurrency"])
    requests["batch_size"] = batch.fillna(1.0)
    parts = [table[~is_request]]
    drop = [c for c in ("latency_ms", "context_len", "query_len") if c in requests]
    requests = requests.drop(columns=drop)
    if "ttft_ms" in requests:
        parts.append(requests.assign(phase="prefill", latency_ms=requests["ttft_ms"]))
    tpot = _tpot(requests)
    if tpot is not None and "osl" in requests:
        context = requests["isl"] + (requests["osl"].fillna(2) + 1) / 2
        parts.append(requests.assign(phase="decode", latency_ms=tpot, context_len=context))
    return pd.concat([p for p in parts if len(p)], ignore_index=True)


def _tpot(requests: pd.DataFrame) -> pd.Series | None:
    """TPOT as measured, or from E2E and TTFT where it was not."""
    known = requests.get("tpot_ms")
    if {"e2e_ms", "ttft_ms", "osl"} <= set(requests):
        gaps = requests["osl"] - 1
        derived = ((requests["e2e_ms"] - requests["ttft_ms"]) / gaps).where(gaps >= 1)
        return derived if known is None else known.fillna(derived)
    return known


def groups_of(table: pd.DataFrame) -> Iterator[Group]:
    """Yield the groups of a prepared table in a fixed order, unusable rows left out."""
    steps = step_rows(table)
    steps = steps[usable(steps)]
    keys = deployment_of(steps).to_numpy()
    for (deployment, phase), rows in steps.groupby([keys, "phase"], sort=True, observed=True):
        yield _group(str(deployment), str(phase), rows)


def _group(deployment: str, phase: str, rows: pd.DataFrame) -> Group:
    columns = [c for c in POINT_COLUMNS[phase] if c in rows and rows[c].notna().any()]
    grouped = rows.groupby(columns, dropna=False, sort=True)["latency_ms"]
    median = grouped.median()
    y_s: FloatArray = np.asarray(ms_to_s(median.to_numpy(dtype=float)), dtype=float)
    points = median.index.to_frame(index=False)
    deviation = (rows["latency_ms"] / grouped.transform("median") - 1.0).abs()
    repeated = grouped.transform("size") > 1
    labels = {c: _first(rows, c) for c in DEPLOYMENT if c in rows}
    name = labels.get("model")
    return Group(
        deployment,
        phase,
        work_of(points, phase),
        y_s,
        np.asarray(grouped.size(), dtype=float),
        float(deviation[repeated].median()) if repeated.any() else float("nan"),
        labels,
        find_model(str(name)) if name is not None else None,
    )


def _first(rows: pd.DataFrame, column: str) -> object:
    value = rows[column].iloc[0]
    return None if pd.isna(value) else value
