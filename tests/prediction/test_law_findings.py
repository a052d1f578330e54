"""Suspects and rivals in summaries and law files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lengthwise import ArtifactError, LatencyLaw
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.calibration.rivals import Rival
from lengthwise.calibration.suspects import Suspect

LENGTHS = np.array([256.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0])


def one_law(law: LatencyLaw) -> PhaseLaw:
    (found,) = law.law_set_.laws_.values()
    return found


@pytest.fixture(scope="module")
def doubtful() -> LatencyLaw:
    """Eight prompts, one of them three times as slow as the others say."""
    n = 2.0 ** np.arange(8, 16)
    times = np.where(n == 1024.0, 3.0, 1.0) * (20.0 + 0.1 * n)
    return LatencyLaw().fit(pd.DataFrame({"phase": "prefill", "isl": n, "latency_ms": times}))


@pytest.fixture(scope="module")
def rivalled() -> LatencyLaw:
    """Times that a quadratic with a large constant describes without error."""
    times = 100.0 + 0.001 * LENGTHS + 5e-5 * LENGTHS**2
    return LatencyLaw().fit(pd.DataFrame({"phase": "prefill", "isl": LENGTHS, "latency_ms": times}))


def test_the_summary_says_both_in_plain_words(doubtful: LatencyLaw, rivalled: LatencyLaw) -> None:
    said = doubtful.summary()
    assert "prefill of 1,024 tokens took 367 ms, where the other points say 12" in said
    assert "it counts for little; measure it again, warm" in said
    lead = one_law(rivalled).rival
    assert lead is not None
    assert f"predicted the rest: {lead.name} " in rivalled.summary()


@pytest.mark.parametrize("name", ["doubtful", "rivalled"])
def test_a_law_file_keeps_them(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:  # fmt: skip
    law: LatencyLaw = request.getfixturevalue(name)
    law.save(tmp_path / "law.json")
    before, after = one_law(law), one_law(LatencyLaw.load(tmp_path / "law.json"))
    assert after.suspects == before.suspects
    assert after.rival == before.rival
    assert after.suspects or after.rival
    assert all(isinstance(suspect, Suspect) for suspect in after.suspects)
    assert after.rival is None or isinstance(after.rival, Rival)


def test_a_file_of_before_has_neither(doubtful: LatencyLaw, tmp_path: Path) -> None:
    path = tmp_path / "law.json"
    doubtful.save(path)
    data = json.loads(path.read_text())
    for key in ("suspects", "rival"):
        del data["laws"][0][key]
    path.write_text(json.dumps(data))
    law = one_law(LatencyLaw.load(path))
    assert (law.suspects, law.spoilt, law.rival) == ((), (), None)


@pytest.mark.parametrize(
    ("key", "value"),
    [("suspects", 3), ("suspects", [{"position": 1}]), ("rival", "linear"),
     ("rival", {"name": 3, "error_percent": 1.0, "ours_percent": 2.0, "folds": 1})],
)  # fmt: skip
def test_damage_is_refused(doubtful: LatencyLaw, tmp_path: Path, key: str, value: object) -> None:
    path = tmp_path / "law.json"
    doubtful.save(path)
    data = json.loads(path.read_text())
    data["laws"][0][key] = value
    path.write_text(json.dumps(data))
    with pytest.raises(ArtifactError, match=key):
        LatencyLaw.load(path)
