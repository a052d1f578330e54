"""What it is worth to know model and hardware, with none to five points measured.

    LENGTHWISE_DATA=... OMP_NUM_THREADS=1 python benchmarks/known.py
    LENGTHWISE_DATA=... python benchmarks/known.py --only splitwise minference

The first writes ``benchmarks/results/known.json``; a selection only prints. One law per curve (see
known_curves.py). Points are drawn from lengths up to max/4, ``DRAWS`` times, the same ones for
every level of knowledge; every other point is asked for, and those beyond max/4 are also counted
apart.
What the default law has learnt from public curves is taken without the source that it is judged on.
Without a point there is no fit: the step law answers where model and hardware are known, and nobody
where they are not.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from dataclasses import dataclass
from multiprocessing import Pool
from typing import Any

import numpy as np
import pandas as pd
from known_curves import SOURCES, KnownCurve, curves_of
from results_files import RESULTS

from lengthwise.calibration.groups import groups_of
from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.learned import learned
from lengthwise.calibration.named_step import step_of, step_seconds
from lengthwise.errors import LengthwiseError
from lengthwise.units import FloatArray, s_to_ms

FACTOR, LEVEL, DRAWS = 4.0, 0.9, 3
POINTS = (1, 2, 3, 5)
NOTHING, MODEL, BOTH = "nothing", "model", "model and hardware"
DROPPED = {
    NOTHING: ("model", "hardware", "engine", "precision", "tp"), MODEL: ("hardware",), BOTH: (),
}  # fmt: skip
"""Columns that a law does not see."""
STEP = "step law"


@dataclass(frozen=True)
class Score:
    """Mean errors of one law on one draw of one curve, percent; intervals of 90 %."""

    source: str
    kind: str
    curve: str
    known: bool
    level: str
    points: int
    far: float
    unseen: float
    covered: float
    width: float

    @classmethod
    def of(
        cls, curve: KnownCurve, level: str, points: int, asked: Any, predicted: FloatArray,
        bounds: FloatArray,
    ) -> Score:  # fmt: skip
        """Score predictions of some points of a curve."""
        actual = curve.table["latency_ms"].to_numpy(dtype=float)[asked]
        error = 100.0 * np.abs(predicted / actual - 1.0)
        far = curve.x[asked] > curve.x.max() / FACTOR
        inside = (bounds[:, 0] <= actual) & (actual <= bounds[:, 1])
        width = 100.0 * (bounds[:, 1] - bounds[:, 0]) / predicted
        return cls(
            curve.source, curve.kind, curve.name, curve.known, level, points,
            float(error[far].mean()), float(error.mean()), float(inside.mean()),
            float(np.median(width)),
        )  # fmt: skip


def judge(curve: KnownCurve) -> list[Score]:
    """Score every level of knowledge with every number of points on one curve."""
    found = [unmeasured(curve)] if curve.known else []
    levels = DROPPED if curve.known else (NOTHING, MODEL)
    short = np.flatnonzero(curve.x <= curve.x.max() / FACTOR)
    for draw in range(DRAWS):
        seed = zlib.crc32(f"{curve.source}|{curve.name}|{draw}".encode())
        order = np.random.default_rng(seed).permutation(short)
        for m in POINTS:
            if m <= len(short):
                found += [measured(curve, level, np.sort(order[:m])) for level in levels]
    return found


def unmeasured(curve: KnownCurve) -> Score:
    """Score the step law, which sees no point, on all points."""
    (group,) = groups_of(curve.table)
    step = step_of(group)
    if step is None:
        raise ValueError(f"model and hardware of {curve.name} are not known")
    predicted = np.asarray(s_to_ms(step_seconds(step, group.work)))
    every = np.arange(len(predicted))
    return Score.of(curve, STEP, 0, every, predicted, np.full((len(every), 2), np.nan))


def measured(curve: KnownCurve, level: str, train: Any) -> Score:
    """Fit a law that knows so much to some points, and score it on all others."""
    table = curve.table.drop(columns=list(DROPPED[level]), errors="ignore")
    asked = np.setdiff1d(np.arange(len(table)), train)
    points = table.iloc[asked]
    law = LawSet(learned=learned(without=curve.source))
    try:
        predicted = law.fit(table.iloc[train].reset_index(drop=True)).predict(points)
        bounds = law.predict_interval(points, LEVEL)
    except LengthwiseError:
        predicted, bounds = np.full(len(asked), np.inf), np.full((len(asked), 2), np.nan)
    return Score.of(curve, level, len(train), asked, predicted, bounds)


def summary(scores: list[Score]) -> dict[str, Any]:
    """Reduce scores: ``{kind: {source: {"curves": ..., level: {points: figures}}}}``."""
    frame = pd.DataFrame([vars(s) for s in scores])
    found: dict[str, Any] = {}
    for (kind, source), part in frame.groupby(["kind", "source"], sort=False):
        by_level: dict[str, Any] = {"curves": int(part["curve"].nunique())}
        for (level, points), rows in part.groupby(["level", "points"], sort=False):
            by_level.setdefault(str(level), {})[str(points)] = figures(rows)
        found.setdefault(str(kind), {})[str(source)] = by_level
    return found


def figures(rows: pd.DataFrame) -> dict[str, Any]:
    """Medians and 90th percentiles of the errors, coverage and width of intervals."""
    found = {
        f"{name}_{suffix}": round(float(rows[name].quantile(q)), 2)
        for name in ("far", "unseen") for suffix, q in (("median", 0.5), ("p90", 0.9))
    }  # fmt: skip
    if rows["width"].notna().any():
        found["coverage_percent"] = round(100.0 * float(rows["covered"].mean()), 1)
        found["width_median"] = round(float(rows["width"].median()), 1)
    return found


def run(curves: list[KnownCurve], processes: int) -> dict[str, Any]:
    """Judge curves; those whose model and hardware are known apart from the others."""
    with Pool(processes) as pool:
        scores = [s for part in pool.map(judge, curves, chunksize=2) for s in part]
    parts = {"known": True, "others": False}
    return {name: summary([s for s in scores if s.known is known])
            for name, known in parts.items() if any(s.known is known for s in scores)}  # fmt: skip


def main() -> None:
    """Judge all sources and write the result, or print a selection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SOURCES, default=SOURCES, metavar="SOURCE")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    started = time.time()
    curves = [curve for source in asked.only for curve in curves_of(source)]
    found = {"levels": list(DROPPED), "points": POINTS, "draws": DRAWS, "factor": FACTOR,
             **run(curves, asked.processes)}  # fmt: skip
    text = json.dumps(found, indent=1) + "\n"
    if tuple(asked.only) == SOURCES:
        (RESULTS / "known.json").write_text(text)
    else:
        print(text)
    print(f"{len(curves)} curves, {time.time() - started:.0f} s with {asked.processes} processes")


if __name__ == "__main__":
    main()
