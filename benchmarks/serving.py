"""The step law on measured serving runs, beside AIConfigurator on the same rows.

    LENGTHWISE_DATA=... python benchmarks/serving.py [SUITE ...]

Suites, on the aggregated rows of AIConfigurator's silicon sample (TTFT and TPOT at the client):

    zero_shot         device profiles only, no serving row anywhere
    deployment        leave one deployment (model x hardware x engine x precision) out
    hardware, model   leave one system, one model out
    few_shot          leave a deployment out, then learn 1, 3, 5, 10 of its rows (random, 5 draws)

For a left-out group nothing of it enters coefficients, correction or intervals. Coverage is that of
intervals calibrated without the sixth of the deployments it is counted on.

Set apart by their inputs, and shown with and without: rows with tp above 8 (one client before
several workers of a GB200 rack, which no recorded setting describes; they are not learnt from
either, and have no left-out prediction), and vLLM with more than 256 requests in flight (its
max_num_seqs is not recorded).
Results: benchmarks/results/serving.json.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

import lengthwise
from lengthwise.calibration.step.coefficients import StepCoefficients, fit_coefficients
from lengthwise.calibration.step.columns import columns_of, one
from lengthwise.calibration.step.heads import LEVELS_KEPT, Head
from lengthwise.calibration.step.kin import seen_of
from lengthwise.calibration.step.rows import evaluate
from lengthwise.prediction.step_answers import physics_of
from lengthwise.prediction.step_law import StepLaw

RESULTS = Path(__file__).parent / "results" / "serving.json"
PEER = (
    Path(os.environ["LENGTHWISE_DATA"]).parent
    / "peers"
    / "aiconfigurator_0.12_on_silicon_sample.csv"
)
WIDE = 8
MANY = 256
FOLDS = 6
SAMPLES = (1, 3, 5, 10)
DRAWS = 5
LEVEL = 0.9
NAMES = ("tpot", "ttft")


class Data:
    """Rows, their physics, and what was measured."""

    def __init__(self) -> None:
        table = lengthwise.dataset("aiconfigurator")
        self.frame = table[table["mode"] == "agg"].reset_index(drop=True)
        data = {str(c): self.frame[c].to_numpy(dtype=object, na_value=None) for c in self.frame}
        self.columns = columns_of(data)
        self.evaluated = evaluate(self.columns)
        self.seconds = {n: self.frame[f"{n}_ms"].to_numpy(float) / 1e3 for n in NAMES}
        unlimited = (self.columns["engine"] == "vllm") & (self.columns["concurrency"] > MANY)
        self.apart = (self.columns["tp"] > WIDE) | unlimited
        self.answered = self.evaluated.problem == ""
        self.use = self.answered & (self.columns["tp"] <= WIDE)
        label = pd.DataFrame(
            {k: self.columns[k] for k in ("model", "hardware", "engine", "precision")}
        )
        self.groups = {
            "deployment": label.astype(str).agg(" | ".join, axis=1).to_numpy(object),
            "hardware": label["hardware"].to_numpy(object),
            "model": np.asarray(self.evaluated.architecture, object),
        }

    def physics(self, coefficients: StepCoefficients) -> Any:
        """Evaluate the physics with some coefficients."""
        return physics_of(self.columns, self.evaluated, coefficients)


DATA: Data | None = None


def data() -> Data:
    global DATA
    if DATA is None:
        DATA = Data()
    return DATA


def folds(groups: Any, most: int) -> list[Any]:
    """Masks of test rows: every group in exactly one fold, folds of about equal size."""
    names, counts = np.unique(groups.astype(str), return_counts=True)
    sizes, where = np.zeros(min(most, len(names))), {}
    for i in np.argsort(-counts, kind="stable"):
        fold = int(np.argmin(sizes))
        sizes[fold] += counts[i]
        where[names[i]] = fold
    index = np.array([where[str(g)] for g in groups])
    return [index == fold for fold in range(len(sizes))]


def left_out(task: tuple[str, Any, bool]) -> dict[str, Any]:
    """Predict some groups from all others: the groups of a fold, or one deployment."""
    kind, test, calibrated = task
    d = data()
    train = d.use & ~test
    law = StepLaw()
    times = {name: d.seconds[name][train] for name in NAMES}
    law.coefficients_ = fit_coefficients(d.evaluated.take(train), one(d.columns, train), times)
    seen = seen_of(one(d.columns, d.answered), d.evaluated.take(d.answered), law.coefficients_)
    index = np.cumsum(d.answered) - 1
    physics = d.physics(law.coefficients_)
    out: dict[str, Any] = {"test": np.flatnonzero(test)}
    for name in NAMES:
        left = np.log(d.seconds[name] / physics.seconds[name])
        head = Head.fit(name, seen.take(index[train]), left[train], calibrated=calibrated)
        mean, half = head.predict(seen.take(index[test]), LEVEL)
        out[name] = physics.seconds[name][test] * np.exp(mean)
        out[f"{name}_half"] = half
        if kind == "deployment" and not calibrated:
            out[f"{name}_few"] = few_shot(head, name, seen.take(index[test]), left[test])
    return out


def few_shot(head: Head, name: str, target: Any, left: Any) -> Any:
    """Errors of rows of a left-out deployment after some samples: samples, error; shape (m, 2)."""
    rng = np.random.default_rng(0)
    found = [np.zeros((0, 2))]
    for k in SAMPLES:
        if len(left) < k + 3:
            continue
        for _ in range(DRAWS):
            own = rng.choice(len(left), k, replace=False)
            rest = np.setdiff1d(np.arange(len(left)), own)
            learnt = head.more(name, target.take(own), left[own])
            mean, _ = learnt.predict(target.take(rest), LEVEL)
            miss = np.abs(np.expm1(mean - left[rest]))
            found.append(np.column_stack([np.full(len(rest), k), miss]))
    return np.vstack(found)


def summary(predicted: Any, measured: Any) -> dict[str, float]:
    return scored(np.abs(predicted / measured - 1.0))


def scored(miss: Any) -> dict[str, float]:
    return {
        "rows": len(miss),
        "mape": percent(miss.mean()),
        "median": percent(np.median(miss)),
        "p90": percent(np.quantile(miss, 0.9)),
    }


def percent(value: float) -> float:
    return round(100.0 * float(value), 2)


def held_out(kind: str, pool: Any) -> dict[str, Any]:
    """Score one kind of group: each alone for the errors, six folds of them for the intervals."""
    d = data()
    each = [d.use & (d.groups[kind] == g) for g in dict.fromkeys(d.groups[kind][d.use].tolist())]
    parts = list(pool.map(left_out, [(kind, test, False) for test in each]))
    rows = np.concatenate([p["test"] for p in parts])
    result = {name: scores(d, name, rows, parts) for name in NAMES}
    if kind == "deployment":
        whole = [fold & d.use for fold in folds(d.groups[kind], FOLDS)]
        parts = list(pool.map(left_out, [(kind, test, True) for test in whole]))
        rows = np.concatenate([p["test"] for p in parts])
        for name in NAMES:
            result[name] |= coverage(d, name, rows, parts)
    return result


def coverage(d: Data, name: str, rows: Any, parts: list[dict[str, Any]]) -> dict[str, float]:
    predicted = np.concatenate([p[name] for p in parts])
    half = np.concatenate([p[f"{name}_half"] for p in parts])
    covered = np.abs(np.log(d.seconds[name][rows] / predicted)) <= half
    return {"coverage_90": percent(covered.mean()),
            "median_width_factor": round(float(np.exp(np.median(half))), 3)}  # fmt: skip


def scores(d: Data, name: str, rows: Any, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Errors over all rows, over those not set apart, and with samples of one's own."""
    predicted = np.concatenate([p[name] for p in parts])
    kept = ~d.apart[rows]
    found: dict[str, Any] = {
        "all": summary(predicted, d.seconds[name][rows]),
        "apart_left_out": summary(predicted[kept], d.seconds[name][rows][kept]),
    }
    if f"{name}_few" in parts[0]:
        few = np.vstack([p[f"{name}_few"] for p in parts])
        found["samples"] = {str(k): scored(few[few[:, 0] == k, 1]) for k in SAMPLES}
    return found


