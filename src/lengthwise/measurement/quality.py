"""How good a measurement is: spread, contention, drift; and one line per point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

CONTENDED = 1.1
DRIFT = 0.05
SPREAD = 0.15
MIN_ANCHORS = 2
"""Visits of the anchor in a third of a run, below which drift is not judged."""
POINT = ("phase", "isl", "batch_size", "cached_tokens", "sum_query_len", "sum_context_len")


@dataclass(frozen=True)
class Quality:
    """Figures that tell whether times can be trusted.

    Attributes
    ----------
    spread_percent
        Median over points of the coefficient of variation over repeats; NaN without repeats.
    wall_over_cpu
        Median wall time over CPU time per thread; NaN where no CPU time was taken. Much more than
        1 on one thread means that others took the CPU.
    contended_percent
        Share of the steps with more than 1.1.
    drift_percent
        Anchor prefill in the last third of the run against the first third.
    warnings
        What a user should know: observation, why it matters, what to type.
    """

    spread_percent: float
    wall_over_cpu: float
    contended_percent: float
    drift_percent: float
    warnings: tuple[str, ...]


def points_of(table: pd.DataFrame) -> pd.DataFrame:
    """Summarise steady rows by point: median, spread, repeats.

    Decode steps of one prompt length are one point, at their median context.

    >>> rows = {"phase": "prefill", "isl": 8, "batch_size": 1, "latency_ms": [1.0, 2.0, 9.0],
    ...         "context_len": 8, "warmup": False}
    >>> points_of(pd.DataFrame(rows))["median_ms"].tolist()
    [2.0]
    """
    steady = table[~table["warmup"].astype(bool)]
    keys = [k for k in POINT if k in steady]
    grouped = steady.groupby(keys, sort=True, dropna=False)
    found = grouped["latency_ms"].agg(n="size", median_ms="median", min_ms="min", max_ms="max")
    found["spread_percent"] = 100 * grouped["latency_ms"].agg(_variation)
    if "context_len" in steady:
        found["context_len"] = grouped["context_len"].median()
    if "cpu_ms" in steady:
        found["cpu_ms"] = grouped["cpu_ms"].median()
    return found.reset_index()


def quality_of(table: pd.DataFrame, threads: int = 1) -> Quality:
    """Judge a measured table.

    Parameters
    ----------
    table
        Rows of a sweep, with ``warmup``, ``anchor``, ``repeat`` and ``cpu_ms``.
    threads
        CPU threads of the engine: CPU time counts all of them.
    """
    steady = table[~table["warmup"].astype(bool)]
    spread = float(points_of(table)["spread_percent"].median()) if len(steady) else np.nan
    ratio = _wall_over_cpu(steady, threads)
    contended = 100 * float((ratio > CONTENDED).mean()) if len(ratio) else np.nan
    over = float(ratio.median()) if len(ratio) else np.nan
    drift = _drift(steady)
    return Quality(spread, over, contended, drift, tuple(_warnings(spread, over, drift, threads)))


def _warnings(spread: float, over: float, drift: float, threads: int) -> list[str]:
    found = []
    if threads == 1 and over > CONTENDED:
        found.append(
            f"wall time is {over:.2f} times CPU time: others use this machine, so wall times are "
            "too long. Stop them and measure again, or fit on CPU time with --map "
            "latency_ms=cpu_ms"
        )
    if spread > 100 * SPREAD:
        found.append(
            f"repeats of a point differ by {spread:.0f} % (typical): a law cannot be better than "
            "its data. Raise --repeats"
        )
    if abs(drift) > 100 * DRIFT:
        found.append(
            f"the anchor point became {abs(drift):.0f} % {'slower' if drift > 0 else 'faster'} "
            "during the run (heat, clocks or load): measure again when the machine is at rest"
        )
    return found


def _variation(values: pd.Series) -> float:
    return float(values.std(ddof=1) / values.mean()) if len(values) > 1 else float("nan")


def _wall_over_cpu(steady: pd.DataFrame, threads: int) -> pd.Series:
    if "cpu_ms" not in steady:
        return pd.Series(dtype=float)
    known = steady[steady["cpu_ms"] > 0]
    ratio: pd.Series[float] = known["latency_ms"] * threads / known["cpu_ms"]
    return ratio


def _drift(steady: pd.DataFrame) -> float:
    if "anchor" not in steady:
        return float("nan")
    anchors = steady[steady["anchor"].astype(bool) & (steady["phase"] == "prefill")]
    column = "cpu_ms" if "cpu_ms" in anchors and (anchors["cpu_ms"] > 0).all() else "latency_ms"
    times = anchors[column]
    if "visit" in anchors:  # a prompt prefilled in chunks has several rows
        times = times.groupby(anchors["visit"]).sum()
    third = len(times) // 3
    if third < MIN_ANCHORS:
        return float("nan")
    first, last = times.iloc[:third].median(), times.iloc[-third:].median()
    return 100 * float(last / first - 1)


def summary_of(table: pd.DataFrame, threads: int = 1) -> dict[str, Any]:
    """Give quality and points, ready for JSON."""
    quality = quality_of(table, threads)
    figures = {k: v for k, v in vars(quality).items() if k != "warnings"}
    return {
        "rows": len(table), "steady_rows": int((~table["warmup"].astype(bool)).sum()),
        **{k: None if np.isnan(v) else round(v, 4) for k, v in figures.items()},
        "warnings": list(quality.warnings),
        "points": points_of(table).round(5).to_dict("records"),
    }  # fmt: skip
