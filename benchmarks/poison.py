"""Bad rows among honest ones: what the online law answers and tells, and how it recovers.

    python benchmarks/poison.py [--rows 8000] [--kinds A,B] [--shares 0.2] [--where end] [--write]

Kinds are those of poison_rows.py; each is a share of all rows, spread evenly, in one burst in the
middle, at the start or at the end. The learner has its default settings. Errors: median of
|served mean / true median - 1| on fresh honest rows, over what learners have without bad rows
(``ratio``; mean of four streams); ``recovered`` is the same 300 honest rows later. ``told`` is the
error that is told over the error of the answers against honest observations (with their noise).
``--write`` writes benchmarks/results/poison.json.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import poison_rows as stream

from lengthwise.calibration.online.learner import OnlineLearner
from lengthwise.formulations.online.rows import RouterRows

RESULTS = Path(__file__).parent / "results" / "poison.json"
SHARES, WHERE = (0.02, 0.05, 0.1, 0.2), ("spread", "burst", "start", "end")
BATCH, RATE, AFTER, SEED, CLEAN = 100, 500.0, 300, 31, 4
ALLOWED, ALLOWED_MOST = 1.5, 2.0
"""Error over the clean one that may be, and with 20 % of bad rows."""


def rows_of(columns: stream.Columns) -> RouterRows:
    names = (*stream.NUMBERS, "pod", "pod_type")
    return RouterRows.of({name: columns[name] for name in names})


def feed(learner: OnlineLearner, columns: stream.Columns, start_s: float) -> float:
    n = len(columns["ttft_s"])
    time_s = start_s + (1 + np.arange(n) // BATCH) * BATCH / RATE
    for i in range(0, n, BATCH):
        part = stream.take(columns, slice(i, i + BATCH))
        learner.observe(rows_of(part), part["ttft_s"], part["tpot_s"], time_s[i : i + BATCH])
    return float(time_s[-1])


def errors(learner: OnlineLearner, now_s: float) -> dict[str, Any]:
    """Against the truth and against observations, of what is served now, by target."""
    columns, true = stream.honest(3000, 777)
    answer = learner.law.predict(rows_of(columns), now_s=now_s)
    out = {}
    for t in stream.TARGETS:
        served = getattr(answer, f"{t}_s")
        lo, hi = (getattr(answer, f"{t}_{side}_s") for side in ("lo", "hi"))
        y = columns[f"{t}_s"]
        out[t] = {
            "error": float(np.median(np.abs(served / true[t] - 1))),
            "seen": float(np.median(np.abs(served / y - 1))),
            "coverage": float(np.mean((y >= lo) & (y <= hi))),
        }
    return out


def run(case: tuple[str, float, str], rows: int, seed: int = SEED) -> dict[str, Any]:
    warnings.filterwarnings("ignore")
    kind, share, where = case
    if share:
        columns, _ = stream.mixed(kind, share, where, rows, seed)
    else:
        columns, _ = stream.honest(rows, seed)
    began = time.process_time()
    learner = OnlineLearner()
    now = feed(learner, columns, 0.0)
    n = len(columns["ttft_s"])
    found = {
        "kind": kind, "share": share, "where": where,
        "rows_per_cpu_s": round(n / (time.process_time() - began)),
        **told(learner), "at_end": errors(learner, now),
    }  # fmt: skip
    now = feed(learner, stream.honest(AFTER, seed + 1)[0], now)
    found["later"] = errors(learner, now)
    return found


def told(learner: OnlineLearner) -> dict[str, Any]:
    return {
        "told": {t: learner.targets[t].error for t in stream.TARGETS},
        "suspect": bool(getattr(learner, "suspect", {})),
        "kinds": sorted({e.kind for e in learner.events}),
    }


def mean_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Errors without bad rows, over streams of several seeds: one alone has luck of its own."""
    return {
        when: {
            t: {"error": float(np.mean([r[when][t]["error"] for r in runs])),
                "each": [round(r[when][t]["error"], 5) for r in runs]}
            for t in stream.TARGETS
        }
        for when in ("at_end", "later")
    } | {"rows_per_cpu_s": [r["rows_per_cpu_s"] for r in runs],
         "suspect": [r["suspect"] for r in runs]}  # fmt: skip


def judged(found: dict[str, Any], clean: dict[str, Any]) -> dict[str, Any]:
    allowed = ALLOWED_MOST if found["share"] >= 0.2 else ALLOWED
    ratio, later, told_ratio = {}, {}, {}
    for t in stream.TARGETS:
        ratio[t] = found["at_end"][t]["error"] / clean["at_end"][t]["error"]
        later[t] = found["later"][t]["error"] / clean["later"][t]["error"]
        told_ratio[t] = (found["told"][t] or 0.0) / found["at_end"][t]["seen"]
    right = all(1 / 1.5 <= r <= 1.5 for r in told_ratio.values())
    holds = {
        "error": all(r <= allowed for r in ratio.values()),
        "told": right or found["suspect"],
        "recovery": all(r <= ALLOWED for r in later.values()),
    }
    rounded = {
        "ratio": {t: round(r, 3) for t, r in ratio.items()},
        "recovered": {t: round(r, 3) for t, r in later.items()},
        "told": {t: round(r, 3) for t, r in told_ratio.items()},
        "coverage_percent": {
            t: round(100 * found["at_end"][t]["coverage"], 1) for t in stream.TARGETS
        },
    }
    keys = ("kind", "share", "where", "suspect", "rows_per_cpu_s", "kinds")
    return {k: found[k] for k in keys} | rounded | {"holds": holds}


def show(case: dict[str, Any]) -> str:
    fails = " ".join(["FAILS"] + [name for name, fine in case["holds"].items() if not fine])
    parts = [f"{case['kind']:16s} {case['share']:4.0%} {case['where']:6s}"]
    for name in ("ratio", "recovered", "told"):
        parts.append(name + " ".join(f"{value:8.2f}" for value in case[name].values()))
    parts.append("suspect" if case["suspect"] else "")
    parts.append("" if all(case["holds"].values()) else fails)
    return " | ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--kinds", default=",".join(stream.KINDS))
    parser.add_argument("--shares", default=",".join(map(str, SHARES)))
    parser.add_argument("--where", default=",".join(WHERE))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    cases = [
        (kind, float(share), where)
        for kind in asked.kinds.split(",")
        for share in asked.shares.split(",")
        for where in asked.where.split(",")
    ]
    results = []
    with ProcessPoolExecutor(asked.processes) as pool:
        one = partial(run, rows=asked.rows)
        quiet = [pool.submit(one, ("none", 0.0, ""), seed=SEED + i) for i in range(CLEAN)]
        clean = mean_of([q.result() for q in quiet])
        print("clean", json.dumps(clean), flush=True)
        for found in pool.map(one, cases):
            results.append(judged(found, clean))
            print(show(results[-1]), flush=True)
    counts = {
        name: f"{sum(r['holds'][name] for r in results)} of {len(results)}"
        for name in ("error", "told", "recovery")
    }
    print(json.dumps(counts))
    data = {"rows": asked.rows, "clean": clean, "holds": counts, "cases": results}
    if asked.write:
        RESULTS.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
