"""Corrections: leaving out is refitting, trees are scikit-learn's, intervals hold what they say."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor

from lengthwise.calibration.step import trees as trees_module
from lengthwise.calibration.step.coefficients import StepCoefficients
from lengthwise.calibration.step.columns import columns_of
from lengthwise.calibration.step.heads import Head, Seen, trees_left_out
from lengthwise.calibration.step.kin import seen_of
from lengthwise.calibration.step.kinship import (
    LEVELS,
    SETTINGS,
    SHARES,
    Kin,
    Spreads,
    covariance,
    prior_variance,
)
from lengthwise.calibration.step.own import NOISE, WIDEST, OwnSamples
from lengthwise.calibration.step.process import DEPLOYMENT, Process, thinned
from lengthwise.calibration.step.rows import evaluate
from lengthwise.calibration.step.trees import SEEN, WIDTH, Features, Trees, version_number

NAMES = ("model", "hardware", "engine", "engine_version", "architecture", "precision")


def kin_of(n: int, seed: int = 0, deployments: int = 5) -> Kin:
    """Rows with random settings in so many deployments."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, deployments, n)
    numbers = {"model": which, "hardware": which % 3, "engine": which % 2, "precision": which * 0,
               "engine_version": which % 2, "architecture": which // 2}  # fmt: skip
    labels = tuple(
        np.array([" | ".join(f"{k}{numbers[k][i]}" for k in used) for i in range(n)], dtype=object)
        for _, used, _ in LEVELS
    )
    return Kin(rng.normal(3, 2, (n, len(SETTINGS))), rng.normal(0, 1, (n, len(SHARES))), labels)


def drawn(kin: Kin, seed: int = 0, noise: float = 0.06) -> np.ndarray:
    """Corrections as the prior has them, with noise."""
    rng = np.random.default_rng(seed)
    total = covariance(kin, kin, Spreads.usual()) + noise**2 * np.eye(len(kin))
    return np.linalg.cholesky(total) @ rng.standard_normal(len(kin))


def features_of(kin: Kin, seed: int = 0) -> Features:
    """Numbers and labels trees could split on."""
    rng = np.random.default_rng(seed)
    numbers = np.column_stack([kin.settings, rng.normal(0, 1, (len(kin), WIDTH - len(SETTINGS)))])
    labels = {name: np.array([f"{name}{i % 3}" for i in range(len(kin))]) for name in SEEN}
    return Features(numbers, labels)


@pytest.mark.parametrize("by", ["row", "deployment"])
@pytest.mark.parametrize("odd", [False, True])
def test_leaving_out_is_refitting_without(by: str, odd: bool) -> None:
    kin = kin_of(40)
    y = drawn(kin)
    noise = np.full(40, 0.06**2) * (np.linspace(1, 30, 40) if odd else 1.0)
    process = Process(kin, y, Spreads.usual(), noise)
    groups = np.arange(40) if by == "row" else kin.labels[DEPLOYMENT]
    mean, sd = process.left_out(groups)
    for group in dict.fromkeys(np.asarray(groups).tolist()):
        out = np.asarray(groups) == group
        rest = Process(kin.take(~out), y[~out], process.spreads, noise[~out])
        again_mean, again_sd = rest.predict(kin.take(out))
        np.testing.assert_allclose(mean[out], again_mean, atol=1e-6)
        np.testing.assert_allclose(sd[out], again_sd, atol=1e-6)


def test_a_process_goes_through_rows_without_noise_and_back_to_nothing_far_away() -> None:
    kin = kin_of(30)
    y = drawn(kin, noise=0.0)
    mean, sd = Process(kin, y, Spreads.usual(), np.full(30, 1e-10)).predict(kin)
    np.testing.assert_allclose(mean, y, atol=1e-4)
    np.testing.assert_allclose(sd, Spreads.usual().noise, atol=1e-3)
    strangers = replace(kin, settings=kin.settings + 1e3, shares=kin.shares + 1e3,
                        labels=tuple(np.array([f"other {x}" for x in v], object)
                                     for v in kin.labels))  # fmt: skip
    process = Process.fit(kin, y)
    far, wide = process.predict(strangers)
    assert np.abs(far).max() < np.abs(y).max()
    assert (wide > process.predict(kin)[1].max()).all()
    assert (wide**2 <= prior_variance(strangers, process.spreads) + 0.3**2 + 1e-9).all()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(2, 25))
