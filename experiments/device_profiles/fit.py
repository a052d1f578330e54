"""Fit the operator curves that ship as device profiles.

LENGTHWISE_DATA=... python experiments/device_profiles/fit.py [gemm] [experts]
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import tables

from lengthwise.calibration.operators import experts_fit, gemm_fit

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "src/lengthwise/data/profiles"
RESULTS = ROOT / "benchmarks/results"
HOST_BOUND_S = 40e-6
"""A small product that takes longer was launched by the host, call by call."""


def rounded(value):
    if isinstance(value, dict) and "axes" in value:
        return {"axes": value["axes"], "values": [round(v, 3) for v in value["values"]]}
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def errors(predicted, measured) -> dict:
    relative = np.abs(predicted / measured - 1)
    return {
        "rows": len(relative),
        "median": float(np.median(relative)),
        "p90": float(np.quantile(relative, 0.9)),
    }


def predict_gemm(curve, frame):
    m = frame.m.to_numpy(float)
    return curve.seconds(m, frame.n, frame.k, aligned=gemm_fit.is_aligned(m))


def middle(values: list):
    """Geometric median of numbers, entry by entry; of logarithms in grids the plain one."""
    first = values[0]
    if isinstance(first, dict):
        if "axes" in first:
            return {
                "axes": first["axes"],
                "values": np.median([v["values"] for v in values], axis=0).tolist(),
            }
        keys = {k for v in values for k in v}
        return {k: middle([v[k] for v in values if k in v]) for k in sorted(keys)}
    if isinstance(first, list):
        return [middle([v[i] for v in values]) for i in range(len(first))]
    return float(np.exp(np.median(np.log(values))))


def typical(curves: list[dict], dtype: str) -> dict:
    """Typical coefficients of the curves of one number format on several systems."""
    found = [c["coefficients"] for c in curves if c["dtype"] == dtype and not c["eager"]]
    return {
        "engine": "any",
        "engine_version": "",
        "dtype": dtype,
        "kernel": [],
        "eager": False,
        "coefficients": middle(found),
        "fit_error": {},
        "held_out": {},
    }


def write(name: str, content: dict) -> None:
    text = json.dumps(rounded(content), indent=1)
    text = re.sub(
        r"\[\s+(-?[0-9][^\]\[]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", "", m[1]) + "]", text
    )
    PROFILES.mkdir(exist_ok=True)
    (PROFILES / name).write_text(text + "\n")


def held_out(kind: str) -> dict:
    """Errors on kernels left out of the fit, by system, engine and format, as the benchmark found them."""
    path = RESULTS / f"kernels_{kind}.json"
    return json.loads(path.read_text())["curves"] if path.is_file() else {}


def usable(kind: str, frame):
    return frame[~frame.slow] if kind == "experts" else frame


def is_eager(kind: str, curve) -> bool:
    """Whether the table holds the host's launches of each call, not the kernel alone."""
    return kind == "gemm" and bool(curve.seconds(1.0, 1024.0, 1024.0) > HOST_BOUND_S)


KINDS = {
    "gemm": (tables.gemm, gemm_fit.fit, predict_gemm),
    "experts": (tables.experts, experts_fit.fit, experts_fit.predict),
}


def main() -> None:
    for kind in sys.argv[1:] or KINDS:
        read, fit, predict = KINDS[kind]
        every, left_out = [], held_out(kind)
        for system in tables.SYSTEMS:
            hardware, curves, names = tables.hardware(system), [], []
            for engine in tables.ENGINES:
                for version, dtype, kernels, table, name in read(system, engine):
                    frame = usable(kind, table)
                    curve = fit(frame, hardware, dtype)
                    found = errors(predict(curve, frame), frame.seconds.to_numpy())
                    names.append(name)
                    curves.append(
                        {
                            "engine": engine,
                            "engine_version": version,
                            "dtype": dtype,
                            "kernel": kernels,
                            "eager": is_eager(kind, curve),
                            "coefficients": curve.to_dict()["coefficients"],
                            "fit_error": found,
                            "held_out": left_out.get(f"{system} {engine} {dtype}", {}),
                        }
                    )
                    print(kind, system, engine, dtype, found, flush=True)
            source = {**tables.SOURCE, "files": sorted(set(names))}
            write(
                f"{system}.{kind}.json",
                {"schema_version": 1, "system": system, "source": source, "curves": curves},
            )
            every += curves
        formats = sorted({c["dtype"] for c in every if not c["eager"]})
        generic = [
            {**typical(every, d), "held_out": left_out.get(f"generic {d}", {})} for d in formats
        ]
        write(
            f"generic.{kind}.json",
            {
                "schema_version": 1,
                "system": "generic",
                "source": {**tables.SOURCE, "files": []},
                "curves": generic,
            },
        )


if __name__ == "__main__":
    main()
