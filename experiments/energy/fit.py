"""Fit power curves and ramps to the public tables; write the profile that ships with the package.

LENGTHWISE_DATA=... python experiments/energy/fit.py

Needs the tables ``mlenergy`` (H100, B200) and ``edgereasoning`` (Jetson AGX Orin). The intervals are
those of runs whose model (or hardware, for the pooled curve) the curve was not fitted to.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import lengthwise
from lengthwise.calibration.energy_fit import fit_power, fit_prefill_power, fit_ramp
from lengthwise.calibration.energy_rows import EnergyRows, chosen, mlenergy_rows
from lengthwise.calibration.energy_studies import (
    Predicted,
    by_hardware,
    by_model,
    errors,
    prefill_held_out,
    ramp_held_out,
    spread,
)
from lengthwise.data import datasets
from lengthwise.data.hardware_catalog import find_hardware
from lengthwise.domain.model import find_model

PROFILE = Path(lengthwise.__file__).parent / "data" / "profiles" / "energy.json"
SOURCES = {
    "power": "ML.ENERGY Leaderboard v3, arXiv 2505.06371, github.com/ml-energy/leaderboard, Apache-2.0",
    "phases": "EdgeReasoning, github.com/edge-inference/edgereasoning, BSD-3-Clause",
}


def curves(rows: EnergyRows) -> dict[str, Any]:
    """One curve per processor, and the pooled one."""
    names = np.array([find_hardware(name).name for name in rows.table["hardware"]])
    here, elsewhere = by_model(rows), by_hardware(rows)
    found = {name: _curve(rows, names == name, here) for name in np.unique(names)}
    return found | {"generic": _curve(rows, np.ones(len(names), bool), elsewhere)}


def _curve(rows: EnergyRows, at: Any, held_out: Predicted) -> dict[str, Any]:
    fraction = (rows.watts / rows.rated_w)[at]
    activity = chosen(rows.activity, at)
    curve = fit_power(activity, fraction)
    return {
        "rows": int(at.sum()),
        "coefficients": {name: round(value, 4) for name, value in curve.to_dict().items()},
        "fit_error": errors(curve.fraction(activity), fraction),
        "held_out_error": errors(held_out.watts[at], rows.watts[at]),
        "watts_error": around(spread(held_out.watts[at], rows.watts[at])),
        "joules_error": around(spread(held_out.joules_zero_shot[at], rows.joules_per_token[at])),
    }


def around(factors: list[float]) -> list[float]:
    """Let an interval hold its own point: the step model alone is always too fast on B200."""
    return [min(1.0, factors[0]), max(1.0, factors[1])]


def phases(table: pd.DataFrame) -> dict[str, Any]:
    """Ramp and prefill power by model, and of all models together."""
    found = {}
    for name, rows in table.groupby("model"):
        spec = find_model(str(name))
        found[spec.name if spec else str(name)] = _phase(rows)
    return found | {"any": _phase(table)}


def _phase(rows: pd.DataFrame) -> dict[str, Any]:
    decode, prefill = rows[rows["phase"] == "decode"], rows[rows["phase"] == "prefill"]
    t, joules = decode["decode_time_s"].to_numpy(float), decode["decode_energy_j"].to_numpy(float)
    n, watts = prefill["isl"].to_numpy(float), prefill["power_w"].to_numpy(float)
    held = ramp_held_out(decode)
    return {
        "rows": len(rows),
        "ramp": {k: round(v, 4) for k, v in fit_ramp(t, joules).to_dict().items()},
        "prefill": {k: round(v, 4) for k, v in fit_prefill_power(n, watts).to_dict().items()},
        "held_out_error": {"decode_joules": errors(held, joules),
                           "prefill_watts": errors(prefill_held_out(prefill), watts)},
        "watts_error": around(spread(held, joules)),
    }  # fmt: skip


def main() -> None:
    """Fit and write."""
    rows = mlenergy_rows(datasets.table("mlenergy"))
    profile: dict[str, Any] = {
        "sources": SOURCES,
        "made_by": "experiments/energy/fit.py",
        "power": curves(rows),
        "phases": {"jetson_agx_orin": phases(datasets.table("edgereasoning"))},
    }
    PROFILE.write_text(json.dumps(profile, indent=1) + "\n", encoding="utf-8")
    for name, curve in profile["power"].items():
        print(name, curve["coefficients"], curve["held_out_error"], curve["joules_error"])
    for name, found in profile["phases"]["jetson_agx_orin"].items():
        print(name, found["ramp"], found["held_out_error"])


if __name__ == "__main__":
    main()