def test_covariances_are_covariances(seed: int, n: int) -> None:
    kin = kin_of(n, seed)
    total = covariance(kin, kin, Spreads.usual())
    np.testing.assert_allclose(total, total.T)
    assert np.linalg.eigvalsh(total).min() > -1e-9
    np.testing.assert_allclose(np.diag(total), prior_variance(kin, Spreads.usual()))
    assert (total <= np.diag(total).max() + 1e-12).all()


def test_relatives_have_more_in_common_than_strangers() -> None:
    kin = kin_of(60)
    kin = replace(kin, settings=np.zeros_like(kin.settings), shares=np.zeros_like(kin.shares))
    total, deployment = covariance(kin, kin, Spreads.usual()), kin.labels[DEPLOYMENT]
    engine = kin.labels[[name for name, _, _ in LEVELS].index("engine")]
    same = deployment[:, None] == deployment[None, :]
    related = ~same & (engine[:, None] == engine[None, :])
    strangers = engine[:, None] != engine[None, :]
    assert total[same].min() > total[related].max()
    assert total[related].mean() > total[strangers].mean() > 0


def test_scales_survive_their_vector_and_their_file() -> None:
    usual = Spreads.usual()
    np.testing.assert_allclose(Spreads.from_vector(usual.vector).vector, usual.vector)
    np.testing.assert_allclose(Spreads.from_dict(usual.to_dict()).vector, usual.vector, atol=1e-3)


def test_an_odd_row_does_not_bend_the_others() -> None:
    kin = kin_of(150)
    y = drawn(kin)
    odd = y.copy()
    odd[7] += 3.0
    clean, bent = (Process.fit(kin, values).predict(kin)[0] for values in (y, odd))
    others = np.arange(150) != 7
    assert np.abs(clean - bent)[others].max() < 0.35
    assert Process.fit(kin, odd).noise[7] > 20 * np.median(Process.fit(kin, odd).noise)


# Trees


@pytest.fixture
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(trees_module.SETTINGS, "max_iter", 60)


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("missing", [False, True])
def test_trees_are_those_of_scikit_learn(missing: bool) -> None:
    kin = kin_of(400)
    features = features_of(kin)
    if missing:
        numbers = features.numbers.copy()
        numbers[::3, 2] = np.nan
        features = replace(features, numbers=numbers)
    y = np.sin(features.numbers[:, 0]) + (features.labels["engine"] == "engine1")
    trees = Trees.fit(features, y)
    matrix = features.matrix(trees.values)
    model = HistGradientBoostingRegressor(**trees_module.SETTINGS).fit(matrix, y)
    np.testing.assert_allclose(trees.predict(features), model.predict(matrix), atol=1e-9)
    new = features_of(kin_of(100, seed=5), seed=6)
    expected = model.predict(new.matrix(trees.values))
    np.testing.assert_allclose(trees.predict(new), expected, atol=1e-9)
    again = Trees.from_dict(trees.to_dict())
    np.testing.assert_allclose(again.predict(features), model.predict(matrix), atol=1e-5)
    assert np.corrcoef(trees.predict(features), y)[0, 1] > 0.95


def test_labels_need_rows_for_a_column_of_their_own() -> None:
    features = features_of(kin_of(100))
    rare = features.labels | {"engine": np.array(["often"] * 90 + ["seldom"] * 10)}
    trees = Trees.fit(replace(features, labels=rare), features.numbers[:, 0])
    assert trees.values["engine"] == ["often"]
    assert trees.values["hardware"] == ["hardware0", "hardware1", "hardware2"]


@pytest.mark.usefixtures("few_trees")
def test_trees_of_left_out_groups_did_not_see_them() -> None:
    features = features_of(kin_of(200))
    groups = np.arange(200) % 10
    y = groups.astype(float)
    numbers = np.column_stack([y, features.numbers[:, 1:]])
    found = trees_left_out(replace(features, numbers=numbers), y, groups)
    inside = Trees.fit(replace(features, numbers=numbers), y)
    own = inside.predict(replace(features, numbers=numbers))
    assert np.abs(own - y).mean() < 0.2 < 0.5 < np.abs(found - y).mean()


def test_features_of_real_rows_have_the_width_a_file_is_checked_for() -> None:
    columns = columns_of({"model": ["llama3.1-8b"] * 2, "hardware": ["h100_sxm"] * 2,
                          "isl": [512, 512], "osl": [64, None],
                          "engine_version": ["0.9.1", ""]})  # fmt: skip
    seen = seen_of(columns, evaluate(columns), StepCoefficients())
    assert seen.features.numbers.shape == (2, WIDTH)
    assert np.isfinite(seen.features.numbers).all()
    assert seen.kin.settings.shape == (2, len(SETTINGS))


