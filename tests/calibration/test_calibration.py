"""Terms, intervals, pooling and law sets on data whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lengthwise.calibration.folds import batch_folds, block_folds, is_interior, length_folds
from lengthwise.calibration.intervals import conformal_quantile
from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.domain.work import Work
from lengthwise.errors import ColumnError, InputError, NothingUsableError
from lengthwise.formulations.hachiya_patias.structures import SHORT_ENDS
from lengthwise.units import FloatArray

LENGTHS = 2 ** np.arange(6, 14)


def table(
    seed: int = 0, noise: float = 0.03, hardware: str = "a", slow: float = 1.0, repeats: int = 3
) -> pd.DataFrame:
    """Prefill and decode of one deployment, times from a known law with lognormal noise."""
    rng = np.random.default_rng(seed)
    n = np.repeat(LENGTHS, repeats).astype(float)
    prefill = 20 + 0.1 * n + 4e-6 * n**2
    decode = 10 + 4e-4 * n
    common = {"hardware": hardware, "batch_size": 1.0}
    parts = [
        pd.DataFrame({"phase": "prefill", "isl": n, "latency_ms": prefill, **common}),
        pd.DataFrame({"phase": "decode", "context_len": n, "latency_ms": decode, **common}),
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame["latency_ms"] *= slow * np.exp(rng.normal(0, noise, len(frame)))
    return frame


def points(phase: str, length: list[float] | FloatArray, **labels: object) -> pd.DataFrame:
    column = "isl" if phase == "prefill" else "context_len"
    return pd.DataFrame({"phase": phase, column: length, "batch_size": 1.0, **labels})


def test_predicts_both_phases_far_beyond_the_data() -> None:
    laws = LawSet().fit(table())
    far = 65536.0
    assert laws.predict(points("prefill", [far]))[0] == pytest.approx(
        20 + 0.1 * far + 4e-6 * far**2, rel=0.2
    )
    assert laws.predict(points("decode", [far]))[0] == pytest.approx(10 + 4e-4 * far, rel=0.2)


def test_intervals_cover_what_they_say_in_range() -> None:
    """Fresh noise on fresh lengths: 90 % intervals over many tables hold about 90 %."""
    inside = []
    for seed in range(12):
        laws = LawSet().fit(table(seed, noise=0.05, repeats=1))
        new = table(1000 + seed, noise=0.05, repeats=1)
        new = new[new["latency_ms"].between(0, 400)]
        lo, hi = laws.predict_interval(new, level=0.9).T
        inside.append((new["latency_ms"] >= lo) & (new["latency_ms"] <= hi))
    assert 0.80 <= np.concatenate(inside).mean() <= 0.99


def test_higher_levels_give_wider_intervals_and_distance_widens_them() -> None:
    laws = LawSet().fit(table())
    near, far = points("prefill", [4096.0]), points("prefill", [65536.0])
    width = {
        (name, level): float(np.ptp(np.log(laws.predict_interval(at, level))))
        for name, at in (("near", near), ("far", far)) for level in (0.5, 0.9, 0.99)
    }  # fmt: skip
    assert width["near", 0.5] < width["near", 0.9] < width["near", 0.99]
    assert width["far", 0.9] > 2 * width["near", 0.9]


@pytest.mark.parametrize("level", [0.0, 1.0, 90.0, -0.1])
def test_impossible_levels_are_refused(level: float) -> None:
    laws = LawSet().fit(table())
    with pytest.raises(InputError, match="strictly between 0 and 1"):
        laws.predict_interval(points("prefill", [512.0]), level)


def prefill_law(n: FloatArray, latency_ms: FloatArray, **labels: object) -> PhaseLaw:
    """Fit whole prompts of one deployment."""
    frame = pd.DataFrame({"phase": "prefill", "isl": n, "latency_ms": latency_ms, **labels})
    (law,) = LawSet().fit(frame).laws_.values()
    return law


def test_trials_are_judged_on_points_left_out() -> None:
    n = 2.0 ** np.arange(6, 14)
    noisy = (5 + n / 20 + n**2 * 1e-6) * np.exp(0.02 * np.random.default_rng(1).standard_normal(8))
    table = pd.DataFrame({"phase": "prefill", "isl": n, "latency_ms": noisy})
    (law,) = LawSet().fit(table).laws_.values()
    best = max(law.trials, key=lambda t: t.weight)
    seen = np.abs(
        np.log(noisy / 1e3 / law.law.predict_work(Work.of("prefill", query_len=n, context_len=n)))
    )
    assert 1.3 * seen.mean() < best.in_range < 0.08


def test_the_trials_report_what_each_term_bought() -> None:
    n = LENGTHS.astype(float)
    noise = np.exp(0.003 * np.random.default_rng(2).standard_normal(len(n)))
    law = prefill_law(n, (0.1 * np.hypot(n, 400.0) + 5e-6 * n**2) * noise)
    trials = {(t.e1, t.e2): t for t in law.trials}
    assert set(trials) == {(e1, e2) for e1 in ("off", "quadratic") for e2 in SHORT_ENDS}
    assert sum(t.weight for t in law.trials) == pytest.approx(1.0)
    assert all(t.kept == (t.weight >= 0.05) for t in law.trials)
    best = max(law.trials, key=lambda t: t.weight)
    assert best is trials["quadratic", "floor2"]
    assert best.score <= min(t.score for t in law.trials) * 1.4
    without = trials["off", "floor2"], trials["quadratic", "none"], trials["off", "none"]
    assert all(best.out_of_range < 0.5 * t.out_of_range for t in without)
    assert law.law.e1_ == "quadratic"


@pytest.mark.parametrize("labels", [{}, {"model": "llama3.1-8b"}])
def test_attention_is_dropped_where_a_long_sweep_shows_none(labels: dict[str, object]) -> None:
    """Even where the architecture says that there is attention: engines may skip it."""
    n = 2.0 ** np.arange(5, 17)
    noise = np.exp(0.003 * np.random.default_rng(2).standard_normal(len(n)))
    law = prefill_law(n, 0.1 * np.hypot(n, 400.0) * noise, **labels)
    assert {t.e1 for t in law.trials} == {"off", "quadratic"}
    assert sum(t.weight for t in law.trials if t.e1 == "quadratic") < 0.1
    far = 2.0**18
    seconds = law.law.predict_work(Work.of("prefill", query_len=far, context_len=far))[0]
    assert seconds == pytest.approx(1e-4 * far, rel=0.02)


def test_terms_the_caller_fixed_stay_fixed() -> None:
    laws = LawSet(e1="off", e2="off", e3="off").fit(table())
    law = next(p.law for (_, phase), p in laws.laws_.items() if phase == "prefill")
    assert (law.e1_, law.scaling_.name, law.correction_.is_identity) == ("off", "off", True)


def test_three_points_borrow_from_relatives() -> None:
    """Three short prompts hardly tell launches from work; five relatives do."""
    relatives = [
        table(i, hardware=f"gpu{i}", slow=1 + 0.2 * i).query("phase == 'prefill'") for i in range(5)
    ]
    n, far = np.array([64.0, 128.0, 192.0]), points("prefill", [8192.0], hardware="new")
    truth = 1.5 * (20 + 0.1 * 8192 + 4e-6 * 8192**2)
    error: dict[str, list[float]] = {"together": [], "alone": []}
    for seed in range(6):
        noise = np.exp(0.03 * np.random.default_rng(seed).standard_normal(3))
        few = points("prefill", n, hardware="new")
        few["latency_ms"] = 1.5 * (20 + 0.1 * n + 4e-6 * n**2) * noise
        both = LawSet(intervals=False).fit(pd.concat([*relatives, few], ignore_index=True))
        alone = LawSet(pooling=False, intervals=False).fit(few)
        for name, laws in (("together", both), ("alone", alone)):
            error[name].append(abs(np.log(laws.predict(far)[0] / truth)))
    assert np.mean(error["together"]) < min(0.15, 0.8 * np.mean(error["alone"]))
    assert max(error["together"]) < 0.3


def test_a_deployment_nobody_measured_gets_the_population_with_a_wide_interval() -> None:
    known = pd.concat([table(i, hardware=f"gpu{i}", slow=1 + 0.3 * i) for i in range(4)])
    laws = LawSet().fit(known)
    at = points("prefill", [2048.0], hardware="unheard-of")
    lo, hi = laws.predict_interval(at)[0]
    assert lo < laws.predict(at)[0] < hi
    own = laws.predict_interval(points("prefill", [2048.0], hardware="gpu1"))[0]
    assert hi / lo > 1.5 * own[1] / own[0]


def test_points_that_name_no_deployment_must_be_unambiguous() -> None:
    laws = LawSet().fit(pd.concat([table(hardware="a"), table(hardware="b")]))
    with pytest.raises(InputError, match=r"one deployment.*Remedy: add columns"):
        laws.predict(points("prefill", [512.0]))
    assert np.isfinite(laws.predict(points("prefill", [512.0], hardware="b"))).all()


def test_a_phase_never_measured_is_refused() -> None:
    laws = LawSet().fit(table().query("phase == 'prefill'"))
    with pytest.raises(InputError, match=r"phase='decode'.*measure decode"):
        laws.predict(points("decode", [512.0]))


def test_nothing_usable_says_so() -> None:
    bad = table().assign(latency_ms=np.nan)
    with pytest.raises(NothingUsableError, match="lengthwise import"):
        LawSet().fit(bad)


@pytest.mark.parametrize("value", [0.0, -5.0, np.nan, np.inf])
def test_bad_lengths_are_refused_by_name(value: float) -> None:
    laws = LawSet().fit(table())
    with pytest.raises(ColumnError, match="isl"):
        laws.predict(points("prefill", [value]))


def test_order_of_rows_does_not_matter() -> None:
    frame = table()
    shuffled = frame.sample(frac=1, random_state=3).reset_index(drop=True)
    at = points("prefill", [100.0, 3000.0, 30000.0])
    np.testing.assert_allclose(
        LawSet().fit(frame).predict(at), LawSet().fit(shuffled).predict(at), rtol=1e-5
    )


def test_requests_are_fitted_as_the_steps_they_consist_of() -> None:
    n = np.repeat(LENGTHS, 2).astype(float)
    osl = 65.0
    requests = pd.DataFrame({
        "phase": "request", "isl": n, "osl": osl, "batch_size": 1.0,
        "ttft_ms": 20 + 0.1 * n, "tpot_ms": 10 + 4e-4 * (n + (osl + 1) / 2),
    })  # fmt: skip
    laws = LawSet().fit(requests)
    assert laws.predict(points("decode", [16384.0]))[0] == pytest.approx(
        10 + 4e-4 * 16384, rel=0.05
    )


def test_folds_hold_out_every_point_once_and_only_long_ones_beyond() -> None:
    n = np.repeat(LENGTHS, 2).astype(float)
    work = Work.of("prefill", query_len=n, context_len=n, batch_size=np.tile([1.0, 2.0], 8))
    tested = np.sort(np.concatenate([f.test for f in block_folds(work)]))
    assert tested.tolist() == list(range(16))
    for fold in length_folds(work):
        assert work.length[fold.train].max() < work.length[fold.test].min()
    assert batch_folds(work) == []
    assert not is_interior(work)[0]


def test_conformal_quantile_is_the_textbook_rank() -> None:
    scores = np.arange(1.0, 100.0)
    assert conformal_quantile(scores, 0.9) == 90.0
    assert conformal_quantile(scores[:5], 0.9) > 5.0


def test_offsets_between_deployments_can_be_kept_alone_or_dropped() -> None:
    known = pd.concat([table(i, hardware=f"gpu{i}", slow=1 + i) for i in range(3)])
    at = points("prefill", [2048.0], hardware="gpu2", engine="other")
    offset = LawSet(e3="offset").fit(known.assign(engine="one"))
    dropped = LawSet(e3="off").fit(known.assign(engine="one"))
    truth = 3 * (20 + 0.1 * 2048 + 4e-6 * 2048**2)
    assert abs(np.log(offset.predict(at)[0] / truth)) < abs(np.log(dropped.predict(at)[0] / truth))
    assert all(p.law.correction_.is_identity for p in offset.laws_.values())


def test_thousands_of_points_are_fitted_from_a_spread_of_them() -> None:
    rng = np.random.default_rng(0)
    n = np.arange(1.0, 4001.0)
    frame = pd.DataFrame({"phase": "decode", "context_len": n, "batch_size": 1.0})
    frame["latency_ms"] = (10 + 4e-3 * n) * np.exp(rng.normal(0, 0.05, len(n)))
    laws = LawSet().fit(frame)
    law = next(iter(laws.laws_.values()))
    assert law.n_points == 4000
    assert laws.predict(points("decode", [8000.0]))[0] == pytest.approx(42.0, rel=0.03)
