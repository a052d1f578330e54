"""Fit the operator curves that ship as device profiles.

    LENGTHWISE_DATA=... python experiments/device_profiles/fit.py [gemm] [experts]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import tables

from lengthwise.calibration.operators import experts_fit, gemm_fit

PROFILES = Path(__file__).parents[2] / "src/lengthwise/data/profiles"


def rounded(value):
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def errors(predicted, measured) -> dict:
    relative = np.abs(predicted / measured - 1)
    return {"rows": len(relative), "median": float(np.median(relative)), "p90": float(np.quantile(relative, 0.9))}


def predict_gemm(curve, frame):
    m = frame.m.to_numpy(float)
    return curve.seconds(m, frame.n, frame.k, aligned=gemm_fit.is_aligned(m))


def typical(kind: str) -> dict:
    """Geometric medians of the coefficients of all systems, by number format."""
    groups: dict[str, list[dict]] = {}
    for system in tables.SYSTEMS:
        for curve in json.loads((PROFILES / f"{system}.{kind}.json").read_text())["curves"]:
            if not curve["eager"]:
                groups.setdefault(curve["dtype"], []).append(curve["coefficients"])
    curves = []
    for dtype, found in groups.items():
        middle = {k: np.exp(np.median(np.log([c[k] for c in found]), axis=0)).tolist() for k in found[0]}
        curves.append({"engine": "any", "engine_version": "", "dtype": dtype, "kernel": [], "eager": False,
                       "coefficients": middle, "fit_error": {}, "held_out": {}})
    return {"schema_version": 1, "system": "generic", "source": {**tables.SOURCE, "files": []}, "curves": rounded(curves)}


KINDS = {"gemm": (tables.gemm, gemm_fit.fit, predict_gemm), "experts": (tables.experts, experts_fit.fit, experts_fit.predict)}


def main() -> None:
    for kind in sys.argv[1:] or KINDS:
        read, fit, predict = KINDS[kind]
        for system in tables.SYSTEMS:
            hardware, curves, names = tables.hardware(system), [], []
            for engine in tables.ENGINES:
                for version, dtype, kernels, frame, name in read(system, engine):
                    curve = fit(frame, hardware, dtype)
                    found = errors(predict(curve, frame), frame.seconds.to_numpy())
                    names.append(name)
                    curves.append({"engine": engine, "engine_version": version, "dtype": dtype, "kernel": kernels, "eager": bool(curve.coefficients.launch > 5e-5 and kind == "gemm"),
                                   "coefficients": curve.to_dict()["coefficients"], "fit_error": found, "held_out": {}})
                    print(kind, system, engine, dtype, found, flush=True)
            PROFILES.mkdir(exist_ok=True)
            out = {"schema_version": 1, "system": system, "source": {**tables.SOURCE, "files": sorted(set(names))}, "curves": rounded(curves)}
            (PROFILES / f"{system}.{kind}.json").write_text(json.dumps(out, indent=1) + "\n")
        (PROFILES / f"generic.{kind}.json").write_text(json.dumps(typical(kind), indent=1) + "\n")


if __name__ == "__main__":
    main()
