"""Which policy chooses measurements best, at equal seconds of measuring.

    LENGTHWISE_DATA=... python benchmarks/exploration.py

Policies were trained (benchmarks/exploration_train.py) on other deployments than those compared
here: recorded ones for which ``learning`` does not hold, and simulated ones of other seeds. Every
policy starts with the same first run per phase. Error: mean |ln(predicted / read)| over all points
of a deployment, prefill and decode counting the same, up to 4 times the longest length that may be
measured. Budgets are shares of the seconds of measuring everything measurable once. Also: the same
campaigns answered by the law of the product, the range without extrapolation, and the two other
decisions (which correction to trust, how fast to adapt) on replayed streams. Results:
benchmarks/results/exploration.json.

Nothing was fitted to the deployments compared here, but they were seen: budgets, the tables that
are simulated, how repeats count, and the rule for the winner were revised after a first comparison,
in which ``reinforcement`` stood 2 % behind ``information`` on recorded deployments and 4 % ahead on
simulated ones.
"""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import lengthwise
from lengthwise.calibration.exploration import adaptation, trust
from lengthwise.calibration.exploration.comparison import against, scores, summary, winner
from lengthwise.calibration.exploration.deployment import Deployment
from lengthwise.calibration.exploration.learned import shipped, shipped_prior
from lengthwise.calibration.exploration.recorded import learning, recorded
from lengthwise.calibration.exploration.registry import DEFAULT, names, policy
from lengthwise.calibration.exploration.run import BUDGETS, Trial, play
from lengthwise.calibration.exploration.simulated import simulate
from lengthwise.calibration.exploration.streams import stream
from lengthwise.errors import LengthwiseError

RESULTS = Path(__file__).parent / "results" / "exploration.json"
SIMULATED = range(1000, 1024)
SEEDS = 5
DRIFTS = ("none", "step", "ramp", "back and forth")
CONFIRMED = ("sweep", "uncertainty", "information", "linucb", "reinforcement")
AT = (0.10, 0.40)


def errors(deployments: list[Deployment]) -> dict[str, Any]:
    """Median over seeds of the error of every policy, (deployments, budgets)."""
    prior, out = shipped_prior(), {}
    for name in names():
        each = [
            np.median([play(policy(name), d, prior, seed)[0] for seed in range(SEEDS)], axis=0)
            for d in deployments
        ]
        out[name] = np.array(each)
    return out


def compared(deployments: list[Deployment]) -> tuple[dict[str, Any], dict[str, Any]]:
    found = errors(deployments)
    rows = {
        "deployments": len(deployments),
        "policies": summary(found, BUDGETS),
        "reinforcement_against": {
            k: against(found, "reinforcement", k) for k in found if k != "reinforcement"
        },
        "information_against_uncertainty": against(found, "information", "uncertainty"),
    }
    return rows, found


def product_error(trial: Trial, limit_s: float) -> float:
    """Error of the law of the product fitted to the runs over within ``limit_s``; NaN: no fit."""
    here, rows, spent = trial.deployment, [], 0.0
    for candidate, log_s in zip(trial.campaign.taken, trial.campaign.log_step_s, strict=True):
        i = int(trial.index[candidate])
        spent += here.run_s(i, float(np.exp(log_s)))
        if spent > limit_s:
            break
        rows.append({**here.points.describe(i), "latency_ms": 1e3 * float(np.exp(log_s))})
    asked = pd.DataFrame([here.points.describe(i) for i in range(len(here.points))])
    try:
        law = lengthwise.LatencyLaw(max_extrapolation=None).fit(pd.DataFrame(rows))
        predicted = np.asarray(law.predict(asked), dtype=float)
    except LengthwiseError:
        return float("nan")
    return here.error(np.log(predicted / 1e3))


