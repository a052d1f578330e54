"""Error of watts and joules on runs that the curves were not fitted to.

LENGTHWISE_DATA=... python benchmarks/energy.py   writes benchmarks/results/energy.json

``power`` holds every model of the ML.ENERGY table out in turn (by shape: FP8 and 16-bit versions of
one model leave together), ``power_other_hardware`` all runs of a processor. ``share_of_tdp`` is the
usual fraction of the rated power in the training rows. ``ramp``, ``prefill`` hold every fifth run
of EdgeReasoning out; ``constant_watts`` is the median power of the others.

Where it loses: a curve fitted on B200 predicts H100 worse than a flat share of the rated power;
large mixtures on four and eight H100 are off by a quarter; and at the step model's own token rate,
which leaves out what serving costs beside the steps, joules per token come out a quarter to a third
too low. Prompts of the ML.ENERGY tasks are assumed, not recorded.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.calibration.energy_rows import EnergyRows, mlenergy_rows
from lengthwise.calibration.energy_studies import (
    Predicted,
    by_hardware,
    by_model,
    errors,
    prefill_held_out,
    ramp_held_out,
)
from lengthwise.data import datasets

RESULT = Path(__file__).parent / "results" / "energy.json"


def served(rows: EnergyRows, found: Predicted) -> dict[str, Any]:
    """Errors by hardware, of watts and of joules per token."""
    hardware = rows.table["hardware"].to_numpy()
    joules = rows.joules_per_token
    out: dict[str, Any] = {}
    for name in np.unique(hardware):
        at = hardware == name
        out[str(name)] = {
            "watts": errors(found.watts[at], rows.watts[at]),
            "watts_share_of_tdp": errors(found.watts_share[at], rows.watts[at]),
            "joules_per_token": errors(found.joules[at], joules[at]),
            "joules_per_token_share_of_tdp": errors(found.joules_share[at], joules[at]),
            "joules_per_token_zero_shot": errors(found.joules_zero_shot[at], joules[at]),
            "token_rate_zero_shot": errors(rows.predicted_tokens_per_s[at], rows.tokens_per_s[at]),
        }
    return out


def worst(rows: EnergyRows, found: Predicted) -> dict[str, float]:
    """Mean error of watts of each model that was left out, worst first, percent."""
    off = 100 * np.abs(found.watts / rows.watts - 1)
    keys = [f"{h} {f}" for h, f in zip(rows.table["hardware"], rows.family, strict=True)]
    mean = pd.Series(off).groupby(keys).mean().sort_values(ascending=False)
    return {str(name): round(float(value), 1) for name, value in mean.items()}


def edge(table: pd.DataFrame) -> dict[str, Any]:
    """Errors of ramp and prefill power, by model."""
    out: dict[str, Any] = {}
    for name, rows in table.groupby("model"):
        decode, prefill = rows[rows["phase"] == "decode"], rows[rows["phase"] == "prefill"]
        joules = decode["decode_energy_j"].to_numpy(float)
        flat = float(decode["power_w"].median()) * decode["decode_time_s"].to_numpy(float)
        held, long = ramp_held_out(decode), decode["osl"].to_numpy(float) >= 65
        watts = prefill["power_w"].to_numpy(float)
        out[str(name)] = {
            "ramp_joules": errors(held, joules),
            "ramp_joules_from_65_tokens": errors(held[long], joules[long]),
            "ramp_joules_below_65_tokens": errors(held[~long], joules[~long]),
            "constant_watts_joules": errors(flat, joules),
            "prefill_watts": errors(prefill_held_out(prefill), watts),
            "prefill_constant_watts": errors(np.full(len(watts), np.median(watts)), watts),
        }
    return out


def main() -> None:
    """Evaluate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=RESULT)
    options = parser.parse_args()
    rows = mlenergy_rows(datasets.table("mlenergy"))
    here = by_model(rows)
    result = {
        "power": served(rows, here),
        "power_other_hardware": served(rows, by_hardware(rows)),
        "power_by_left_out_model": worst(rows, here),
        "edgereasoning": edge(datasets.table("edgereasoning")),
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
