"""A request is its prefill and the exact sum of its decode steps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise import InputError, LatencyLaw, RequestEstimate
from lengthwise.prediction import requests as module
from lengthwise.prediction.requests import is_affine_in_context

FAST = settings(max_examples=20, deadline=None)


def explicit(law: LatencyLaw, isl: int, osl: int, batch: int, cached: int = 0) -> float:
    """Predict every step on its own and add them up."""
    prefill = law.predict(pd.DataFrame({
        "phase": "prefill", "isl": [isl], "batch_size": batch, "cached_tokens": cached,
    }))  # fmt: skip
    context = np.arange(isl + 1, isl + osl)
    if not len(context):
        return float(prefill[0])
    steps = pd.DataFrame({"phase": "decode", "context_len": context, "batch_size": batch})
    return float(prefill[0] + law.predict(steps).sum())


REQUESTS = {
    "isl": st.integers(1, 8000), "osl": st.integers(1, 600), "batch": st.integers(1, 16),
}  # fmt: skip


@FAST
@given(**REQUESTS)
def test_the_closed_form_is_the_sum(law: LatencyLaw, isl: int, osl: int, batch: int) -> None:
    one = law.estimate(isl=isl, osl=osl, batch_size=batch)
    assert isinstance(one, RequestEstimate)
    assert one.e2e.latency_ms == pytest.approx(explicit(law, isl, osl, batch), rel=1e-12)


@pytest.fixture(scope="module", params=["residual", "linear", "power", "splitwise-interp"])
def other(request: pytest.FixtureRequest, table: pd.DataFrame) -> LatencyLaw:
    if request.param != "residual":
        return LatencyLaw(request.param).fit(table)
    context = table["context_len"].fillna(table["isl"])
    bend = 1 + 0.1 * np.sin(np.log(context))  # something to correct
    steep = (0.1 + 0.01 * context) * table["batch_size"] * bend
    bent = table.assign(latency_ms=steep)
    law = LatencyLaw(e1="quadratic", e2="floor", e3="residual").fit(bent)
    decode = next(one.law for (_, phase), one in law.law_set_.laws_.items() if phase == "decode")
    assert not is_affine_in_context(decode)
    return law


@FAST
@given(**REQUESTS)
def test_other_laws_are_summed_step_by_step(
    other: LatencyLaw, isl: int, osl: int, batch: int
) -> None:
    points = pd.DataFrame({"isl": [isl], "osl": [osl], "batch_size": [batch]})
    expected = explicit(other, isl, osl, batch)
    assert other.predict(points)[0] == pytest.approx(expected, rel=1e-12)
    many = pd.concat([points] * 40, ignore_index=True)  # enough steps to look the sum up
    assert other.predict(many) == pytest.approx(np.full(40, expected), rel=1e-9)
    assert other.at(phase="request")(isl, osl, batch) == pytest.approx(expected, rel=1e-9)


def test_blocks_may_cut_a_request_anywhere(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    law = LatencyLaw("power").fit(table)
    points = pd.DataFrame({"isl": [5, 900, 40, 7], "osl": [30, 1, 2, 55], "batch_size": 2})
    whole = law.predict(points)
    monkeypatch.setattr(module, "BLOCK", 8)
    assert law.predict(points) == pytest.approx(whole, rel=1e-13)


def test_the_prefix_cache_counts_in_the_prefill_only(law: LatencyLaw) -> None:
    points = pd.DataFrame({"isl": [4000], "osl": [10], "cached_tokens": [3000]})
    assert law.predict(points)[0] == pytest.approx(explicit(law, 4000, 10, 1, 3000), rel=1e-12)


def test_ttft_tpot_and_e2e_add_up_with_their_bounds(law: LatencyLaw) -> None:
    one = law.estimate(isl=2000, osl=101, batch_size=4)
    assert isinstance(one, RequestEstimate)
    assert one.tpot is not None
    for end in ("latency_ms", "lo_ms", "hi_ms"):
        ttft, tpot, e2e = (getattr(part, end) for part in (one.ttft, one.tpot, one.e2e))
        assert e2e == pytest.approx(ttft + 100 * tpot, rel=1e-12)
    assert one.e2e.lo_ms < one.e2e.latency_ms < one.e2e.hi_ms


def test_a_single_output_token_has_no_tpot(law: LatencyLaw) -> None:
    one = law.estimate(isl=2000, osl=1)
    assert isinstance(one, RequestEstimate)
    assert one.tpot is None
    assert one.e2e.latency_ms == one.ttft.latency_ms
    assert one.to_dict()["tpot"] is None


def test_requests_in_flight_are_no_batch(law: LatencyLaw) -> None:
    points = pd.DataFrame({"isl": [500, 500], "osl": 5, "concurrency": [1.0, 4.0],
                           "batch_size": [np.nan, 1.0]})  # fmt: skip
    first, second = law.predict(points)
    assert first == second
    with pytest.raises(InputError, match=r"measured \(no load\).*concurrency=4"):
        law.predict(points.drop(columns="batch_size"))


@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_a_law_of_one_phase_cannot_answer_requests(table: pd.DataFrame, phase: str) -> None:
    law = LatencyLaw("linear").fit(table[table["phase"] == phase])
    with pytest.raises(InputError, match=f"a law of {phase}.*measure "):
        law.estimate(isl=100, osl=10)
    with pytest.raises(InputError, match="of one deployment"):
        law.at(phase="request")


def test_phases_of_two_deployments_do_not_make_a_request(table: pd.DataFrame) -> None:
    other = table["hardware"].where(table["phase"] == "prefill", "a100")
    law = LatencyLaw("linear").fit(table.assign(hardware=other))
    with pytest.raises(InputError, match="must be of one deployment"):
        law.estimate(isl=100, osl=10)
    with pytest.raises(InputError, match=r"only prefill of llama2-70b . h100"):
        law.estimate(isl=100, osl=10, hardware="h100")
