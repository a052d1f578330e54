"""A law file whose numbers no engine can have is refused when it is loaded."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lengthwise import ArtifactError, InputError, LatencyLaw
from lengthwise.data.hardware_file import checked_hardware


def saved(folder: Path, formulation: str) -> tuple[Path, dict[str, Any]]:
    n = np.array([128, 256, 512, 1024, 2048, 4096])
    table = pd.DataFrame({"phase": "prefill", "isl": n, "latency_ms": 5 + n / 10 + n**2 / 1e5})
    path = folder / "law.json"
    LatencyLaw(formulation).fit(table).save(path)
    return path, json.loads(path.read_text())


@pytest.mark.parametrize("formulation", ["linear", "shifted-power", "edgereasoning"])
def test_a_negative_slope_is_refused(formulation: str, tmp_path: Path) -> None:
    path, law = saved(tmp_path, formulation)
    LatencyLaw.load(path)
    for place in (law["laws"][0]["state"], law["fallback"]["prefill"]):
        fitted = place["fitted"]
        before = json.dumps(fitted)
        coef = fitted["coef_"]
        coef = coef["prefill"] if isinstance(coef, dict) else coef
        coef[:] = [-c if i else c for i, c in enumerate(coef)]
        path.write_text(json.dumps(law))
        with pytest.raises(ArtifactError, match="time"):
            LatencyLaw.load(path)
        fitted.update(json.loads(before))


@pytest.mark.parametrize("factor", [1e12, -1.0])
def test_times_that_no_step_takes_are_refused(factor: float, tmp_path: Path) -> None:
    path, law = saved(tmp_path, "splitwise-interp")
    knots = law["laws"][0]["state"]["fitted"]["knots_s_"]
    knots[2] *= factor
    path.write_text(json.dumps(law))
    with pytest.raises(ArtifactError, match="longer times"):
        LatencyLaw.load(path)


@pytest.mark.parametrize("name", ["n_features_in_", "degree"])
def test_a_polynomial_of_endless_terms_is_refused(name: str, tmp_path: Path) -> None:
    path, law = saved(tmp_path, "bayesian-ridge")
    steps = law["laws"][0]["state"]["fitted"]["regressor_"]["steps"]
    inner = next(step for _, step in steps if step["estimator"] == "PolynomialFeatures")
    inner["params" if name == "degree" else "fitted"][name] = 1000
    path.write_text(json.dumps(law))
    with pytest.raises(ArtifactError, match=f"{name} must be a whole number from 1"):
        LatencyLaw.load(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("multiprocessors", 10**20), ("multiprocessors", 0), ("gpus_per_node", 10**6),
     ("multiprocessors", True)],
)  # fmt: skip
def test_hardware_beyond_physics_is_refused(key: str, value: Any) -> None:
    content = {"memory_bandwidth_bytes_per_s": 1e12, "memory_bytes": 24e9,
               "peak_flops": {"bf16": 1e14}, key: value}  # fmt: skip
    with pytest.raises(InputError, match=f"{key} must be a whole number, 1 or more, at most"):
        checked_hardware(content, default_name="x", where="x.toml")
