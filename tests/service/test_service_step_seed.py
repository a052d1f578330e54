"""A service that knows model and hardware begins with the step law."""

import json
from pathlib import Path

import numpy as np
import pytest

from lengthwise.errors import InputError
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.formulations.online.rows import RouterRows
from lengthwise.interfaces.service import step_seed


@pytest.mark.parametrize(("model", "tp"), [("llama3.1-8b", 1), ("llama3.1-70b", 8)])
def test_the_seed_follows_the_step_law(model: str, tp: int) -> None:
    law = step_seed.from_step_law(model, "h100_sxm", tp)
    steps = step_seed._Steps(model, "h100_sxm", tp)
    for target, made in (("ttft_s", step_seed._prompts), ("tpot_s", step_seed._decodes)):
        rows, seconds = made(steps)
        off = np.abs(np.log(getattr(law.predict(rows), target) / seconds))
        assert np.median(off) < 0.05
        assert off.max() < 0.25
    assert not any(law.ready.values())


def test_a_larger_model_takes_longer() -> None:
    rows = RouterRows.of({"input_tokens": [4096], "running": [8]})
    small = step_seed.from_step_law("llama3.1-8b", "h100_sxm").predict(rows)
    large = step_seed.from_step_law("llama3.1-70b", "h100_sxm", 4).predict(rows)
    assert large.ttft_s[0] > 1.5 * small.ttft_s[0]
    assert large.tpot_s[0] > 1.5 * small.tpot_s[0]


def test_written_by_a_process_of_its_own(tmp_path: Path) -> None:
    path = step_seed.write_seed_apart(tmp_path / "state", "llama3.1-8b", "h100_sxm")
    law = OnlineLaw.from_dict(json.loads(path.read_text()))
    assert law.learnt["ttft"] == 0
    with pytest.raises(InputError, match="tp"):
        step_seed.write_seed_apart(tmp_path / "state", "llama3.1-70b", "h100_sxm")
    with pytest.raises(InputError, match="nope"):
        step_seed.write_seed_apart(tmp_path / "state", "nope", "h100_sxm")
