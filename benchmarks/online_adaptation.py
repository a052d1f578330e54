"""Two decisions of the online learner, each against every fixed choice, in the learner itself.

    LENGTHWISE_DATA=... python benchmarks/online_adaptation.py

Which correction to trust: none, half or all of the learnt one, or as much as Hedge says. How fast
to adapt: levels over the law that follow recent rows at four speeds (the first not at all), or
Hedge over them. Every answer is given before its rows are learnt; errors are |ln(predicted /
measured)| of the median, mean over rows, relative to the best fixed choice. Streams: the queueing
simulation, IBM's traffic (deployments nothing was developed on), and streams of a known law that
stay as they are, step, drift slowly or come in waves. Results:
benchmarks/results/online_adaptation.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import online
import online_drift
import online_simulation
import online_traffic

from lengthwise.calibration.online import pace, weighing
from lengthwise.calibration.online.learner import OnlineLearner
from lengthwise.formulations.online.rows import RouterRows
from lengthwise.formulations.online.target import TargetLaw

RESULTS = Path(__file__).parent / "results" / "online_adaptation.json"
SEEDS = (8401, 8402, 8403)
ROWS, WARM, CHUNK = 10_000, 1_000, 50
TARGETS = online.TARGETS
SHAPES = {
    "as it is": lambda i: np.ones(len(i)),
    "step of 1.12": lambda i: np.where(i < ROWS / 2, 1.0, 1.12),
    "step of 1.35": lambda i: np.where(i < ROWS / 2, 1.0, 1.35),
    "drift to 1.5": lambda i: 1 + 0.5 * np.clip((i - 2000) / 6000, 0, 1),
    "waves": lambda i: np.exp(0.15 * np.sin(i / 300)),
}
Stream = tuple[RouterRows, dict[str, Any], Any]
"""Rows, times by target, seconds; times (n,)."""


def known_laws(shape: str) -> Iterator[Stream]:
    """Streams of a known law that changes in one way."""
    for seed in SEEDS:
        rng, i = np.random.default_rng(seed), np.arange(ROWS)
        rows, true = online_drift.stream(rng, ROWS)
        factor = SHAPES[shape](i)
        times = {t: true[t] * factor * online_drift.noise(rng, ROWS) for t in TARGETS}
        yield rows, times, i.astype(float)


def queues(settings: dict[str, Any]) -> Iterator[Stream]:
    """Simulate queues."""
    for seed in SEEDS[:2]:
        pool = online_simulation.Pool(requests=ROWS, **settings)
        table = online_simulation.simulate(pool, seed)
        yield as_stream(table, (*online_simulation.COLUMNS, "pod"))


def traffic() -> Iterator[Stream]:
    """Traffic of IBM's pilot: deployments that nothing was developed on."""
    for i, (_, group) in enumerate(online_traffic.deployments()):
        if i % 8 == 2 and i not in online.DEVELOPED_ON:
            yield as_stream(online_traffic.as_rows(group), online_traffic.COLUMNS)


def as_stream(table: dict[str, Any], columns: Any) -> Stream:
    n = len(table["time_s"])
    rows = online.rows_of(table, np.arange(n), columns)
    return rows, {t: table[f"{t}_s"] for t in TARGETS}, table["time_s"]


def errors(stream: Stream) -> dict[str, dict[str, Any]]:
    """Log errors of every choice before the rows are learnt, (n,), by target and choice."""
    rows, times, time_s = stream
    learner, found = OnlineLearner(), {t: {} for t in TARGETS}
    for start in range(0, len(rows), CHUNK):
        at = slice(start, min(start + CHUNK, len(rows)))
        now_s = float(time_s[at].min())
        if start >= WARM:
            for target in TARGETS:
                said = choices(learner, target, rows.take(at), now_s)
                for name, log_s in said.items():
                    miss = np.abs(log_s - np.log(times[target][at]))
                    found[target].setdefault(name, []).append(miss)
        learner.observe(rows.take(at), times["ttft"][at], times["tpot"][at], time_s[at])
    return {t: {k: np.concatenate(v) for k, v in kinds.items()} for t, kinds in found.items()}


def choices(learner: OnlineLearner, target: str, rows: RouterRows, now_s: float) -> dict[str, Any]:
    """Log medians of every choice, (n,)."""
    law = learner.law.targets[target]
    out = {"speed, hedge": median(learner, law, rows, now_s)}
    plain = median(learner, law, rows, None)
    for speed, level in zip(pace.SPEEDS, learner.targets[target].pace.level, strict=True):
        out[f"speed, {speed:g}"] = plain + level
    if law.correction is not None:
        out["correction, hedge"] = plain
        for share in weighing.SHARES:
            other = replace(law, correction=law.correction.shared(float(share)))
            out[f"correction, {share:g}"] = median(learner, other, rows, None)
    return out


def median(learner: OnlineLearner, law: TargetLaw, rows: RouterRows, now_s: float | None) -> Any:
    """Log of the median as it is served, (n,)."""
    context = learner.law.frame.place(rows)
    middle, variance = law.median(context, now_s)
    return np.log(middle) + law.spread.at(0.5, context.cell, variance, fresh=1.0)


def compared(streams: list[Stream]) -> dict[str, Any]:
    """Error of every choice over the best fixed one, by decision and target."""
    runs = [errors(stream) for stream in streams]
    out: dict[str, Any] = {}
    for target in TARGETS:
        names = sorted({name for run in runs for name in run[target]})
        pooled = {n: np.concatenate([r[target].get(n, []) for r in runs]) for n in names}
        mean = {n: float(np.nanmean(v)) for n, v in pooled.items() if np.isfinite(v).any()}
        for decision in ("correction", "speed"):
            part = {n.split(", ")[1]: v for n, v in mean.items() if n.startswith(decision)}
            if not part:
                continue
            best = min((n for n in part if n != "hedge"), key=part.__getitem__)
            rows = int(np.isfinite(pooled[f"{decision}, hedge"]).sum())
            out.setdefault(decision, {})[target] = {
                "rows": rows, "mean_abs_ln": {n: round(v, 4) for n, v in part.items()},
                "best_fixed": best, "hedge_over_best": round(part["hedge"] / part[best], 4),
                "hedge_over_first": round(part["hedge"] / part["0"], 4),
            }  # fmt: skip
    return out


def main() -> None:
    streams = {name: known_laws(name) for name in SHAPES}
    streams |= {f"queues, {name}": queues(settings) for name, settings in online.POOLS.items()}
    streams["traffic"] = traffic()
    results = {name: compared(list(made)) for name, made in streams.items()}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
