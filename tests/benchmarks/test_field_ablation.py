"""The law without each of its parts, on curves whose truth is known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from field_ablation import TESTS, VARIANTS, Ablated, judge, run
from field_protocol import Curve, curves_of

from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.learned import learned

NOISE = 0.002
FIELD = Path(__file__).parents[2] / "benchmarks" / "field.py"
FAR = pd.DataFrame({"phase": ["prefill"], "isl": [6_000.0]})


def curve(kind: str = "prompt", points: int = 20) -> Curve:
    """Make one curve of a law with a floor and a square, or of decode steps linear in context."""
    n = 256.0 * np.arange(1, points + 1)
    rng = np.random.default_rng(3)
    exact = 0.1 * np.hypot(n, 400.0) + 4e-6 * n**2 if kind == "prompt" else 10.0 + 1e-3 * n
    table = pd.DataFrame({
        "phase": "prefill" if kind == "prompt" else "decode",
        "isl" if kind == "prompt" else "context_len": n, "hardware": "H100", "precision": "bf16",
        "model": "llama3.1-8b", "latency_ms": exact * np.exp(NOISE * rng.standard_normal(points)),
        "curve_id": kind, "kind": kind, "setup": "s", "x_len": n,
    })  # fmt: skip
    (found,) = curves_of("made", table)
    return found


@pytest.mark.parametrize("kind", ["prompt", "decode"])
@pytest.mark.parametrize("few", [4, 9])
def test_the_full_law_is_that_of_a_set_of_laws(kind: str, few: int) -> None:
    whole = curve(kind).table
    laws = LawSet(intervals=False, learned=learned(without="made")).fit(whole.iloc[:few])
    ours = Ablated(VARIANTS["full law"], "made").fit(whole.iloc[:few])
    np.testing.assert_allclose(ours.predict(whole), laws.predict(whole), rtol=1e-12)


def test_every_variant_lacks_what_its_name_says() -> None:
    table = curve().table.iloc[:4]
    found = {name: Ablated(VARIANTS[name], None).fit(table) for name in VARIANTS}
    full, unshaped = found.pop("full law"), found.pop("no step law")
    assert unshaped.fitted_.knowledge.borrowed is None
    assert all(other.predict(FAR) != full.predict(FAR) for other in found.values())
    assert found["E1 off"].law_.e1_ == "off" != full.law_.e1_
    assert found["E2 off"].law_.scaling_.name == "off" != full.law_.scaling_.name
    assert found["E3 off"].law_.correction_.is_identity
    assert found["no averaging"].law_.scaling_.name in ("off", "floor")
    assert len(found["no learnt priors"].fitted_.members.noise.sigma) == 36
    assert found["no spoilt points"].fitted_.members.hypotheses == ((),)
    assert found["no model names"].law_.spec is None
    assert full.law_.spec is not None


def test_the_step_law_shapes_decode_steps_of_known_models_and_hardware() -> None:
    table = curve("decode").table.iloc[:3]
    full, unshaped, nameless = (
        Ablated(VARIANTS[name], None).fit(table)
        for name in ("full law", "no step law", "no model names")
    )
    assert full.fitted_.knowledge.borrowed
    assert unshaped.fitted_.knowledge.borrowed is None
    assert nameless.fitted_.knowledge.borrowed is None
    assert full.predict(curve("decode").table)[-1] != unshaped.predict(curve("decode").table)[-1]


def test_without_spoilt_points_one_bad_time_bends_the_law() -> None:
    table = curve(points=6).table
    clean = Ablated(VARIANTS["full law"], None).fit(table).predict(FAR)
    table.loc[5, "latency_ms"] *= 2.0
    error = {
        name: abs(np.log(Ablated(VARIANTS[name], None).fit(table).predict(FAR) / clean))
        for name in ("full law", "no spoilt points")
    }
    assert error["full law"] < 0.05 < error["no spoilt points"]


def test_figures_are_those_of_the_field() -> None:
    found = run([curve(points=17)], 1)
    assert list(found["errors"]) == list(TESTS)
    for kinds in found["errors"].values():
        average = kinds["prompt"]["average"]
        assert list(average) == list(VARIANTS)
        assert average["full law"]["median"] < 5 < average["E1 off"]["median"]
    scores = judge(curve(points=17), ("full law",))
    assert [s.test for s in scores] == ["all_4", "drawn_4", "spoilt"]


@pytest.mark.data
def test_a_selection_is_printed_and_not_written(needs_data: Path) -> None:
    written = FIELD.parent / "results" / "field_ablation.json"
    before = written.stat().st_mtime_ns
    asked = ["--ablation", "--only", "turboquant_plus", "--kinds", "decode", "--processes", "1"]
    done = subprocess.run(
        [sys.executable, str(FIELD), *asked], capture_output=True, text=True, check=True
    )
    assert all(name in done.stdout for name in VARIANTS)
    assert "turboquant_plus" in done.stdout
    assert written.stat().st_mtime_ns == before
