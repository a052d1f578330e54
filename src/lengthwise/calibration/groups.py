"""From a measurement table to what is fitted: distinct points of one deployment and phase.

Repeats of a point are one point: its time is their median, which one slow repeat cannot move. A
request is turned into the steps it consists of: its TTFT is a prefill step, its TPOT the mean of
its decode steps, which, being affine in context, is the step at the mean context. Requests
measured under load (:mod:`lengthwise.data.load`) are a group of their own for each load: what
clients kept in flight is not the batch of a step, and their times hold waiting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lengthwise.data.checks import skipped_by_reason, usable
from lengthwise.data.identity import deployment_of, labels_of
from lengthwise.data.load import Load, is_computed, is_loaded, load_in
from lengthwise.data.points import POINT_COLUMNS
from lengthwise.data.work import work_of
from lengthwise.domain.model import ModelSpec, find_model
from lengthwise.domain.work import Work
from lengthwise.errors import NothingUsableError
from lengthwise.units import FloatArray, counted, ms_to_s


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
        The deployment columns with their values, and the load if there was one.
    spec
        Architecture of the model, when known.
    outputs
        Generated tokens (least, greatest) of requests under load, None otherwise.
    in_flight
        Requests in flight (least, greatest) where they were computed, None where stated.
    """

    deployment: str
    phase: str
    work: Work
    y_s: FloatArray
    repeats: FloatArray
    noise: float
    labels: dict[str, object]
    spec: ModelSpec | None
    outputs: tuple[float, float] | None = None
    in_flight: tuple[float, float] | None = None

    def __len__(self) -> int:
        return len(self.y_s)

    @property
    def load(self) -> Load:
        """The load it was measured under, empty for single requests and batches."""
        return load_in(self.labels)


def step_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Turn request rows into prefill and decode rows; step rows pass through.

    Parameters
    ----------
    table
        A prepared measurement table. Requests under load have no batch; others without one are
        single requests.

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
    requests["batch_size"] = batch.where(batch.notna() | is_loaded(requests), 1.0)
    parts = [table[~is_request]]
    drop = [c for c in ("latency_ms", "context_len", "query_len") if c in requests]
    requests = requests.drop(columns=drop)
    if "ttft_ms" in requests:
        parts.append(requests.assign(phase="prefill", latency_ms=requests["ttft_ms"]))
    tpot = _tpot(requests)
    if tpot is not None and "osl" in requests:
        context = requests["isl"] + (requests["osl"].fillna(2) + 1) / 2
        parts.append(requests.assign(phase="decode", latency_ms=tpot, context_len=context))
    known = [part for part in parts if len(part)]
    return pd.concat(known, ignore_index=True) if known else table[~is_request]


def _tpot(requests: pd.DataFrame) -> pd.Series | None:
    """TPOT as measured, or from E2E and TTFT where it was not, unless a note says it is unknown."""
    known = requests.get("tpot_ms")
    if {"e2e_ms", "ttft_ms", "osl"} <= set(requests):
        gaps = requests["osl"] - 1
        derived = ((requests["e2e_ms"] - requests["ttft_ms"]) / gaps).where(gaps >= 1)
        if "timing_note" in requests:  # chunks and token counts of a live measurement disagree
            derived = derived.where(requests["timing_note"].fillna("") == "")
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
    labels = labels_of(rows)
    if "batch_size" in rows:
        rows = rows.assign(batch_size=rows["batch_size"].fillna(1.0))
    columns = [c for c in POINT_COLUMNS[phase] if c in rows and rows[c].notna().any()]
    grouped = rows.groupby(columns, dropna=False, sort=True)["latency_ms"]
    median = grouped.median()
    y_s: FloatArray = np.asarray(ms_to_s(median.to_numpy(dtype=float)), dtype=float)
    points = median.index.to_frame(index=False)
    deviation = (rows["latency_ms"] / grouped.transform("median") - 1.0).abs()
    repeated = grouped.transform("size") > 1
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
        _range(rows, "osl") if load_in(labels) else None,
        _range(rows, "concurrency") if load_in(labels) and is_computed(rows).all() else None,
    )


def _range(rows: pd.DataFrame, name: str) -> tuple[float, float] | None:
    if name not in rows or rows[name].isna().all():
        return None
    return float(rows[name].min()), float(rows[name].max())


def nothing_usable(table: pd.DataFrame) -> NothingUsableError:
    """Return the error for a prepared table none of whose rows a law can use, with the reasons.

    >>> whole = {"phase": "request", "isl": [64], "osl": [8], "e2e_ms": [440.0]}
    >>> nothing_usable(pd.DataFrame(whole)).got
    '1 row, none usable (no ttft_ms, no tpot_ms with osl: 1)'
    """
    good = usable(table)
    reasons = skipped_by_reason(table)
    remedy = "run `lengthwise import` on the file to see why rows were set aside"
    if good.any():
        reasons["no ttft_ms, no tpot_ms with osl"] = int(good.sum())
        remedy = "measure ttft_ms and tpot_ms too: the time of a whole answer does not tell them"
    counts = ", ".join(f"{reason}: {n:,}" for reason, n in reasons.items())
    return NothingUsableError(
        "a law needs at least one usable row",
        got=f"{counted(len(table), 'row')}, none usable ({counts})", remedy=remedy,
    )  # fmt: skip
