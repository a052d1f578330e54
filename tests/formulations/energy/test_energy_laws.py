"""Power curves, ramps, prefill power and the energy-to-token bound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.calibration.energy_fit import fit_power, fit_prefill_power, fit_ramp
from lengthwise.errors import InputError
from lengthwise.formulations.energy.bound import token_rate
from lengthwise.formulations.energy.power import Activity, PowerCurve
from lengthwise.formulations.energy.prefill_power import PrefillPower
from lengthwise.formulations.energy.ramp import PowerRamp

share = st.floats(0, 1)
coefficient = st.floats(0, 2)
positive = st.floats(1e-3, 1e3)
curves = st.builds(PowerCurve, coefficient, coefficient, coefficient, coefficient)
ramps = st.builds(
    lambda level, part, tau: PowerRamp(level, level * part, tau), positive, share, positive
)


@given(curves, share, share, share, share)
def test_power_rises_with_use_and_stays_below_the_rating(
    curve: PowerCurve, busy: float, one: float, other: float, memory: float
) -> None:
    low, high = sorted([one, other])
    at = Activity.of(busy=busy, compute=[low, high], memory=memory)
    first, second = curve.fraction(at)
    assert 0 <= first <= second + 1e-12
    assert second <= 1
    more = Activity.of(busy=busy, compute=memory, memory=[low, high])
    first, second = curve.fraction(more)
    assert first <= second + 1e-12


def test_waiting_costs_only_in_a_group() -> None:
    curve = PowerCurve(0.2, 0.1, 0.5, 0.3, waiting=0.4)
    alone, group = curve.fraction(Activity.of(busy=0.5, compute=0.0, memory=0.0, gpus=[1, 4]))
    assert alone == pytest.approx(0.25, rel=1e-4)
    assert group == pytest.approx(0.45, rel=1e-3)


def test_a_fit_finds_the_curve_it_was_made_with() -> None:
    random = np.random.default_rng(1)
    true = PowerCurve(0.15, 0.1, 1.0, 0.6, 0.3)
    at = Activity.of(busy=random.random(200), compute=random.random(200) * 0.4,
                     memory=random.random(200) * 0.8, gpus=random.integers(1, 9, 200))  # fmt: skip
    found = fit_power(at, true.fraction(at) * np.exp(random.normal(0, 0.02, 200)))
    assert np.max(np.abs(found.fraction(at) / true.fraction(at) - 1)) < 0.05


@given(ramps, st.floats(0.01, 1e4))
def test_ramp_energy_is_the_integral_of_its_power(ramp: PowerRamp, seconds: float) -> None:
    knee = min(seconds, 40 * ramp.time_constant_s)
    t = np.linspace(0, knee, 20001)
    area = np.trapezoid(ramp.watts(t), t) + ramp.steady_w * (seconds - knee)
    assert float(ramp.joules(seconds)) == pytest.approx(float(area), rel=2e-5, abs=1e-9)


@given(ramps, positive, positive)
def test_longer_phases_draw_more_power_on_average(
    ramp: PowerRamp, one: float, other: float
) -> None:
    short, long = sorted([one, other])
    assert ramp.mean_watts(short) <= ramp.mean_watts(long) * (1 + 1e-9)
    assert ramp.mean_watts(long) <= ramp.steady_w * (1 + 1e-9)


def test_published_ramp_of_edgereasoning_14b() -> None:
    ramp = PowerRamp(28.06, 24.9, 1.49)
    assert float(ramp.joules(215.29)) == pytest.approx(28.06 * 215.29 - 24.9 * 1.49, abs=1e-6)
    assert float(ramp.joules(215.29)) == pytest.approx(5989.99, rel=0.005)  # measured


def test_ramp_fit_withstands_one_broken_run() -> None:
    true, t = PowerRamp(28.0, 20.0, 1.5), np.geomspace(0.3, 300, 40)
    joules = true.joules(t).copy()
    joules[20] *= 3
    assert fit_ramp(t, joules).steady_w == pytest.approx(28.0, rel=0.01)


@given(st.floats(1, 10), st.integers(3, 20), st.floats(1, 10), st.floats(1, 4))
def test_prefill_power_is_found_again(low: float, cut: int, slope: float, jump: float) -> None:
    n = np.arange(1, 33) * 128.0
    offset = low + jump - slope * np.log(n[cut])
    true = PrefillPower(low, n[cut], slope, offset)
    found = fit_prefill_power(n, true.watts(n))
    assert found.watts(n) == pytest.approx(true.watts(n), rel=1e-6)


facility = {
    "flops_per_s": positive.map(lambda x: x * 1e12),
    "flops_per_token": positive.map(lambda x: x * 1e9),
    "joules_per_token": positive, "pue": st.floats(1, 3),
}  # fmt: skip


@given(st.fixed_dictionaries(facility), st.floats(0.1, 10))
def test_the_binding_constraint_flips_at_the_analytic_power(
    numbers: dict[str, float], factor: float
) -> None:
    balance = (
        numbers["pue"] * numbers["joules_per_token"]
        * numbers["flops_per_s"] / numbers["flops_per_token"]
    )  # fmt: skip
    found = token_rate(facility_w=balance * factor, **numbers)
    assert found.balance_w == pytest.approx(balance)
    if abs(factor - 1) > 1e-9:
        assert found.constraint == ("power" if factor < 1 else "compute")
    most = numbers["flops_per_s"] / numbers["flops_per_token"]
    assert found.tokens_per_s == pytest.approx(most * min(1.0, factor))


@given(st.fixed_dictionaries(facility), positive, st.sampled_from([1e-3, 60.0, 3.6e6]))
def test_the_bound_has_the_dimension_tokens_per_time(
    numbers: dict[str, float], watts: float, unit: float
) -> None:
    """Other units of time scale rate and powers, other units of energy nothing."""
    plain = token_rate(facility_w=watts, **numbers)
    slow = numbers | {"flops_per_s": numbers["flops_per_s"] * unit}
    assert token_rate(facility_w=watts * unit, **slow).tokens_per_s == pytest.approx(
        plain.tokens_per_s * unit
    )
    other = numbers | {"joules_per_token": numbers["joules_per_token"] * unit}
    assert token_rate(facility_w=watts * unit, **other).tokens_per_s == pytest.approx(
        plain.tokens_per_s
    )


@pytest.mark.parametrize("bad", [{"pue": 0.9}, {"up": 0.0}, {"used": 1.5}, {"facility_w": -1.0}])
def test_impossible_facilities_are_refused(bad: dict[str, float]) -> None:
    good = {
        "flops_per_s": 1e14,
        "flops_per_token": 1e10,
        "facility_w": 1e3,
        "joules_per_token": 1.0,
    }
    with pytest.raises(InputError):
        token_rate(**(good | bad))


def test_impossible_ramps_and_curves_are_refused() -> None:
    with pytest.raises(InputError, match="ramp"):
        PowerRamp(10, 11, 1)
    with pytest.raises(InputError, match="0 or more"):
        PowerCurve(-0.1, 0, 0, 0)
    with pytest.raises(InputError, match="shares"):
        Activity.of(busy=float("nan"), compute=0, memory=0)
