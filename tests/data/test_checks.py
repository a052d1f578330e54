"""Checks flag what is wrong, name it, and leave clean data alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lengthwise.data.checks import check_table, skipped_by_reason, usable
from lengthwise.data.report import Flag
from lengthwise.data.table import prepare

LENGTHS = np.array([64, 128, 256, 512, 1024, 2048, 4096, 8192])


def sweep(**columns: Any) -> pd.DataFrame:
    """A prefill sweep that bends from flat through linear to quadratic, 3 repeats, 3 % noise."""
    isl = np.tile(LENGTHS, 3)
    noise = np.random.default_rng(3).lognormal(0, 0.03, len(isl))
    time = np.maximum(15.0, 0.05 * isl + 3e-6 * isl**2.0) * noise
    repeat = np.repeat([0, 1, 2], len(LENGTHS))
    base = {"phase": "prefill", "isl": isl, "latency_ms": time, "repeat": repeat}
    return prepare(pd.DataFrame(base | columns))


def found(table: pd.DataFrame, rule: str) -> list[Flag]:
    return [flag for flag in check_table(table) if flag.rule == rule]


def test_a_clean_sweep_has_no_flags() -> None:
    assert check_table(sweep()) == []


@pytest.mark.parametrize("seed", range(5))
def test_clean_batches_have_no_flags(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = pd.MultiIndex.from_product([LENGTHS, [1, 2, 4, 8, 16]]).to_frame(index=False)
    time = 4 + 0.02 * grid[1] + 1e-6 * grid[0] * grid[1]
    table = pd.DataFrame({"phase": "decode", "context_len": grid[0], "batch_size": grid[1]})
    assert check_table(prepare(table.assign(latency_ms=time * rng.lognormal(0, 0.05, 40)))) == []


def test_unusable_rows_are_counted_by_reason() -> None:
    table = sweep()
    table.loc[[0, 1, 2], "latency_ms"] = [np.nan, 0.0, -5.0]
    table["warmup"] = table.index == 3
    assert usable(table).tolist() == [False] * 4 + [True] * 20
    assert skipped_by_reason(table) == {
        "time missing": 1, "time not positive": 2, "warm-up row": 1,
    }  # fmt: skip
    flag = found(table, "time not positive")[0]
    assert flag.rows == (1, 2)
    assert flag.severity == "error"


def test_infinite_times_are_not_usable() -> None:
    table = sweep()
    table.loc[4, "latency_ms"] = np.inf
    assert not usable(table)[4]
    assert found(table, "time not finite")[0].rows == (4,)


def test_a_request_needs_one_good_time_and_no_bad_one() -> None:
    table = pd.DataFrame(
        {"phase": "request", "isl": 9, "ttft_ms": [1, 1, np.nan, 1], "e2e_ms": [2, None, None, -1]}
    )
    assert usable(table).tolist() == [True, True, False, False]


@pytest.mark.parametrize("factor", [4.0, 0.2])
def test_a_gross_outlier_is_flagged_alone(factor: float) -> None:
    table = sweep()
    row = int(table.index[(table["isl"] == 2048) & (table["repeat"] == 1)][0])
    table.loc[row, "latency_ms"] *= factor
    flags = check_table(table)
    assert [(flag.rule, flag.rows) for flag in flags] == [("gross outlier", (row,))]
    assert "isl 2,048" in flags[0].message


def test_one_bad_cell_is_blamed_not_those_after_it() -> None:
    batch = np.array([1, 2, 4, 8, 16, 32])
    time = np.array([10.0, 20, 200, 80, 160, 320])
    table = pd.DataFrame({"phase": "prefill", "isl": 512, "batch_size": batch, "latency_ms": time})
    flags = found(prepare(table), "out of order")
    assert [flag.rows for flag in flags] == [(2,)]
    assert "batch 4 took 200 ms, more than batch 8 with 80.0 ms" in flags[0].message


def test_slow_first_repeats_are_probable_warm_up() -> None:
    table = sweep()
    table.loc[table["repeat"] == 0, "latency_ms"] *= 1.7
    flags = check_table(table)
    assert [flag.rule for flag in flags] == ["probable warm-up"]
    assert flags[0].count == len(LENGTHS)
    assert "warmup=true" in flags[0].remedy


def test_marked_warm_up_is_not_flagged() -> None:
    table = sweep()
    first = table["repeat"] == 0
    table.loc[first, "latency_ms"] *= 1.7
    assert check_table(table.assign(warmup=first)) == []


def test_a_first_row_slower_than_a_larger_step_is_probable_warm_up() -> None:
    table = pd.DataFrame({"phase": "prefill", "isl": LENGTHS, "latency_ms": LENGTHS * 0.1})
    table.loc[0, "latency_ms"] = 15.0
    assert found(prepare(table), "probable warm-up")[0].rows == (0,)


def test_heavy_tails_are_not_warm_up() -> None:
    rng = np.random.default_rng(5)
    time = np.where(rng.random(3000) < 0.1, 30.0, 10.0)
    batch = np.repeat(np.arange(1, 301), 10)
    table = pd.DataFrame(
        {"phase": "decode", "context_len": 64, "batch_size": batch, "latency_ms": time}
    )
    assert found(prepare(table), "probable warm-up") == []


def test_duplicates_are_counted_beyond_the_first() -> None:
    table = sweep()
    twice = prepare(pd.concat([table, table.iloc[:3]]))
    assert found(twice, "duplicate")[0].rows == (24, 25, 26)


def test_a_decode_step_faster_than_memory() -> None:
    table = pd.DataFrame(
        {"phase": "decode", "context_len": LENGTHS, "latency_ms": 0.05, "model": "llama2-70b"}
    )
    flag = found(prepare(table), "faster than hardware")[0]
    assert flag.count == len(LENGTHS)
    assert "0.05 ms" in flag.message
    assert found(prepare(table.assign(model="unheard-of")), "faster than hardware") == []
    assert found(prepare(table.assign(latency_ms=5e-4, model="x")), "faster than hardware")


def test_a_prefill_faster_than_arithmetic() -> None:
    table = pd.DataFrame(
        {"phase": "prefill", "isl": LENGTHS, "latency_ms": 0.004, "model": "llama2-70b"}
    )
    flag = found(prepare(table), "faster than hardware")[0]
    assert flag.count == len(LENGTHS)


@pytest.mark.parametrize(
    ("phase", "time", "unit"),
    [("prefill", 5e-4, "seconds"), ("decode", 7e4, "microseconds")],
)
def test_unit_suspicion(phase: str, time: float, unit: str) -> None:
    table = pd.DataFrame({"phase": phase, "isl": 9, "context_len": 9, "latency_ms": [time]})
    flag = found(prepare(table), "unit")[0]
    assert f"are these {unit}?" in flag.message
    assert "--map latency_ms=" in flag.remedy


def test_requests_that_contradict_themselves() -> None:
    table = prepare(
        pd.DataFrame(
            {"phase": "request", "isl": 9, "osl": 11, "ttft_ms": [10.0, 300.0, 10.0],
             "tpot_ms": [5.0, 5.0, 9.0], "e2e_ms": [60.0, 200.0, 60.0]}
        )
    )  # fmt: skip
    assert found(table, "ttft after e2e")[0].rows == (1,)
    assert found(table, "times disagree")[0].rows == (2,)


def test_checks_never_change_the_table() -> None:
    table = sweep(note=[[1]] * 24)
    before = table.copy(deep=True)
    check_table(table)
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_tiny_tables(rows: int) -> None:
    assert check_table(sweep().iloc[:rows]) == []


@pytest.mark.data
def test_the_outlier_in_edgereasoning(needs_data: Path) -> None:
    from lengthwise.data.datasets import table

    flags = check_table(prepare(table("edgereasoning")))
    gross = [flag for flag in flags if flag.rule == "gross outlier"]
    assert len(gross) == 1
    assert gross[0].count == 1
    assert "isl 2,561" in gross[0].message
    assert "22.5 s" in gross[0].message


@pytest.mark.data
def test_the_cells_out_of_order_in_splitwise(needs_data: Path) -> None:
    from lengthwise.data.datasets import table

    flags = check_table(prepare(table("splitwise")))
    messages = [flag.message for flag in flags if flag.rule == "out of order"]
    assert len(messages) == 2
    assert "batch 64 took 794 ms, less than batch 32 with 6.63 s" in messages[0]
    assert not [flag for flag in flags if flag.rule == "gross outlier"]


@pytest.mark.parametrize(
    ("columns", "flagged"),
    [
        ({"phase": "decode", "context_len": [64, 128], "latency_ms": [0.021, 0.03]}, 1),
        ({"phase": "decode", "context_len": [64, 128], "latency_ms": [0.4, 0.5]}, 0),
        ({"phase": "prefill", "isl": [1024, 2048], "latency_ms": [0.025, 0.05]}, 1),
        ({"phase": "prefill", "isl": [1024, 2048], "latency_ms": [25.0, 50.0]}, 0),
        ({"phase": "request", "isl": [64, 64], "ttft_ms": [0.2, 0.3], "tpot_ms": [0.02, 0.03]}, 2),
        ({"phase": "request", "isl": [64, 64], "ttft_ms": [20.0, 30.0], "tpot_ms": [8.0, 9.0]}, 0),
    ],
)
def test_seconds_in_a_column_of_milliseconds(columns: dict[str, object], flagged: int) -> None:
    flags = [flag for flag in check_table(prepare(pd.DataFrame(columns))) if flag.rule == "unit"]
    assert len(flags) == flagged
    assert all("are these seconds?" in flag.message for flag in flags)