VERSIONS = ["0.4.0", "0.5.9", "0.5.10", "0.10.0", "0.10.0.1", "0.11", "1.0.0", "1.2.0rc6.post3",
            "v1.10", "25.1"]  # fmt: skip


@pytest.mark.parametrize(("older", "newer"), list(pairwise(VERSIONS)))
def test_versions_rise(older: str, newer: str) -> None:
    assert version_number("") == version_number("main") == -1.0 < version_number(older)
    assert version_number(older) < version_number(newer)


@settings(max_examples=40, deadline=None)
@given(a=st.tuples(*[st.integers(0, 999)] * 3), b=st.tuples(*[st.integers(0, 999)] * 3))
def test_versions_are_ordered_as_their_numbers(
    a: tuple[int, int, int], b: tuple[int, int, int]
) -> None:
    first, second = (version_number(".".join(map(str, parts))) for parts in (a, b))
    assert (first < second) == (a < b)


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.integers(1, 60), min_size=1, max_size=8), most=st.integers(1, 200))
def test_thinning_takes_from_the_large_and_keeps_everyone(counts: list[int], most: int) -> None:
    groups = np.repeat([f"g{i}" for i in range(len(counts))], counts)
    chosen = thinned(groups, most)
    assert (np.diff(chosen) > 0).all()
    kept = [int((groups[chosen] == f"g{i}").sum()) for i in range(len(counts))]
    each = max(kept)
    assert kept == [min(count, each) for count in counts]
    assert len(chosen) <= max(most, len(counts))
    assert each == max(counts) or sum(min(c, each + 1) for c in counts) > most
    assert thinned(groups, most).tolist() == chosen.tolist()


# Samples of one's own


def own_kin(n: int, deployment: str = "mine", at: float = 3.0) -> Kin:
    kin = kin_of(n)
    labels = (*kin.labels[:-1], np.full(n, deployment, dtype=object))
    assert LEVELS[-1][0] == "deployment"
    return replace(kin, settings=np.full_like(kin.settings, at), labels=labels)


@pytest.mark.parametrize("quantity", ["tpot", "decode"])
def test_one_sample_moves_its_deployment_most_of_the_way_and_no_other(quantity: str) -> None:
    own = OwnSamples.of(quantity, own_kin(1), np.array([0.5]), 0.0)
    shift, sd, at = own.predict(own_kin(1))
    assert 0.4 < shift[0] < 0.5
    assert at.tolist() == [True]
    elsewhere, wide, there = own.predict(own_kin(1, "other"))
    assert elsewhere[0] == 0.0
    assert there.tolist() == [False]
    assert own.spread < wide[0] < 1.5 * own.spread
    assert sd[0] < wide[0] / 2
    far, less_sure, _ = own.predict(own_kin(1, at=12.0))
    assert 0 < far[0] < shift[0]
    assert sd[0] < less_sure[0] < own.predict(own_kin(1, "other", at=12.0))[1][0]


def test_many_equal_samples_reach_their_mean_and_a_sure_one() -> None:
    own = OwnSamples.of("tpot", own_kin(400), np.full(400, 0.5), 0.0)
    shift, sd, _ = own.predict(own_kin(1))
    assert shift[0] == pytest.approx(0.5, abs=2e-3)
    assert 0.9 * NOISE < sd[0] < 0.1


@pytest.mark.parametrize(("asked", "given"), [(0.0, 0.283), (0.01, 0.283), (0.6, 0.6), (9.0, 1.0)])
def test_the_prior_of_samples_is_neither_narrow_nor_endless(asked: float, given: float) -> None:
    spread = OwnSamples.none("tpot", own_kin(1), asked).spread
    assert spread == pytest.approx(given, abs=1e-3)
    assert spread <= WIDEST


def test_samples_joined_are_samples_at_once() -> None:
    kin, left = own_kin(4), np.array([0.1, 0.2, 0.3, 0.2])
    kin = replace(kin, settings=kin_of(4).settings)
    once = OwnSamples.of("ttft", kin, left, 0.4)
    parts = [OwnSamples.of("ttft", kin.take(slice(i, i + 2)), left[i : i + 2], 0.4) for i in (0, 2)]
    for a, b in zip(once.predict(kin), parts[0].join(parts[1]).predict(kin), strict=True):
        np.testing.assert_allclose(a, b)
    restored = OwnSamples.from_dict(once.to_dict())
    np.testing.assert_allclose(restored.predict(kin)[0], once.predict(kin)[0], atol=1e-4)


