"""Laws of the product's own family: physics that must hold whatever the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.domain.blocks import mamba
from lengthwise.domain.layers import Layer
from lengthwise.domain.model import ModelSpec
from lengthwise.domain.work import Work
from lengthwise.errors import InputError
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.formulations.hachiya_patias.priors import attention_ratio, kv_cost

LENGTHS = np.array([64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0])
EIGHT_B = ModelSpec.dense(
    "8b", layers=32, hidden=4096, heads=32, kv_heads=8, head_dim=128, inner=14336, vocab=128256
)


def prompts(lengths: object, batch: object = 1.0) -> Work:
    return Work.of("prefill", query_len=lengths, context_len=lengths, batch_size=batch)


def steps(context: object, batch: object = 1.0) -> Work:
    return Work.of("decode", query_len=1.0, context_len=context, batch_size=batch)


def truth(n: np.ndarray, floor: float = 200.0, quadratic: float = 5e-5) -> np.ndarray:
    """A law of the family's own form, seconds."""
    return np.asarray(1e-4 * (np.hypot(n, floor) + quadratic * n * (n + 1) / 2))


@settings(max_examples=40, deadline=None)
@given(
    floor=st.floats(10, 2000),
    quadratic=st.floats(1e-6, 1e-3),
    noise=st.lists(st.floats(-0.1, 0.1), min_size=7, max_size=7),
    e1=st.sampled_from(["quadratic", "power", "nlogn", "off"]),
    e2=st.sampled_from(["floor", "tile", "hill", "tilt", "spline", "off"]),
    e3=st.sampled_from(["off", "residual"]),
)
def test_times_never_fall_with_length_or_batch(
    floor: float, quadratic: float, noise: list[float], e1: str, e2: str, e3: str
) -> None:
    y = truth(LENGTHS, floor, quadratic) * np.exp(noise)
    law = HachiyaPatias(e1, e2, e3).fit_work(prompts(LENGTHS), y)
    grid = np.geomspace(1, 1e6, 300)
    along_length = law.predict_work(prompts(grid))
    along_batch = law.predict_work(prompts(512.0, np.arange(1.0, 257.0)))
    for time in (along_length, along_batch):
        assert np.isfinite(time).all()
        assert (time > 0).all()
        assert (np.diff(time) >= -1e-12 * time[1:]).all()


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-4, 1e4), e2=st.sampled_from(["floor", "spline", "hill", "off"]))
def test_units_of_time_do_not_matter(scale: float, e2: str) -> None:
    y = truth(LENGTHS) * np.exp(0.02 * np.sin(np.arange(7)))
    one = HachiyaPatias(e2=e2, sharpness=2).fit_work(prompts(LENGTHS), y)
    other = HachiyaPatias(e2=e2, sharpness=2).fit_work(prompts(LENGTHS), scale * y)
    far = prompts(np.array([1.0, 300.0, 65536.0]))
    np.testing.assert_allclose(other.predict_work(far), scale * one.predict_work(far), rtol=1e-4)


def test_recovers_its_own_form_and_extrapolates_eight_times() -> None:
    law = HachiyaPatias(sharpness=2).fit_work(prompts(LENGTHS), truth(LENGTHS))
    far = np.array([8192.0, 16384.0, 32768.0])
    np.testing.assert_allclose(law.predict_work(prompts(far)), truth(far), rtol=0.03)


def test_one_bad_reading_does_not_bend_the_law() -> None:
    y = truth(LENGTHS)
    clean = HachiyaPatias(sharpness=2).fit_work(prompts(LENGTHS), y)
    y[3] *= 9.0
    bent = HachiyaPatias(sharpness=2).fit_work(prompts(LENGTHS), y)
    far = prompts(np.array([300.0, 16384.0]))
    np.testing.assert_allclose(bent.predict_work(far), clean.predict_work(far), rtol=0.12)


def test_batches_of_short_prompts_teach_what_a_long_prompt_costs() -> None:
    """GEMM work reaches the law through total tokens, whoever brought them."""
    short, batch = np.full(6, 512.0), 2.0 ** np.arange(6)
    n = np.concatenate([LENGTHS[:5], short])
    b = np.concatenate([np.ones(5), batch])
    tokens = n * b
    jump = np.where(tokens > 2048, 1.5, 1.0)  # a change of kernels that short prompts never see
    y = 1e-4 * (jump * np.hypot(tokens, 100.0) + 4e-5 * prompts(n, b).attention_pairs)
    law = HachiyaPatias(e2="spline", spec=EIGHT_B).fit_work(prompts(n, b), y)
    expected = 1e-4 * (1.5 * 8192 + 4e-5 * 8192**2 / 2)
    assert law.predict_work(prompts(8192.0))[0] == pytest.approx(expected, rel=0.1)


