"""What to measure next: every run buys certainty, the cheapest first, and then it stops."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from step_rows import grid, runs

from lengthwise.errors import ColumnError, InputError
from lengthwise.prediction.step_law import StepLaw
from lengthwise.prediction.suggest import LEAST, suggest


def points(**sizes: Any) -> dict[str, list[Any]]:
    usual: dict[str, Any] = {"isl": [512, 4096, 32768], "concurrency": [1, 8, 64]}
    return grid(**(usual | sizes)).to_dict("list")


@pytest.fixture(scope="module")
def fitted() -> StepLaw:
    """A law of two other deployments."""
    deployed = [("qwen3-8b", "h100_sxm"), ("llama3.1-8b", "a100_sxm")]
    return StepLaw().fit(runs(lambda model, hardware: 1.2, noise=0.05, deployed=deployed))


@settings(max_examples=15, deadline=None)
@given(
    isl=st.lists(st.integers(16, 60_000), min_size=1, max_size=4, unique=True),
    concurrency=st.lists(st.integers(1, 128), min_size=1, max_size=3, unique=True),
    quantity=st.sampled_from(["ttft", "tpot"]), most=st.integers(1, 6),
)  # fmt: skip
def test_every_run_lowers_the_expected_error(
    isl: list[int], concurrency: list[int], quantity: str, most: int
) -> None:
    found = suggest(StepLaw(), points(isl=isl, concurrency=concurrency), most, quantity)
    assert 1 <= len(found) <= most
    for run in found:
        assert run.error_after <= run.error_before * (1.0 - LEAST)
        assert run.seconds > 10.0
        assert run.settings["isl"] in isl
        assert run.settings["concurrency"] in concurrency
    for one, other in pairwise(found):
        assert other.error_before == pytest.approx(one.error_after)


def test_the_first_run_buys_most() -> None:
    found = suggest(StepLaw(), points(), most=5)
    bought = [run.error_before - run.error_after for run in found]
    assert bought[0] == max(bought)
    assert found[0].error_after < 0.75 * found[0].error_before


def test_it_stops_when_nothing_is_to_be_bought() -> None:
    found = suggest(StepLaw(), points(isl=1024, concurrency=4), most=50)
    assert 1 <= len(found) < 10
    law = StepLaw()
    for _ in range(8):
        row = grid(concurrency=4)
        law.update(row.assign(tpot_ms=StepLaw().answer(row).columns["tpot_ms"] * 1.2))
    assert suggest(law, points(isl=1024, concurrency=4), most=50) == []


def test_of_equal_information_the_cheap_run_is_taken() -> None:
    """Batch size does not tell requests apart, so that osl alone makes the price."""
    found = suggest(StepLaw(), points(isl=1024, concurrency=1, osl=[4000, 4001, 4002]), most=1)
    assert found[0].settings["osl"] == 4000
    short, long = (
        suggest(StepLaw(), points(isl=1024, concurrency=1, osl=osl), most=1)[0]
        for osl in (100, 4000)
    )
    assert short.error_after == pytest.approx(long.error_after)
    assert short.seconds < long.seconds / 3


def test_twins_are_equally_informative_so_the_faster_parallelism_is_taken() -> None:
    """Deployments correct only themselves: one run in each, the fast one before the slow one."""
    table = pd.concat([grid(model="llama3.1-70b", precision="fp8", osl=2000, tp=1), grid(osl=2000)])
    found = suggest(StepLaw(), table.to_dict("list"), most=2)
    assert [run.settings["model"] for run in found] == ["llama3.1-8b", "llama3.1-70b"]
    assert found[0].seconds < found[1].seconds


def test_the_price_is_that_of_the_run() -> None:
    run = suggest(StepLaw(), points(isl=1024, concurrency=8), most=1)[0]
    e2e = StepLaw().answer(grid(concurrency=8)).columns["e2e_ms"][0] / 1e3
    assert run.seconds == pytest.approx(10.0 + 3 * e2e, rel=0.01)


def test_measuring_what_was_suggested_helps() -> None:
    """The truth bends with load; two suggested runs predict the rest better than none."""
    table = grid(isl=[512, 4096], concurrency=[1, 4, 16, 64])
    said = StepLaw().answer(table).columns["tpot_ms"]
    truth = table.assign(tpot_ms=said * 1.2 * table["concurrency"] ** 0.05)
    law = StepLaw()
    for run in suggest(law, table.to_dict("list"), most=2):
        same = (table["isl"] == run.settings["isl"]) & (
            table["concurrency"] == run.settings["concurrency"]
        )
        law.update(truth[same])
    before, after = (np.abs(x.answer(table).columns["tpot_ms"] / truth["tpot_ms"] - 1).mean()
                     for x in (StepLaw(), law))  # fmt: skip
    assert after < before / 3


def test_a_fitted_law_is_less_in_doubt_after_samples(fitted: StepLaw) -> None:
    before = suggest(fitted, points(), most=1)[0]
    samples = grid(isl=[512, 4096, 32768], concurrency=[1, 8, 64])
    times = fitted.answer(samples).columns["tpot_ms"]
    law = (
        StepLaw()
        .fit(runs(lambda model, hardware: 1.2, noise=0.05))
        .update(samples.assign(tpot_ms=times))
    )
    after = suggest(law, points(), most=1)
    assert not after or after[0].error_before < before.error_before


def test_suggestions_are_plain_values() -> None:
    run = suggest(StepLaw(), points(), most=1)[0].to_dict()
    assert set(run) == {"settings", "seconds", "error_before", "error_after"}
    assert all(isinstance(run[k], float) for k in ("seconds", "error_before", "error_after"))
    assert all(type(v) in (int, float, str) for v in run["settings"].values())


def test_steps_can_be_suggested_too() -> None:
    decode = {"model": ["llama3.1-8b"] * 2, "hardware": ["h100_sxm"] * 2,
              "context_len": [512, 8192], "batch_size": [1, 16]}  # fmt: skip
    assert suggest(StepLaw(), decode, most=1, quantity="decode")[0].error_after > 0


@pytest.mark.parametrize(
    ("change", "quantity", "error", "message"),
    [({"model": "nope"}, "tpot", InputError, "model must be known"),
     ({"hardware": "nope"}, "tpot", InputError, "hardware must be"),
     ({}, "speed", InputError, "quantity must be one"), ({}, "decode", InputError, "quantity"),
     ({"isl": 0}, "tpot", ColumnError, "isl must be 1 token or more")],
)  # fmt: skip
def test_bad_questions_are_refused(
    change: dict[str, Any], quantity: str, error: type[InputError], message: str
) -> None:
    with pytest.raises(error, match=message):
        suggest(StepLaw(), points(**change), quantity=quantity)


@pytest.mark.parametrize("quantity", ["tpot", "ttft"])
def test_requests_without_a_gap_tell_nothing_about_gaps(quantity: str) -> None:
    one = points(isl=[512, 4096], concurrency=1, osl=1)
    if quantity == "tpot":
        with pytest.raises(InputError, match="the points have"):
            suggest(StepLaw(), one, quantity=quantity)
    else:
        assert suggest(StepLaw(), one, most=1, quantity=quantity)
