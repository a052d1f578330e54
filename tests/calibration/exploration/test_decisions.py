"""Which correction to trust, how fast to adapt."""

import numpy as np
import pytest

from lengthwise.calibration.exploration import adaptation, trust
from lengthwise.calibration.exploration.corrections import Offset, Process, Trees
from lengthwise.calibration.exploration.experts import Exp3, Hedge, loss_of
from lengthwise.calibration.exploration.learned import shipped_prior
from lengthwise.calibration.exploration.points import Points
from lengthwise.calibration.exploration.simulated import simulate
from lengthwise.calibration.exploration.streams import Drift, Stream, stream
from lengthwise.errors import InputError


def error(predicted: np.ndarray, found: Stream) -> float:
    return float(np.abs(predicted - found.log_seconds).mean())


def test_hedge_is_almost_as_good_as_the_best_and_follows_a_change() -> None:
    hedge, lost = Hedge(3), 0.0
    for t in range(400):
        losses = np.array([0.1, 0.5, 0.9]) if t < 200 else np.array([0.9, 0.5, 0.1])
        lost += float(hedge.weights @ losses)
        hedge.learn(losses)
    assert lost / 400 < 0.15
    assert hedge.weights[2] > 0.9


def test_exp3_learns_from_what_it_tried() -> None:
    rng, bandit, lost = np.random.default_rng(0), Exp3(4), []
    for _ in range(1000):
        k = bandit.draw(rng)
        lost.append([0.6, 0.6, 0.1, 0.6][k])
        bandit.learn(k, lost[-1])
    assert np.mean(lost[-300:]) < 0.25
    assert bandit.probabilities.sum() == pytest.approx(1.0)


def test_no_experts_are_refused() -> None:
    with pytest.raises(InputError, match="experts"):
        Hedge(0)


def test_losses_stay_within_bounds() -> None:
    assert loss_of(np.array([-50.0, 0.0, 0.1, 50.0])).tolist()[::3] == [1.0, 1.0]


@pytest.mark.parametrize("make", [Process, Trees])
def test_a_correction_learns_a_bump_in_length(make: type[Process] | type[Trees]) -> None:
    rng = np.random.default_rng(0)
    points = Points.of("prefill", np.exp(rng.uniform(4, 9, 150)))
    bump = 0.3 * (np.abs(np.log(points.length) - 6.5) < 1.0)
    correction, offset = make(), Offset()
    for one in (correction, offset):
        one.fit(points, bump)
    assert (
        np.abs(correction.predict(points) - bump).mean()
        < 0.5 * np.abs(offset.predict(points) - bump).mean()
    )


def test_far_from_its_data_the_process_is_the_offset() -> None:
    points = Points.of("prefill", np.linspace(100.0, 200.0, 60))
    process, offset = Process(), Offset()
    for one in (process, offset):
        one.fit(points, np.linspace(0.0, 0.4, 60))
    far = Points.of("prefill", [1e7])
    assert process.predict(far) == pytest.approx(offset.predict(far), abs=1e-3)


@pytest.mark.parametrize("drift", ["none", "step", "ramp", "back and forth"])
def test_drift_of_a_stream_is_what_it_says(drift: Drift) -> None:
    here = simulate(2200)
    still, moved = (stream(here, shipped_prior(), d, 0) for d in ("none", drift))
    apart = moved.log_seconds - still.log_seconds
    assert apart[:50] == pytest.approx(np.zeros(50))
    assert apart.max() == pytest.approx(0.0 if drift == "none" else np.log(1.35))


def test_hedge_over_corrections_beats_trusting_the_law() -> None:
    ratios = []
    for seed in range(2210, 2214):
        found = stream(simulate(seed), shipped_prior(), "step", 0)
        offers = trust.offered(found)
        hedged = error(trust.hedged(found, offers), found)
        fixed = [error(offers[:, k], found) for k in range(offers.shape[1])]
        assert hedged < fixed[0]
        assert error(trust.drawn(found, offers), found) < max(fixed)
        ratios.append(hedged / min(fixed))
    assert np.median(ratios) < 1.1


def test_the_online_correction_is_the_replayed_one() -> None:
    found = stream(simulate(2215), shipped_prior(), "step", 0, events=90)
    replayed = trust.hedged(found, trust.offered(found))
    online = trust.TrustedCorrection()
    for t in range(90):
        here, beyond = found.points.take([t]), found.beyond[t : t + 1]
        expected = replayed[t] - found.base[t]
        assert online.predict(here, beyond)[0] == pytest.approx(expected, abs=1e-9)
        online.observe(here, beyond, found.log_seconds[t : t + 1] - found.base[t])


def test_predictions_use_nothing_of_the_future() -> None:
    found = stream(simulate(2220), shipped_prior(), "none", 0, events=90)
    changed = found.log_seconds.copy()
    changed[60:] += 3.0
    other = Stream(found.points, changed, found.base, found.beyond)
    assert trust.offered(found)[:60] == pytest.approx(trust.offered(other)[:60])
    assert adaptation.filtered(found)[:61] == pytest.approx(adaptation.filtered(other)[:61])


@pytest.mark.parametrize(("drift", "worst"), [("none", -1), ("back and forth", 0)])
def test_hedge_over_rates_avoids_the_wrong_one(drift: Drift, worst: int) -> None:
    found = stream(simulate(2230), shipped_prior(), drift, 0)
    offers = adaptation.filtered(found)
    assert error(adaptation.adapted(found), found) < error(offers[:, worst], found)
    drawn = error(adaptation.drawn_rates(found, offers), found)
    assert drawn < 1.3 * max(error(offers[:, k], found) for k in range(offers.shape[1]))