def test_samples_of_steps_show_a_slope_over_the_batch() -> None:
    ends = own_kin(3)
    ends.settings[:, 0] = np.log([1.0, 8.0, 64.0])
    own = OwnSamples.of("decode", ends.take([0, 2]), np.array([0.1, 0.3]), 0.0)
    (between,), _, _ = own.predict(ends.take([1]))
    assert between == pytest.approx(0.2, abs=0.02)
    ends.settings[:, 0] = np.log(4096.0)
    (beyond,), sd, _ = own.predict(ends.take([0]))
    assert 0.3 < beyond < 0.6
    assert sd[0] > own.predict(own_kin(1))[1][0]


def test_samples_leave_less_to_correct() -> None:
    kin = replace(own_kin(6), settings=kin_of(6).settings)
    before = OwnSamples.none("prefill", kin, 0.0).covariance_after(kin)
    after = OwnSamples.of("prefill", kin.take([0]), np.array([0.2]), 0.0).covariance_after(kin)
    assert (np.diag(after) < np.diag(before)).all()
    assert after[0, 0] < NOISE**2
    assert np.linalg.eigvalsh(before - after).min() > -1e-9


# Heads


@pytest.fixture(scope="module")
def learnt() -> tuple[Head, Seen, np.ndarray]:
    """A head learnt from half of the rows, and the other half."""
    kin = kin_of(500, deployments=12)
    y = drawn(kin, noise=0.1)
    seen = Seen(kin, features_of(kin))
    half = np.arange(500) < 250
    return Head.fit("tpot", seen.take(half), y[half]), seen.take(~half), y[~half]


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_intervals_hold_their_share_of_new_rows(
    learnt: tuple[Head, Seen, np.ndarray], level: float
) -> None:
    head, seen, y = learnt
    mean, half = head.predict(seen, level)
    assert level - 0.1 <= np.mean(np.abs(y - mean) <= half) <= min(level + 0.15, 1.0)


def test_the_stated_error_is_that_of_deployments_nobody_measured() -> None:
    kin = kin_of(400, deployments=20)
    y = drawn(kin, noise=0.1)
    seen, names = Seen(kin, features_of(kin)), sorted(set(kin.labels[DEPLOYMENT]))
    new = np.isin(kin.labels[DEPLOYMENT], names[::3])
    head = Head.fit("tpot", seen.take(~new), y[~new])
    mean, half = head.predict(seen.take(new), 0.9)
    assert head.error.by == "deployment"
    assert head.error.rows == (~new).sum()
    found = 100 * np.median(np.abs(np.expm1(mean - y[new])))
    assert head.error.median_percent == pytest.approx(found, rel=0.5)
    assert np.mean(np.abs(y[new] - mean) <= half) > 0.75
    assert (head.unknown >= head.known).all()


def test_intervals_are_wider_where_nobody_measured(learnt: tuple[Head, Seen, np.ndarray]) -> None:
    head, seen, _ = learnt
    labels = tuple(np.array([f"new {x}" for x in names], object) for names in seen.kin.labels)
    strange = replace(seen.kin, labels=labels)
    _, known = head.predict(seen, 0.9)
    _, unknown = head.predict(replace(seen, kin=strange), 0.9)
    assert np.median(unknown) > 1.2 * np.median(known)


def test_a_head_of_few_rows_says_so() -> None:
    kin = kin_of(10)
    seen = Seen(kin, features_of(kin))
    head = Head.fit("tpot", seen, drawn(kin))
    assert (head.error.by, head.error.rows) == ("nothing", 0)
    assert head.trees is None
    mean, half = head.predict(seen, 0.9)
    assert np.isfinite(mean).all()
    assert (half > 0).all()


def test_wild_rows_are_learnt_up_to_a_limit() -> None:
    kin = kin_of(30, deployments=1)
    seen = Seen(kin, features_of(kin))
    mean, _ = Head.fit("tpot", seen, np.full(30, 50.0)).predict(seen, 0.9)
    assert (np.abs(mean) <= 1.01).all()


def test_more_samples_bring_the_head_to_them(learnt: tuple[Head, Seen, np.ndarray]) -> None:
    head, seen, _ = learnt
    mine = seen.take(np.arange(5))
    labels = (*mine.kin.labels[:-1], np.full(5, "mine", object))
    mine = replace(mine, kin=replace(mine.kin, labels=labels))
    before, wide = head.predict(mine, 0.9)
    after, narrow = head.more("tpot", mine, before + 0.4).predict(mine, 0.9)
    np.testing.assert_allclose(after, before + 0.4, atol=0.05)
    assert (narrow < wide).all()
    others, _ = head.more("tpot", mine, before + 0.4).predict(seen, 0.9)
    np.testing.assert_allclose(others, head.predict(seen, 0.9)[0])
