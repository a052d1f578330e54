"""A first online law from the step law."""

import numpy as np
import pytest

from lengthwise.errors import LengthwiseError
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.formulations.online.rows import RouterRows
from lengthwise.prediction.online_seed import Steps, decodes, from_step_law, prompts
from lengthwise.prediction.step_law import StepLaw


def test_a_seed_follows_the_step_law() -> None:
    seed = from_step_law("llama3.1-8b", "h100_sxm", precision="bf16")
    n = np.array([512.0, 2048.0, 8192.0, 32768.0])
    points = {"phase": ["prefill"] * 4, "model": ["llama3.1-8b"] * 4, "hardware": ["h100_sxm"] * 4,
              "precision": ["bf16"] * 4, "isl": n, "batch_size": [1] * 4}  # fmt: skip
    step = StepLaw().answer(points).columns["latency_ms"] / 1e3 + 0.004
    answer = seed.predict(RouterRows.of({"input_tokens": n}))
    assert (np.abs(np.log(answer.ttft_s / step)) < 0.35).all()
    assert (np.diff(answer.ttft_s) > 0).all()
    assert not seed.ready["ttft"]
    assert OnlineLaw.from_dict(seed.to_dict()).to_dict() == seed.to_dict()


@pytest.mark.parametrize(("model", "tp"), [("llama3.1-8b", 1), ("llama3.1-70b", 8)])
def test_the_seed_follows_what_it_was_fitted_to(model: str, tp: int) -> None:
    law = from_step_law(model, "h100_sxm", tp=tp)
    steps = Steps({"model": model, "hardware": "h100_sxm", "tp": tp})
    for target, made in (("ttft_s", prompts), ("tpot_s", decodes)):
        rows, seconds = made(steps)
        off = np.abs(np.log(getattr(law.predict(rows), target) / seconds))
        assert np.median(off) < 0.05
        assert off.max() < 0.25
    assert not any(law.ready.values())


def test_a_larger_model_on_a_slower_gpu_is_slower() -> None:
    rows = RouterRows.of({"input_tokens": [2000], "running": [8]})
    small = from_step_law("llama3.1-8b", "h100_sxm", precision="bf16").predict(rows)
    large = from_step_law("llama3.1-70b", "a100_sxm", precision="bf16", tp=4).predict(rows)
    assert large.ttft_s[0] > 2 * small.ttft_s[0]
    assert large.tpot_s[0] > 2 * small.tpot_s[0]


def test_what_the_step_law_does_not_know_is_refused_in_words() -> None:
    with pytest.raises(LengthwiseError, match=r"\w+"):
        from_step_law("no-such-model", "h100_sxm")
    with pytest.raises(LengthwiseError):
        from_step_law("llama3.1-8b", "no-such-gpu")
