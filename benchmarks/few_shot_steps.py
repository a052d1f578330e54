"""The step law on Splitwise's steps: another GPU family, then a few samples of one's own.

    LENGTHWISE_DATA=... python benchmarks/few_shot_steps.py

Leave one device family out (A100 or H100): coefficients and correction come from the other one.
Each target (model, GPU, tp) is then predicted with 0, 1, 3 and 5 of its own points, random (10
draws) or chosen as ``lengthwise suggest`` does. Points are medians of repeats; tp 2 at batch
64 is left out (794 ms against 6,633 ms at batch 32: the source's own odd cell). Results:
benchmarks/results/few_shot_steps.json.
"""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import lengthwise
from lengthwise.prediction.step_law import StepLaw
from lengthwise.prediction.suggest import choose

RESULTS = Path(__file__).parent / "results" / "few_shot_steps.json"
KEYS = [
    "phase",
    "model",
    "hardware",
    "engine",
    "precision",
    "tp",
    "isl",
    "context_len",
    "batch_size",
]
SAMPLES = (0, 1, 3, 5)
DRAWS = 10


def points() -> pd.DataFrame:
    table = lengthwise.dataset("splitwise")
    keys = [name for name in KEYS if name in table]
    table = table.groupby(keys, dropna=False)["latency_ms"].median().reset_index()
    return table[~((table["tp"] == 2) & (table["batch_size"] == 64))]


def main() -> None:
    warnings.simplefilter("ignore")
    table, rows = points(), []
    for family in ("a100", "h100"):
        other = table["hardware"].str.contains(family)
        law = StepLaw().fit(table[~other])
        for key, target in table[other].groupby(["phase", "model", "hardware", "tp"]):
            target = target.reset_index(drop=True)
            for how in ("random", "suggested"):
                rows += [{**dict(zip(("phase", "model", "hardware", "tp"), key, strict=True)),
                          "samples": k, "how": how, "mape": miss}
                         for k, miss in errors(law, target, how)]  # fmt: skip
    found = pd.DataFrame(rows)
    RESULTS.write_text(json.dumps(summary(found), indent=1) + "\n")
    print(RESULTS.read_text())


def errors(law: StepLaw, target: pd.DataFrame, how: str) -> list[tuple[int, float]]:
    """Mean error of the points that were not sampled, percent, by number of samples."""
    order = choose(law, target, max(SAMPLES), str(target["phase"].iloc[0]))
    out = []
    for k in SAMPLES:
        for draw in range(DRAWS if how == "random" and k else 1):
            rng = np.random.default_rng(draw)
            own = order[:k] if how == "suggested" else rng.choice(len(target), k, replace=False)
            out.append((k, error(law, target, list(own))))
    return out


def error(law: StepLaw, target: pd.DataFrame, own: list[int]) -> float:
    mine = copy.copy(law)
    mine.heads_ = dict(law.heads_)
    if own:
        mine.update(target.loc[own])
    rest = target.drop(index=own)
    predicted = mine.predict(rest.drop(columns="latency_ms"))
    return 100.0 * float(np.abs(predicted / rest["latency_ms"].to_numpy() - 1.0).mean())


def summary(found: pd.DataFrame) -> dict[str, Any]:
    out: dict[str, Any] = {"targets": {}, "mean_of_targets": {}, "llama2_70b_by_tp": {}}
    each = found.groupby(["phase", "how", "samples", "model", "hardware", "tp"])["mape"].mean()
    for (phase, how, k, *rest), value in each.items():
        name = " | ".join([str(rest[0]), str(rest[1]), f"tp={rest[2]}"])
        place = out["targets"].setdefault(f"{phase}, {how}", {}).setdefault(name, {})
        place[str(k)] = round(value, 2)
    for (phase, how, k), values in each.groupby(level=[0, 1, 2]):
        place = out["mean_of_targets"].setdefault(f"{phase}, {how}", {})
        place[str(k)] = {"mean": round(values.mean(), 2), "median": round(values.median(), 2)}
    llama = each[each.index.get_level_values("model") == "llama2-70b"]
    for (how, k, tp), values in llama.groupby(level=["how", "samples", "tp"]):
        place = out["llama2_70b_by_tp"].setdefault(f"tp={tp}, {how}", {})
        place[str(k)] = round(values.mean(), 2)
    return out


if __name__ == "__main__":
    main()
