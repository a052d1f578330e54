"""The benchmark of known models and hardware on made-up curves whose truth is known."""

import json
import math
import subprocess
import sys
from pathlib import Path

import known
import numpy as np
import pandas as pd
import pytest
from known import BOTH, MODEL, NOTHING, POINTS, STEP, figures, judge, measured, run, unmeasured
from known_curves import KnownCurve, curves_of

from lengthwise.calibration.learned import kind_of
from lengthwise.data.work import work_of

SCRIPT = Path(known.__file__)


def curve(**labels: str) -> KnownCurve:
    """Decode steps of a known model: 9 ms and 0.2 ms for every 1,000 tokens."""
    context = 256.0 * np.arange(1, 33)
    names = {"model": "llama3.1-8b", "hardware": "h100_sxm", "precision": "bf16", **labels}
    table = pd.DataFrame({"phase": "decode", "context_len": context, "batch_size": 1.0,
                          "latency_ms": 9.0 + 2e-4 * context, **names})  # fmt: skip
    known_both = names["hardware"] == "h100_sxm"
    kind = kind_of(work_of(table, "decode"))
    return KnownCurve("made", kind, "a", known_both, context, table)


def test_every_level_sees_the_same_points() -> None:
    scores = judge(curve())
    assert {s.level for s in scores} == {STEP, NOTHING, MODEL, BOTH}
    for level in (NOTHING, MODEL, BOTH):
        assert sorted(s.points for s in scores if s.level == level) == sorted(POINTS * known.DRAWS)


def test_unknown_hardware_has_no_step_law() -> None:
    scores = judge(curve(hardware="abacus"))
    assert {s.level for s in scores} == {NOTHING, MODEL}
    with pytest.raises(ValueError, match="not known"):
        unmeasured(curve(hardware="abacus"))


def test_measured_points_are_not_asked_for_and_errors_are_of_the_others() -> None:
    train = np.array([0, 2, 4, 6, 7])
    score = measured(curve(), BOTH, train)
    assert score.points == 5
    assert score.far < 1.0
    assert score.unseen < 1.0
    assert score.covered == 1.0


def test_figures_are_quantiles_of_draws() -> None:
    rows = pd.DataFrame({"far": [1.0, 2.0, 3.0], "unseen": [2.0, 4.0, 6.0],
                         "covered": [1.0, 0.5, 1.0], "width": [10.0, 20.0, 40.0]})  # fmt: skip
    found = figures(rows)
    assert (found["far_median"], found["unseen_p90"]) == (2.0, 5.6)
    assert found["coverage_percent"] == 83.3
    assert found["width_median"] == 20.0
    assert "width_median" not in figures(rows.assign(width=math.nan))


def test_a_run_parts_known_curves_from_others() -> None:
    found = run([curve(), curve(hardware="abacus")], 1)
    assert set(found["known"]["decode"]["made"]) == {"curves", STEP, NOTHING, MODEL, BOTH}
    assert set(found["others"]["decode"]["made"]) == {"curves", NOTHING, MODEL}
    assert list(found["known"]["decode"]["made"][BOTH]) == [str(m) for m in POINTS]


@pytest.mark.data
def test_public_curves_are_read(needs_data: Path) -> None:
    found = curves_of("splitwise")
    assert {c.kind for c in found} == {"prompt", "decode"}
    assert all(c.known for c in found)
    assert all((np.diff(c.x) >= 0).all() or len(set(c.table["batch_size"])) > 1 for c in found)


@pytest.mark.data
def test_a_selection_is_printed_and_writes_nothing(needs_data: Path) -> None:
    results = SCRIPT.parent / "results" / "known.json"
    before = results.read_bytes()
    done = subprocess.run(
        [sys.executable, SCRIPT, "--only", "turboquant_plus", "--processes", "1"],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    found = json.loads(done.stdout[: done.stdout.rindex("}") + 1])
    assert set(found) == {"levels", "points", "draws", "factor", "others"}
    assert results.read_bytes() == before
