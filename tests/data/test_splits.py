"""Properties every split must have, whatever the table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.data.points import batch_of, group_of, length_of, point_of
from lengthwise.data.splits import (
    Splits,
    batch_split,
    deployment_split,
    hardware_split,
    length_split,
    random_split,
    usable_rows,
)
from lengthwise.errors import ColumnError, InputError

ALL: dict[str, Callable[[pd.DataFrame], Splits]] = {
    "random": random_split,
    "length": length_split,
    "batch": batch_split,
    "deployment": deployment_split,
    "hardware": hardware_split,
}

rows = st.fixed_dictionaries(
    {
        "phase": st.sampled_from(["prefill", "decode"]),
        "hardware": st.sampled_from(["a", "b", "c"]),
        "tp": st.sampled_from([1, 2]),
        "length": st.sampled_from([16, 32, 64, 128, 512, 4096]),
        "batch_size": st.sampled_from([1, 2, 8, 32]),
        "latency_ms": st.sampled_from([1.0, 2.5, -1.0, float("nan"), float("inf")]),
        "warmup": st.booleans(),
    }
)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    table = pd.DataFrame(draw(st.lists(rows, min_size=1, max_size=60)))
    prefill = table["phase"] == "prefill"
    table["isl"] = table["length"].where(prefill)
    table["context_len"] = table["length"].where(~prefill)
    return table.drop(columns="length")


@pytest.mark.parametrize("name", ALL)
@given(table=tables())
@settings(max_examples=40, deadline=None)
def test_train_and_test_share_no_row_and_no_point(name: str, table: pd.DataFrame) -> None:
    usable, point = usable_rows(table), point_of(table)
    for split in ALL[name](table):
        assert len(split.train) > 0
        assert len(split.test) > 0
        assert not set(split.train) & set(split.test)
        assert not set(point[split.train]) & set(point[split.test])
        assert usable[split.train].all()
        assert usable[split.test].all()


@pytest.mark.parametrize("name", ["random", "length", "batch"])
@given(table=tables())
@settings(max_examples=25, deadline=None)
def test_every_group_is_split_or_skipped_with_a_reason(name: str, table: pd.DataFrame) -> None:
    splits = ALL[name](table)
    skipped = {s.group for s in splits.skipped}
    done = {s.group for s in splits}
    assert not done & skipped
    assert done | skipped == set(group_of(table)[usable_rows(table)])
    assert all(s.reason for s in splits.skipped)


@given(table=tables(), factor=st.sampled_from([2, 4, 8]))
@settings(max_examples=40, deadline=None)
def test_length_split_tests_strictly_above_max_over_factor(
    table: pd.DataFrame, factor: int
) -> None:
    length, group, usable = length_of(table), group_of(table).to_numpy(object), usable_rows(table)
    for split in length_split(table, factor):
        top = length[usable & (group == split.group)].max()
        assert length[split.train].max() <= top / factor < length[split.test].min()
        assert len(split.train) + len(split.test) == (usable & (group == split.group)).sum()


@given(table=tables())
@settings(max_examples=40, deadline=None)
def test_random_split_asks_only_inside_the_training_box(table: pd.DataFrame) -> None:
    length, batch = length_of(table), batch_of(table)
    for split in random_split(table, folds=3):
        for axis in (length, batch, length * batch):
            inside = axis[split.train]
            assert inside.min() <= axis[split.test].min()
            assert axis[split.test].max() <= inside.max()


@given(table=tables(), seed=st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_random_split_is_fixed_by_its_seed(table: pd.DataFrame, seed: int) -> None:
    first, again = random_split(table, seed=seed), random_split(table, seed=seed)
    assert [(s.name, s.group, s.test.tolist()) for s in first] == [
        (s.name, s.group, s.test.tolist()) for s in again
    ]


def sweep(lengths: list[int], repeats: int = 1, **extra: object) -> pd.DataFrame:
    isl = np.repeat(lengths, repeats)
    return pd.DataFrame({"phase": "prefill", "isl": isl, "latency_ms": 1.0 + isl, **extra})


def test_a_short_curve_leaves_one_interior_point_out_at_a_time() -> None:
    splits = random_split(sweep([128, 256, 512, 1024, 2048], repeats=3))
    table = sweep([128, 256, 512, 1024, 2048], repeats=3)
    held = sorted(set(table["isl"].iloc[s.test]).pop() for s in splits)
    assert held == [256, 512, 1024]
    assert all(len(s.test) == 3 for s in splits)


def test_a_long_curve_tests_every_inner_point_once_in_five_folds() -> None:
    table = sweep(list(range(100, 3100, 100)))
    splits = random_split(table)
    tested = np.concatenate([s.test for s in splits])
    assert len(splits) == 5
    assert sorted(tested) == list(range(1, 29))


def test_a_grid_keeps_the_ends_of_length_batch_and_work_in_train() -> None:
    grid = pd.DataFrame(
        [(n, b) for n in (512, 4096, 8192) for b in (1, 8, 32)], columns=["isl", "batch_size"]
    ).assign(phase="prefill", latency_ms=1.0)
    tested = np.concatenate([s.test for s in random_split(grid)])
    assert 0 not in tested
    assert 8 not in tested
    assert len(tested) == len(set(tested)) == 7


def test_output_length_does_not_make_a_new_prefill_point() -> None:
    table = sweep([128, 128, 256], osl=[1, 500, 1])
    assert point_of(table).tolist() == [0, 0, 1]


def test_a_missing_batch_size_repeats_batch_one() -> None:
    table = sweep([128, 128], batch_size=[1.0, None])
    assert point_of(table).tolist() == [0, 0]


def test_too_few_training_lengths_are_skipped_with_the_count() -> None:
    splits = length_split(sweep([512, 4096, 8192]), factor=4)
    assert len(splits) == 0
    assert "1 distinct length values up to max/4 = 2048, needs 2" in splits.skipped[0].reason


def test_batch_split_tests_only_large_batches() -> None:
    table = sweep([512] * 4, batch_size=[1, 2, 8, 16])
    (split,) = batch_split(table, factor=4)
    assert table["batch_size"].iloc[split.test].tolist() == [8, 16]


def test_leave_one_hardware_out_holds_back_all_its_deployments() -> None:
    table = sweep([1, 2, 3, 4], hardware=["a", "a", "b", "c"], tp=[1, 2, 1, 1])
    splits = hardware_split(table)
    assert [s.group for s in splits] == ["a", "b", "c"]
    assert splits[0].test.tolist() == [0, 1]
    assert len(deployment_split(table)) == 4


def test_one_deployment_cannot_be_left_out() -> None:
    splits = deployment_split(sweep([1, 2, 3], hardware="a"))
    assert len(splits) == 0
    assert "only one deployment" in splits.skipped[0].reason


def test_mixed_steps_are_placed_by_their_mean_context() -> None:
    table = pd.DataFrame({"phase": ["mixed"], "sum_context_len": [300.0], "batch_size": [3]})
    assert length_of(table).tolist() == [100.0]


@pytest.mark.parametrize("factor", [1, 0, -2, float("nan"), float("inf")])
def test_a_factor_that_is_not_more_than_one_is_refused(factor: float) -> None:
    with pytest.raises(InputError, match="factor must be more than 1"):
        length_split(sweep([1, 2, 3]), factor)


def test_one_fold_is_refused() -> None:
    with pytest.raises(InputError, match="folds must be a whole number of at least 2"):
        random_split(sweep([1, 2, 3]), folds=1)


def test_a_table_without_phase_is_refused_by_column_name() -> None:
    with pytest.raises(ColumnError, match="'phase'"):
        random_split(pd.DataFrame({"isl": [1], "latency_ms": [1.0]}))
