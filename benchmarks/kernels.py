"""Errors of operator curves on kernels they were not fitted to: matrix products and experts.

    LENGTHWISE_DATA=../shared/data python benchmarks/kernels.py [gemm] [experts]

Fixed splits, nothing of a test fold in its fit. Products: whole n, whole k (a third of the values
at a time), blocks of neighbouring n and k, and rows beyond an eighth of the most rows. Experts:
whole models, whole degrees of parallelism (a third at a time), and tokens beyond an eighth of the
most. ``system``: the processor's tables left out, typical coefficients of the others put on its
ceilings. Writes benchmarks/results/kernels_SUITE.json; about 10 CPU minutes each.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT / "experiments" / "device_profiles"))

import fit as profiles  # noqa: E402
import tables  # noqa: E402

from lengthwise.calibration.operators import experts_fit, gemm_fit  # noqa: E402
from lengthwise.domain.hardware import HardwareSpec  # noqa: E402
from lengthwise.formulations.operators.ceilings import Ceilings  # noqa: E402
from lengthwise.formulations.operators.experts import ExpertsCoefficients, ExpertsCurve  # noqa: E402
from lengthwise.formulations.operators.gemm import GemmCoefficients, GemmCurve  # noqa: E402

FOLDS, BLOCKS = 3, 3
LEAST = 100
"""Rows of a fit; a fold that leaves fewer is not judged."""
SPLITS = {"gemm": ("n", "k", "block", "m_8"), "experts": ("model", "parallelism", "tokens_8")}
LAYER = 256
"""Matrices at least this wide and deep are those of model layers; aligned rows only."""


@dataclass(frozen=True)
class Suite:
    """How one kind of operator is read, cut, fitted and judged."""

    read: Callable[[str, str], Iterator[tuple[str, str, list[str], pd.DataFrame, str]]]
    fit: Callable[[pd.DataFrame, HardwareSpec, str], Any]
    predict: Callable[[Any, pd.DataFrame], Any]
    folds: Callable[[pd.DataFrame], dict[str, Any]]
    floor: Callable[[Any, pd.DataFrame], Any]
    parts: Callable[[pd.DataFrame, Any], dict[str, Any]]
    curve: Callable[[HardwareSpec, str, dict[str, Any]], Any]


def every(values: pd.Series) -> np.ndarray:
    """Deal the distinct values out to ``FOLDS`` folds in turn."""
    return values.map({v: i % FOLDS for i, v in enumerate(sorted(values.unique()))}).to_numpy()


def ranges(values: pd.Series) -> np.ndarray:
    """Cut the distinct values into ``BLOCKS`` neighbouring ranges."""
    known = sorted(values.unique())
    return values.map({v: i * BLOCKS // len(known) for i, v in enumerate(known)}).to_numpy()


def gemm_folds(frame: pd.DataFrame) -> dict[str, Any]:
    """Fold of each row; -1 is always in the fit."""
    return {
        "n": every(frame["n"]),
        "k": every(frame["k"]),
        "block": ranges(frame["n"]) * BLOCKS + ranges(frame["k"]),
        "m_8": np.where(frame["m"] > frame["m"].max() / 8, 0, -1),
    }


def experts_folds(frame: pd.DataFrame) -> dict[str, Any]:
    """Fold of each row; -1 is always in the fit."""
    return {
        "model": every(frame.groupby(["hidden", "model_inter", "active", "experts"]).ngroup()),
        "parallelism": every(frame["tp"] * 1000 + frame["ep"]),
        "tokens_8": np.where(frame["tokens"] > frame["tokens"].max() / 8, 0, -1),
    }


def gemm_parts(frame: pd.DataFrame, possible: Any) -> dict[str, Any]:
    """Rows to report on: all, no faster than the peaks, those of model layers."""
    m = frame["m"].to_numpy(float)
    wide = ((frame["n"] >= LAYER) & (frame["k"] >= LAYER)).to_numpy()
    layer = possible & wide & gemm_fit.is_aligned(m)
    return {"all": np.ones(len(m), bool), "possible": possible, "layers": layer}


def experts_parts(frame: pd.DataFrame, possible: Any) -> dict[str, Any]:
    """Rows to report on: all; no faster than the peaks and well tuned; by kind of routing."""
    kept = possible & ~frame["slow"].to_numpy()
    even, alone = (frame["skew"] == 0).to_numpy(), (frame["ep"] == 1).to_numpy()
    return {
        "all": np.ones(len(frame), bool), "possible": kept, "even": kept & even,
        "uneven, alone": kept & ~even & alone, "uneven, group": kept & ~even & ~alone,
    }  # fmt: skip


def experts_floor(curve: ExpertsCurve, frame: pd.DataFrame) -> Any:
    return experts_fit.terms_of(curve, frame).floor


SUITES = {
    "gemm": Suite(
        tables.gemm, gemm_fit.fit, profiles.predict_gemm, gemm_folds,
        lambda c, f: c.floor(f["m"], f["n"], f["k"]), gemm_parts,
        lambda h, d, c: GemmCurve(Ceilings.of(h, d), GemmCoefficients.from_dict(c)),
    ),
    "experts": Suite(
        tables.experts, experts_fit.fit, experts_fit.predict, experts_folds, experts_floor,
        experts_parts,
        lambda h, d, c: ExpertsCurve(Ceilings.of(h, d), ExpertsCoefficients.from_dict(c)),
    ),
}  # fmt: skip


def scores(error: np.ndarray) -> dict[str, Any]:
    if not len(error):
        return {"rows": 0}
    return {
        "rows": len(error), "median": round(float(np.median(error)), 4),
        "p90": round(float(np.quantile(error, 0.9)), 4),
    }  # fmt: skip


def judge(kind: str, suite: Suite, system: str, dtype: str, frame: pd.DataFrame) -> dict[str, Any]:
    """Predict every row of a table from fits without it, one split after the other."""
    hardware, seconds = tables.hardware(system), frame["seconds"].to_numpy()
    usable = profiles.usable(kind, frame)
    curve = suite.fit(usable, hardware, dtype)
    floor = suite.floor(curve, frame)
    parts = suite.parts(frame, floor <= seconds)
    found: dict[str, Any] = {"eager": profiles.is_eager(kind, curve), "errors": {}, "share": {}}
    for split, fold in suite.folds(frame).items():
        predicted = np.full(len(frame), np.nan)
        for left_out in sorted(set(fold) - {-1}):
            test = fold == left_out
            rest = frame[~test & frame.index.isin(usable.index)]
            if len(rest) < LEAST:
                continue
            fitted = suite.fit(rest, hardware, dtype)
            predicted[test] = suite.predict(fitted, frame[test])
        tested = ~np.isnan(predicted)
        if not tested.any():
            continue
        error = np.abs(predicted / seconds - 1.0)
        found["errors"][split] = error, {n: p & tested for n, p in parts.items()}
        found["share"][split] = float((floor[tested] / predicted[tested]).max())
    return found


def typical(suite: Suite, kind: str, records: dict[str, list[dict]]) -> dict[str, Any]:
    """Errors on each system of the typical coefficients of the others, by number format."""
    found: dict[str, Any] = {}
    for system, own in records.items():
        others = [c for s, known in records.items() if s != system for c in known]
        usable = {c["dtype"] for c in others if not c["eager"]}
        for engine in tables.ENGINES:
            for _, dtype, _, frame, _ in suite.read(system, engine):
                mine = next(c for c in own if (c["engine"], c["dtype"]) == (engine, dtype))
                if dtype not in usable or mine["eager"]:
                    continue
                coefficients = profiles.typical(others, dtype)["coefficients"]
                curve = suite.curve(tables.hardware(system), dtype, coefficients)
                error = np.abs(suite.predict(curve, frame) / frame["seconds"] - 1.0)
                parts = suite.parts(frame, suite.floor(curve, frame) <= frame["seconds"])
                pick = np.asarray(parts["possible"])
                found.setdefault(dtype, {})[f"{system} {engine}"] = error.to_numpy()[pick]
    return found


def run(kind: str) -> dict[str, Any]:
    """Judge all tables of one suite."""
    suite, curves, pooled, records = SUITES[kind], {}, {}, {}
    for system in tables.SYSTEMS:
        for engine in tables.ENGINES:
            for _, dtype, _, frame, _ in suite.read(system, engine):
                found = judge(kind, suite, system, dtype, frame)
                name = f"{system} {engine} {dtype}"
                curves[name] = {"eager": found["eager"], "largest_share_of_peak": {}}
                for split, (error, parts) in found["errors"].items():
                    curves[name][split] = {n: scores(error[p]) for n, p in parts.items()}
                    share = round(found["share"][split], 6)
                    curves[name]["largest_share_of_peak"][split] = share
                    for n, p in parts.items():
                        if not found["eager"]:
                            key = (split, n)
                            pooled.setdefault(key, []).append(error[p])
                            pooled.setdefault((f"{split} {dtype}", n), []).append(error[p])
                print(name, {s: curves[name][s].get("layers", curves[name][s]["possible"])
                             for s in found["errors"]}, flush=True)  # fmt: skip
        path = profiles.PROFILES / f"{system}.{kind}.json"
        records[system] = json.loads(path.read_text())["curves"]
    together: dict[str, Any] = {}
    for (split, part), errors in pooled.items():
        together.setdefault(split, {})[part] = scores(np.concatenate(errors))
    for dtype, by_table in typical(suite, kind, records).items():
        tables_ = {t: scores(e) for t, e in by_table.items()}
        everything = scores(np.concatenate(list(by_table.values())))
        curves[f"generic {dtype}"] = {"system": {"possible": everything, "tables": tables_}}
    return {"overall": overall(kind, together), "pooled, host-bound tables left out": together,
            "curves": curves}  # fmt: skip


def overall(kind: str, together: dict[str, Any]) -> dict[str, Any]:
    """All rows of each split, in percent: as the suites of ``kernels_attention.py`` say it."""
    return {
        split: {
            "rows": parts["all"]["rows"],
            "median_percent": round(100 * parts["all"]["median"], 2),
            "p90_percent": round(100 * parts["all"]["p90"], 2),
        }
        for split, parts in together.items() if split in SPLITS[kind]
    }  # fmt: skip


def main() -> None:
    """Run the suites named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", choices=[[], *SUITES], default=[])
    for kind in parser.parse_args().suites or SUITES:
        found = run(kind)
        (RESULTS / f"kernels_{kind}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
