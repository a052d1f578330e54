"""Deployments from recorded measurements, and which of them policies may learn on.

The split is by model and hardware, so that two tensor-parallel degrees, engines or precisions of
the same model on the same machine never stand on both sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.calibration.exploration.deployment import REACH, Deployment
from lengthwise.calibration.exploration.points import Points
from lengthwise.data import datasets
from lengthwise.units import FloatArray, ms_to_s

OWN = ("own-openvino-cpu", "own-llamacpp-cpu", "own-transformers-cpu")
OTHERS = ("splitwise", "edgereasoning", "llamacpp_benches")
KEYS = ("model", "hardware", "engine", "engine_version", "precision", "tp")
SHORTEST = 32
"""Shorter prompts are left out: timers and fixed costs rule there."""
PER_DOUBLING = 2
"""Lengths kept per doubling, where a table has many."""
SALT = "exploration-1"


def learning(name: str) -> bool:
    """Whether policies may learn on a deployment; the others are for comparison only.

    >>> learning("bloom-176b | h100-80gb | vllm"), learning("bloom-176b | a100-80gb | vllm")
    (True, False)
    """
    kin = "|".join(part.strip() for part in name.split("|")[:2])
    return hashlib.sha256(f"{SALT}|{kin}".encode()).digest()[0] % 2 == 0


def recorded(names: Iterable[str] = (*OWN, *OTHERS), reach: float = REACH) -> list[Deployment]:
    """Read the deployments of datasets.

    Parameters
    ----------
    names
        Datasets of ``lengthwise.dataset``; those that are not on this machine raise.
    reach
        Lengths asked about over the longest that may be measured.

    Examples
    --------
    >>> here = recorded(["own-openvino-cpu"])[0]
    >>> here.name[:35], bool(here.total_s > 10.0)
    ('random-llama-19m | cpu-epyc-1thread', True)
    """
    out: list[Deployment] = []
    for name in names:
        out += from_table(datasets.table(name), reach)
    return out


def from_table(table: pd.DataFrame, reach: float = REACH) -> list[Deployment]:
    """Split a measurement table into deployments, prefill and decode steps only.

    Parameters
    ----------
    table
        Measurement table; warm-ups and prefills onto a cache are left out.
    """
    table = table[table["phase"].isin(["prefill", "decode"])].copy()
    if "warmup" in table:
        table = table[~table["warmup"].fillna(False).astype(bool)]
    if "cached_tokens" in table:
        cached = pd.to_numeric(table["cached_tokens"]).fillna(0) > 0
        table = table[~(cached & (table["phase"] == "prefill"))]
    keys = [k for k in KEYS if k in table and table[k].notna().any()]
    groups = table.groupby(keys, dropna=False) if keys else [(("table",), table)]
    out = []
    for key, rows in groups:
        found = _deployment(" | ".join(str(k) for k in key), rows, reach)
        if found is not None:
            out.append(found)
    return out


def _deployment(name: str, rows: pd.DataFrame, reach: float) -> Deployment | None:
    rows = rows.assign(_length=_lengths(rows), _batch=pd.to_numeric(rows["batch_size"]).fillna(1.0))
    if "repeat" in rows and rows["repeat"].notna().any():
        by = ["phase", "_length", "_batch", "repeat"]
        rows = rows.groupby(by, dropna=False)["latency_ms"].median().reset_index()
    cells: dict[tuple[str, float, float], FloatArray] = {}
    kept: set[tuple[str, int, float]] = set()
    for (phase, length, batch), cell in rows.groupby(["phase", "_length", "_batch"]):
        key = (str(phase), float(str(length)), float(str(batch)))
        slot = (key[0], round(PER_DOUBLING * float(np.log2(key[1]))), key[2])
        if key[1] < SHORTEST or slot in kept:
            continue
        kept.add(slot)
        cells[key] = ms_to_s(cell["latency_ms"].to_numpy())
    if sum(1 for phase, *_ in cells if phase == "prefill") < 6:
        return None
    points = Points.of(*(np.array(column) for column in _columns(list(cells))))
    readings = tuple(np.asarray(r, dtype=float) for r in cells.values())
    return Deployment(name, points, readings, fill_seconds(points, readings), reach)


def _columns(keys: list[tuple[str, float, float]]) -> tuple[Any, Any, Any]:
    phases, lengths, batches = zip(*keys, strict=True)
    return np.array(phases, dtype=object), np.array(lengths), np.array(batches)


def _lengths(rows: pd.DataFrame) -> FloatArray:
    """Prompt tokens of prefills; context of decodes: one for all tokens of a run."""
    prompt = pd.to_numeric(rows["isl"]).to_numpy(dtype=float, na_value=np.nan)
    if "context_len" not in rows or "output_index" in rows:
        return prompt
    context = pd.to_numeric(rows["context_len"]).to_numpy(dtype=float, na_value=np.nan)
    return np.where((rows["phase"] == "decode").to_numpy() & np.isfinite(context), context, prompt)


def fill_seconds(points: Points, readings: tuple[FloatArray, ...]) -> FloatArray:
    """Seconds to prefill the contexts of decodes, from the prefills read, shape (n,).

    In between lengths ln t is linear in ln of the tokens; beyond them the last slope goes on.
    """
    t = np.array([np.median(np.log(r)) for r in readings])
    single = ~points.decode & (points.batch == points.batch[~points.decode].min())
    order = np.argsort(points.length[single])
    x, y = np.log(points.length[single][order]), t[single][order]
    q = np.log(points.length)
    slope = (y[-1] - y[-2]) / (x[-1] - x[-2]) if len(x) > 1 else 1.0
    one = np.interp(q, x, y) + np.maximum(q - x[-1], 0.0) * slope
    return np.asarray(np.where(points.decode, points.batch * np.exp(one), 0.0))