def test_cached_tokens_cost_attention_but_no_gemm() -> None:
    law = HachiyaPatias(spec=EIGHT_B).fit_work(prompts(LENGTHS), truth(LENGTHS))
    chunk = Work.of("prefill", query_len=512.0, context_len=4096.0)
    alone, whole = law.predict_work(prompts(512.0))[0], law.predict_work(prompts(4096.0))[0]
    assert alone < law.predict_work(chunk)[0] < whole


def test_a_decode_step_is_affine_in_its_context() -> None:
    context = np.array([64.0, 512.0, 2048.0, 8192.0])
    law = HachiyaPatias().fit_work(steps(context), 0.01 + 2e-7 * context)
    at = law.predict_work(steps(np.array([0.0 + 1, 5e5, 1e6 - 1])))
    assert at[1] == pytest.approx((at[0] + at[2]) / 2, rel=1e-6)
    assert at[2] == pytest.approx(0.01 + 2e-7 * 1e6, rel=0.05)


def test_short_decodes_alone_cannot_make_a_long_context_explode() -> None:
    """Two contexts, nearly alike: the byte prior speaks, not their noise."""
    law = HachiyaPatias(spec=EIGHT_B).fit_work(
        steps(np.array([16.0, 64.0])), np.array([0.0100, 0.0103])
    )
    assert law.predict_work(steps(32768.0))[0] < 0.04


def test_uncertainty_grows_with_distance() -> None:
    law = HachiyaPatias(spec=EIGHT_B).fit_work(prompts(LENGTHS), truth(LENGTHS))
    sd = law.log_sd(prompts(np.array([1024.0, 8192.0, 65536.0])))
    assert sd[0] < sd[1] < sd[2]


def test_architecture_sets_the_prior_of_the_square() -> None:
    known, generic = attention_ratio(EIGHT_B), attention_ratio(None)
    assert known.sd < generic.sd
    assert known.mean == pytest.approx(
        np.log(1.33 * EIGHT_B.flops_per_pair / EIGHT_B.flops_per_token)
    )
    assert kv_cost(EIGHT_B, 0.01).absolute


def test_a_model_without_attention_layers_has_a_prior_all_the_same() -> None:
    block = Layer(64, mamba(2560, heads=80, head_dim=64, state=128, groups=1), None)
    spec = ModelSpec("mamba2-2.7b", 2560, 50288, (block,), tied_embeddings=True)
    assert (spec.flops_per_pair, spec.kv_bytes_per_token) == (0, 0)
    law = HachiyaPatias(e1="off", spec=spec).fit_work(prompts(LENGTHS), 1e-5 * LENGTHS + 0.002)
    assert law.predict_work(prompts(1e6))[0] == pytest.approx(10.0, rel=0.1)


def test_unknown_terms_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"e2 must be one of .*'wavelet'"):
        HachiyaPatias(e2="wavelet").fit_work(prompts(LENGTHS), truth(LENGTHS))


def test_the_residual_learns_where_batch_and_context_meet_and_fades_away() -> None:
    context, batch = (v.ravel() for v in np.meshgrid(2.0 ** np.arange(5, 14), [1.0, 2.0, 4.0, 8.0]))

    def times(c: np.ndarray, b: np.ndarray) -> np.ndarray:
        step = 0.15 / (1.0 + (512.0 / c) ** 3) / (1.0 + (b / 4.0) ** 2)
        return np.asarray((0.005 + 0.001 * b + 2e-6 * b * c) * np.exp(step))

    base = HachiyaPatias(e2="off").fit_work(steps(context, batch), times(context, batch))
    law = HachiyaPatias(e2="off", e3="residual").fit_work(
        steps(context, batch), times(context, batch)
    )
    c, b = np.array([400.0, 700.0, 400.0, 3000.0]), np.array([2.0, 2.0, 3.0, 4.0])
    error = {
        name: np.abs(np.log(at.predict_work(steps(c, b)) / times(c, b))).mean()
        for name, at in (("base", base), ("law", law))
    }
    assert error["law"] < 0.6 * error["base"]
    far = steps(np.array([1e6]), np.array([256.0]))
    assert law.predict_work(far)[0] == pytest.approx(base.predict_work(far)[0], rel=0.01)
