"""The default law of a group: what it is the average of, and what it makes of known truths."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from lengthwise.calibration.average import Fitted, Knowledge, average
from lengthwise.calibration.held_out import mixture_residuals
from lengthwise.calibration.learned import learned
from lengthwise.domain.work import Work
from lengthwise.formulations.hachiya_patias.average import Flat
from lengthwise.units import FloatArray

SHAPES = ("linear", "overhead", "quadratic", "floor")
TABLES, NOISE = 60, 0.002


def prompts(n: FloatArray) -> Work:
    return Work.of("prefill", query_len=n, context_len=n)


def fit(n: FloatArray, y_s: FloatArray, **changes: object) -> Fitted:
    """Fit whole prompts by what public curves have taught."""
    return average(prompts(n), y_s, Knowledge(learned()["prompt"], **changes))  # type: ignore[arg-type]


def drawn(shape: str, rng: np.random.Generator, noise: float = NOISE) -> tuple[FloatArray, ...]:
    """Draw five lengths, times measured at four of them, and true times; the fifth is far off."""

    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    shortest = round(between(64, 2048))
    n = shortest * np.array([1.0, 2.0, 4.0, 8.0, 32.0])
    n0, bend = shortest * between(0.1, 4.0), between(0.05, 2.0) / n[3]
    effective = {"linear": n, "overhead": n + n0, "quadratic": n + bend * n**2,
                 "floor": np.hypot(n, n0)}[shape]  # fmt: skip
    truth = between(1e-6, 1e-2) * effective
    return n, truth[:4] * np.exp(noise * rng.standard_normal(4)), truth


@cache
def clean(shape: str) -> list[tuple[Fitted, tuple[FloatArray, ...]]]:
    """Fit the tables of one shape."""
    rng = np.random.default_rng([5, SHAPES.index(shape)])
    tables = [drawn(shape, rng) for _ in range(TABLES)]
    return [(fit(n[:4], y_s), (n, y_s, truth)) for n, y_s, truth in tables]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_average_of_its_members_is_one_law_of_the_family(shape: str) -> None:
    """Exactly so without floors; floors of one sharpness become one, at their mean."""
    rng = np.random.default_rng(1)
    for _ in range(6):
        n, y_s, _ = drawn(shape, rng, noise=0.02)
        for e2, close in (("off", 1e-9), ("auto", 0.01)):
            found = fit(n[:4], y_s, corrected=False, e2=e2)
            flat = Flat.of(found.members)
            mean = flat.weight @ np.exp(flat.log_times(prompts(n)))
            np.testing.assert_allclose(found.law.predict_work(prompts(n)), mean, rtol=close)


@pytest.mark.parametrize("shape", SHAPES)
def test_with_the_discrepancy_it_is_the_average_as_far_as_a_table_can_hold_it(shape: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(6):
        n, y_s, _ = drawn(shape, rng, noise=0.02)
        found = fit(n[:4], y_s)
        flat = Flat.of(found.members)
        at = prompts(n[:4])
        moved = np.exp(flat.log_times(at) + flat.discrepancy(at))
        np.testing.assert_allclose(np.exp(flat.log_mean(at)), flat.weight @ moved, rtol=1e-9)
        np.testing.assert_allclose(found.law.predict_work(at), flat.weight @ moved, rtol=0.02)


def test_without_averaging_one_set_of_terms_is_left() -> None:
    n, y_s, _ = drawn("overhead", np.random.default_rng(3), noise=0.02)
    found = fit(n[:4], y_s, averaging=False, corrected=False)
    weights = found.members.weight.sum(axis=1)
    flat = Flat.of(found.members, structure=int(np.argmax(weights)))
    assert weights.max() < 0.95
    mean = flat.weight @ np.exp(flat.log_times(prompts(n)))
    np.testing.assert_allclose(found.law.predict_work(prompts(n)), mean, rtol=0.01)


@pytest.mark.parametrize("points", [8, 12])
def test_points_left_out_by_algebra_are_as_if_left_out(points: int) -> None:
    for seed in range(2):
        rng = np.random.default_rng(seed)
        n = np.geomspace(128, 8192, points).round()
        y_s = 1e-4 * (n + 300 + 2e-5 * n**2) * np.exp(0.01 * rng.standard_normal(points))
        found = fit(n, y_s)
        every = np.arange(points)
        refits = [found.again(prompts(n[every != i]), y_s[every != i]).law for i in every]
        really = [
            np.log(y_s[i] / law.predict_work(prompts(n[[i]]))[0]) for i, law in enumerate(refits)
        ]
        np.testing.assert_allclose(mixture_residuals(found.members), really, atol=0.006)


@pytest.mark.parametrize("shape", SHAPES)
def test_one_spoilt_time_of_four_is_named_and_none_where_none_is(shape: str) -> None:
    rng = np.random.default_rng(7)
    hits = 0
    for found, (n, y_s, _) in clean(shape):
        assert found.members.spoilt.max() < 0.5
        spoilt = int(rng.integers(4))
        by = np.where(np.arange(4) == spoilt, rng.uniform(1.5, 3.0), 1.0)
        named = np.flatnonzero(fit(n[:4], y_s * by).members.spoilt > 0.5)
        hits += named.tolist() == [spoilt]
    assert hits >= 0.8 * TABLES


@pytest.mark.parametrize("shape", SHAPES)
def test_four_clean_times_tell_what_four_times_the_length_costs(shape: str) -> None:
    errors = [
        abs(found.law.predict_work(prompts(n[4:]))[0] / truth[4] - 1.0)
        for found, (n, _, truth) in clean(shape)
    ]
    assert np.median(errors) <= 0.01
    assert np.quantile(errors, 0.95) <= 0.04
    assert max(errors) <= 0.07


def test_spoilt_times_are_not_sought_where_that_is_switched_off() -> None:
    n, y_s, _ = drawn("linear", np.random.default_rng(0))
    y_s[1] *= 2.0
    assert fit(n[:4], y_s).members.spoilt[1] > 0.9
    found = fit(n[:4], y_s, spoilt=False)
    assert found.members.hypotheses == ((),)
    assert not found.members.spoilt.any()