def confirmed(deployments: list[Deployment]) -> dict[str, Any]:
    """Answer the same campaigns by the product's law."""
    prior, out = shipped_prior(), {}
    for name in CONFIRMED:
        trials = [play(policy(name), d, prior, 0)[1] for d in deployments]
        values = np.array([
            [product_error(t, share * t.deployment.total_s) for share in AT] for t in trials
        ])  # fmt: skip
        out[name] = values
    usable = ~np.isnan(np.stack(list(out.values()))).any(axis=0)
    rows: dict[str, Any] = {"deployments": [d.name for d in deployments]}
    for j, share in enumerate(AT):
        rows[f"{share:g}"] = {
            name: {
                "median_error_percent": round(100 * float(np.nanmedian(v[usable[:, j], j])), 2)
                if usable[:, j].any() else None,
                "not_fitted": int(np.isnan(v[:, j]).sum()),
                "compared_on": int(usable[:, j].sum()),
            }
            for name, v in out.items()
        }  # fmt: skip
    return rows


def decision(deployments: list[Deployment], which: str) -> dict[str, Any]:
    """Mean |ln error| of every fixed choice, of Hedge and of Exp3, over streams."""
    prior, out = shipped_prior(), {}
    for drift in DRIFTS:
        columns = [_decided(stream(d, prior, drift, 0), which) for d in deployments]
        found = {k: np.array([[c[k]] for c in columns]) for k in columns[0]}
        fixed = [k for k in found if k not in ("hedge", "exp3")]
        stack = np.stack([found[k][:, 0] for k in fixed])
        rows: dict[str, Any] = {
            k: {"median_error_percent": round(100 * float(np.median(v)), 2),
                "mean_error_percent": round(100 * float(v.mean()), 2)}
            for k, v in found.items()
        }  # fmt: skip
        best = min(fixed, key=lambda k: float(found[k].mean()))
        rows["best_fixed"] = best
        rows["hedge_against_best_fixed"] = against(found, "hedge", best)
        rows["hedge_beats_every_fixed"] = int((found["hedge"][:, 0] < stack.min(axis=0)).sum())
        out[drift] = rows
    return out


def _decided(found: Any, which: str) -> dict[str, float]:
    if which == "correction":
        fixed, labels = trust.offered(found), ["none", "offset", "process", "trees"]
        hedge, exp3 = trust.hedged(found, fixed), trust.drawn(found, fixed)
    else:
        fixed, labels = adaptation.filtered(found), [f"{q:g}" for q in adaptation.RATES]
        hedge, exp3 = adaptation.adapted(found), adaptation.drawn_rates(found, fixed)
    columns = dict(zip(labels, fixed.T, strict=True)) | {"hedge": hedge, "exp3": exp3}
    return {k: float(np.abs(v - found.log_seconds).mean()) for k, v in columns.items()}


def main() -> None:
    warnings.simplefilter("ignore")
    began = time.process_time()
    real = [d for d in recorded() if not learning(d.name)]
    made = [simulate(seed) for seed in SIMULATED]
    inside = [d for d in recorded(reach=1.0) if not learning(d.name)]
    on_real, real_errors = compared(real)
    on_made, made_errors = compared(made)
    groups = [real_errors, made_errors]
    out = {
        "budgets": list(BUDGETS), "seeds": SEEDS, "trained_on": shipped()["provenance"],
        "recorded": on_real, "simulated": on_made,
        "recorded_by_deployment": {
            d.name: {k: [round(100 * float(v), 2) for v in real_errors[k][i]] for k in names()}
            for i, d in enumerate(real)
        },
        "recorded_everything_measurable": compared(inside)[0],
        "product_law": confirmed(real),
        "mean_ln_error": {
            k: round(v, 4) for k, v in sorted(scores(groups).items(), key=lambda x: x[1])
        },
        "winner": winner(groups), "default": DEFAULT,
        "which_correction": decision(real + made[:6], "correction"),
        "how_fast": decision(real + made[:6], "rate"),
        "cpu_seconds": round(time.process_time() - began, 1),
    }  # fmt: skip
    RESULTS.write_text(json.dumps(out, indent=1) + "\n")
    shown = ("recorded", "simulated", "product_law", "mean_ln_error", "winner", "default",
             "which_correction", "how_fast", "cpu_seconds")  # fmt: skip
    print(json.dumps({k: out[k] for k in shown}, indent=1))


if __name__ == "__main__":
    main()
