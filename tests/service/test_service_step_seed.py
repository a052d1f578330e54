"""A service that knows model and hardware begins with the step law."""

import json
from pathlib import Path

import pytest

from lengthwise.errors import InputError
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.interfaces.service import step_seed


def test_written_by_a_process_of_its_own(tmp_path: Path) -> None:
    path = step_seed.write_seed_apart(tmp_path / "state", "llama3.1-8b", "h100_sxm")
    law = OnlineLaw.from_dict(json.loads(path.read_text()))
    assert law.learnt["ttft"] == 0
    with pytest.raises(InputError, match="tp"):
        step_seed.write_seed_apart(tmp_path / "state", "llama3.1-70b", "h100_sxm")
    with pytest.raises(InputError, match="nope"):
        step_seed.write_seed_apart(tmp_path / "state", "nope", "h100_sxm")
