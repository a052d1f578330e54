"""A campaign on an engine at hand, and the comparison that names the default."""

import json
from pathlib import Path

import numpy as np
import pytest

from lengthwise.calibration.exploration.comparison import against, summary, winner
from lengthwise.calibration.exploration.explore import explore
from lengthwise.calibration.exploration.points import Points
from lengthwise.calibration.exploration.registry import DEFAULT, names
from lengthwise.errors import InputError

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results" / "exploration.json"
LENGTHS = np.array([128.0, 256.0, 512.0, 1024.0, 2048.0])


class Engine:
    """An engine with its own clock."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def measure(self, point: dict[str, int]) -> float:
        tokens = point.get("isl", point.get("context_len", 0)) * point["batch_size"]
        step = 0.01 + 1e-4 * tokens if "isl" in point else 0.02 + 1e-6 * tokens
        self.now += 0.2 + (3 * step if "isl" in point else 32 * step)
        return step


def candidates() -> Points:
    return Points.of(np.repeat(["prefill", "decode"], 5), np.tile(LENGTHS, 2))


@pytest.mark.parametrize("name", names())
def test_a_campaign_stays_near_its_budget_and_learns(name: str) -> None:
    engine = Engine()
    found = explore(engine.measure, candidates(), 20.0, policy_name=name, clock=engine.clock)
    assert found.seconds == pytest.approx(engine.now)
    assert 2.0 < found.seconds < 22.0
    assert set(found.table["phase"]) == {"prefill", "decode"}
    far = Points.of("prefill", [8192.0])
    assert np.exp(found.law.predict(far)) == pytest.approx([0.829], rel=0.3)


def test_targets_beyond_the_candidates_pull_to_long_runs() -> None:
    far = Points.of("prefill", [16384.0, 32768.0])
    engine = Engine()
    found = explore(engine.measure, Points.of("prefill", LENGTHS), 8.0, targets=far,
                    policy_name="information", clock=engine.clock)  # fmt: skip
    assert found.table["isl"].max() == 2048


def test_a_fast_clock_of_the_machine_works_too() -> None:
    found = explore(lambda point: 0.001 * point["isl"], Points.of("prefill", LENGTHS), 2.0)
    assert len(found.table) >= 5


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_measurement_that_is_no_time_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="positive seconds"):
        explore(lambda point: bad, candidates(), 5.0)


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan")])
def test_a_budget_must_be_positive(budget: float) -> None:
    with pytest.raises(InputError, match="seconds to spend"):
        explore(lambda point: 1.0, candidates(), budget)


def test_the_comparison_counts_what_it_says() -> None:
    errors = {"a": np.array([[0.1, 0.2], [0.3, 0.1]]), "b": np.array([[0.2, 0.1], [0.2, 0.1]])}
    found = summary(errors, (0.1, 0.5))
    assert found["a"]["wins"] == {"0.1": 1.0, "0.5": 0.5}
    assert found["b"]["wins"] == {"0.1": 1.0, "0.5": 1.5}
    assert found["a"]["median_error_percent"] == {"0.1": 20.0, "0.5": 15.0}
    assert against(errors, "a", "a")["ratio"] == 1.0
    assert against(errors, "b", "a")["better"] + against(errors, "b", "a")["worse"] <= 2


def test_a_learner_is_the_default_only_when_it_beats_uncertainty() -> None:
    rng = np.random.default_rng(0)
    base = np.exp(rng.normal(-2.0, 0.5, (20, 3)))
    clear, vague = 0.8 * base, base * np.exp(rng.normal(-0.02, 0.5, (20, 1)))
    assert winner([{"uncertainty": base, "reinforcement": clear}]) == "reinforcement"
    assert winner([{"uncertainty": base, "reinforcement": vague}]) == "uncertainty"
    split = [{"uncertainty": base, "linucb": clear}, {"uncertainty": base, "linucb": 1.05 * base}]
    assert winner(split) == "uncertainty"
    assert winner([{"uncertainty": base, "information": clear, "grid": base}]) == "information"


def test_the_default_is_the_winner_of_the_committed_comparison() -> None:
    if not RESULTS.is_file():
        pytest.skip("needs the committed results of benchmarks/exploration.py")
    found = json.loads(RESULTS.read_text())
    assert found["winner"] == found["default"] == DEFAULT
    assert set(found["recorded"]["policies"]) == set(names())
