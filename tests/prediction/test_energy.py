"""Energy of a request from its deployment."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from lengthwise.data.hardware_catalog import find_hardware
from lengthwise.domain.model import find_model
from lengthwise.errors import InputError
from lengthwise.formulations.energy.profile import power_profile
from lengthwise.formulations.step.step_model import StepModel
from lengthwise.prediction.energy import energy_of_request


def step_of(
    model: str = "llama3.1-8b", hardware: str = "h100_sxm", precision: str = "bf16"
) -> StepModel:
    return StepModel.of(find_model(model), find_hardware(hardware), precision=precision)


@pytest.fixture(scope="module")
def step() -> StepModel:
    return step_of()


def test_joules_are_watts_times_time(step: StepModel) -> None:
    found = energy_of_request(step, isl=500, osl=200, concurrency=16)
    each = found.mean_watts / found.tokens_per_s
    assert found.joules_per_output_token == pytest.approx(each)
    assert found.joules_per_request == pytest.approx(200 * each)
    assert found.joules_lo <= found.joules_per_request <= found.joules_hi
    assert found.watts_lo <= found.mean_watts <= found.watts_hi <= 2 * 700


def test_requests_together_cost_less_each(step: StepModel) -> None:
    joules = [energy_of_request(step, isl=500, osl=200, concurrency=c).joules_per_request
              for c in (1, 4, 16, 64)]  # fmt: skip
    assert joules == sorted(joules, reverse=True)


def test_longer_answers_cost_more(step: StepModel) -> None:
    joules = [energy_of_request(step, isl=500, osl=n).joules_per_request for n in (50, 100, 400)]
    assert joules == sorted(joules)


def test_watts_of_served_runs(step: StepModel) -> None:
    """ML.ENERGY, Llama 3.1 8B on one H100: 571 to 700 W at 64 requests (fitted to these runs)."""
    found = energy_of_request(step, isl=200, osl=700, concurrency=64, tokens_per_s=4400)
    assert 450 < found.mean_watts < 700


def test_a_measured_rate_narrows_the_interval(step: StepModel) -> None:
    alone = energy_of_request(step, isl=500, osl=200)
    known = energy_of_request(step, isl=500, osl=200, tokens_per_s=alone.tokens_per_s)
    assert known.joules_per_request == pytest.approx(alone.joules_per_request)
    assert known.joules_hi - known.joules_lo < alone.joules_hi - alone.joules_lo


def test_hardware_without_measurements_is_less_certain() -> None:
    bases = {"h100_sxm": "measured", "a100_sxm": "other processors", "epyc_9654": "rated power"}
    widths = []
    for name, basis in bases.items():
        profile = power_profile(find_hardware(name))
        assert profile.basis == basis
        widths.append(profile.watts_error[1] - profile.watts_error[0])
    assert widths == sorted(widths)
    assert "no power was measured" in power_profile(find_hardware("a100_sxm")).provenance


def test_a_power_limit_binds_at_the_analytic_power(step: StepModel) -> None:
    free = energy_of_request(step, isl=500, osl=200, concurrency=64, copies=100, pue=1.25,
                             facility_w=1e9)  # fmt: skip
    assert free.constraint != "power"
    assert free.balance_watts == pytest.approx(100 * 1.25 * free.mean_watts)
    short = energy_of_request(step, isl=500, osl=200, concurrency=64, copies=100, pue=1.25,
                              facility_w=0.5 * free.balance_watts)  # fmt: skip
    assert short.constraint == "power"
    assert short.tokens_per_s == pytest.approx(0.5 * free.tokens_per_s)


def test_pue_multiplies_energy(step: StepModel) -> None:
    plain, facility = (energy_of_request(step, isl=500, osl=200, pue=pue) for pue in (1.0, 1.4))
    assert facility.joules_per_request == pytest.approx(1.4 * plain.joules_per_request)
    assert facility.mean_watts == plain.mean_watts


def test_what_does_not_fit_waits_and_is_told(step: StepModel) -> None:
    found = energy_of_request(step, isl=30_000, osl=2000, concurrency=512)
    assert found.requests_at_once < 100
    assert "fit in the memory" in found.remarks[0]


def test_a_jetson_follows_its_ramp() -> None:
    """EdgeReasoning, 14B: 5,990 J for 1,151 steps after 128 tokens, 27.8 W on average."""
    profile = power_profile(find_hardware("jetson_agx_orin"), "deepseek-r1-distill-qwen-14b")
    assert profile.ramp is not None
    assert float(profile.ramp.joules(215.29)) == pytest.approx(5990, rel=0.01)
    assert float(profile.ramp.mean_watts(3.0)) < 0.95 * profile.ramp.steady_w


def test_a_request_on_a_jetson_draws_less_while_power_rises() -> None:
    step = step_of("deepseek-r1-distill-qwen-14b", "jetson_agx_orin", "fp16")
    try:
        found = energy_of_request(step, isl=128, osl=1152, tokens_per_s=1152 / 215.6)
    except InputError as error:
        pytest.skip(f"the step model has no curves for it yet: {error}")
    assert found.joules_per_request == pytest.approx(5990, rel=0.02)
    short = energy_of_request(step, isl=128, osl=32, tokens_per_s=1152 / 215.6)
    assert short.mean_watts < 0.95 * found.mean_watts


def test_it_can_be_written_down(step: StepModel) -> None:
    found = energy_of_request(step, isl=500, osl=200)
    assert json.loads(json.dumps(found.to_dict()))["basis"] == "measured"


@pytest.mark.parametrize(
    "bad", [{"concurrency": 0}, {"isl": -1}, {"osl": float("nan")}, {"pue": 0.5}, {"copies": 0}]
)
def test_bad_questions_are_refused(step: StepModel, bad: dict[str, float]) -> None:
    with pytest.raises(InputError):
        energy_of_request(step, **({"isl": 500, "osl": 200} | bad))


def test_hardware_without_a_rating_is_refused() -> None:
    with pytest.raises(InputError, match="rated power"):
        power_profile(replace(find_hardware("h100_sxm"), tdp_w=None))


def test_importing_it_loads_no_table_library() -> None:
    code = (
        "import sys, lengthwise.prediction.energy;"
        "print([m for m in ('pandas', 'scipy', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