def zero_shot() -> dict[str, Any]:
    d = data()
    physics = d.physics(StepCoefficients())
    peer = pd.read_csv(PEER, low_memory=False).set_index("id").reindex(d.frame["id"])
    out: dict[str, Any] = {"rows": len(d.frame), "answered": int(d.answered.sum())}
    out["apart"] = {"tp_above_8": int((d.answered & ~d.use).sum()),
                    "vllm_above_256": int((d.use & d.apart).sum())}  # fmt: skip
    for label, use in (("all", d.answered), ("apart_left_out", d.answered & ~d.apart)):
        out[label] = {n: summary(physics.seconds[n][use], d.seconds[n][use]) for n in NAMES}
    both = d.answered & peer["aic_tpot_ms"].notna().to_numpy()
    out["aiconfigurator_rows"] = {
        n: {
            "lengthwise": summary(physics.seconds[n][both], d.seconds[n][both]),
            "aiconfigurator": summary(
                peer[f"aic_{n}_ms"].to_numpy()[both] / 1e3, d.seconds[n][both]
            ),
        }
        for n in NAMES
    }
    out["miss"] = {"levels": LEVELS_KEPT.tolist()} | {
        n: _sides(np.log(d.seconds[n] / physics.seconds[n])[d.answered & ~d.apart]) for n in NAMES
    }
    return out


def _sides(miss: Any) -> dict[str, list[float]]:
    """Quantiles on both sides: what `data/profiles/zero_shot.json` holds."""
    below, above = (
        -np.quantile(miss, (1 - LEVELS_KEPT) / 2),
        np.quantile(miss, (1 + LEVELS_KEPT) / 2),
    )
    return {"below": np.round(below, 3).tolist(), "above": np.round(above, 3).tolist()}


def main(suites: list[str]) -> None:
    wanted = suites or ["zero_shot", "deployment", "hardware", "model"]
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with ProcessPoolExecutor(int(os.environ.get("WORKERS", "2"))) as pool:
        for suite in wanted:
            start = time.perf_counter()
            results[suite] = zero_shot() if suite == "zero_shot" else held_out(suite, pool)
            print(f"{suite}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
            print(json.dumps(results[suite], indent=1))
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
