"""Reading, writing and preparing measurement tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from lengthwise.data.identity import deployment_of
from lengthwise.data.table import iter_tables, load, prepare, read_table, write_table
from lengthwise.errors import FileFormatError


@pytest.fixture
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {"phase": "prefill", "isl": rng.integers(1, 9000, 50),
         "latency_ms": rng.lognormal(3, 2, 50), "engine_version": "0.10",
         "note": [f'says "{i}", twice\nand on' for i in range(50)]}
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["t.csv", "t.tsv", "t.csv.gz", "t.parquet", "t.pq", "t.jsonl", "t.ndjson", "t.jsonl.gz"],
)
def test_round_trip_is_exact(tmp_path: Path, rows: pd.DataFrame, name: str) -> None:
    write_table(rows, tmp_path / name)
    again = load(tmp_path / name)
    pd.testing.assert_frame_equal(again, prepare(rows), check_exact=True)


@pytest.mark.parametrize(("made", "named"), [("t.parquet", "t.csv"), ("t.jsonl", "t.txt")])
def test_content_wins_over_suffix(
    tmp_path: Path, rows: pd.DataFrame, made: str, named: str
) -> None:
    write_table(rows, tmp_path / made)
    (tmp_path / made).rename(tmp_path / named)
    assert len(read_table(tmp_path / named)) == 50


def test_version_stays_text(tmp_path: Path, rows: pd.DataFrame) -> None:
    write_table(rows, tmp_path / "t.csv")
    assert set(load(tmp_path / "t.csv")["engine_version"]) == {"0.10"}


def test_byte_order_mark_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\ufeffphase, isl ,latency_ms\r\nprefill,512,20.5\r\n\r\nprefill,1024,\r\n")
    table = load(path)
    assert table["isl"].tolist() == [512, 1024]
    assert np.isnan(table["latency_ms"].iloc[1])


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, rows: pd.DataFrame) -> None:
    path = tmp_path / "t.parquet"
    write_table(rows, path)
    mixed = rows.assign(note=[1, "a"] * 25)
    with pytest.raises(FileFormatError, match="mixes text and numbers"):
        write_table(mixed, path)
    assert len(read_table(path)) == 50
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.jsonl"])
def test_pieces_are_bounded_and_complete(tmp_path: Path, rows: pd.DataFrame, name: str) -> None:
    write_table(rows, tmp_path / name)
    pieces = list(iter_tables(tmp_path / name, rows=17))
    assert max(map(len, pieces)) <= 17
    joined = pd.concat(pieces, ignore_index=True)
    assert joined["latency_ms"].tolist() == rows["latency_ms"].tolist()


def test_reading_parquet_is_lazy(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(pd.DataFrame({"isl": np.arange(100_000)}), path)
    assert len(next(iter_tables(path, rows=10))) == 10
    assert pq.ParquetFile(path).metadata.num_rows == 100_000


def test_prepare_sets_kinds_and_keeps_the_input() -> None:
    raw = pd.DataFrame(
        {"phase": [" Prefill", "prefill"], "isl": ["512", "1024"], "latency_ms": [20, None],
         "warmup": ["yes", None], "model": pd.Categorical(["a", "a"]), "tp": [2, 2],
         "extra": [[1], {"a": 2}]}, index=[7, 7],
    )  # fmt: skip
    before = raw.copy(deep=True)
    table = prepare(raw)
    assert table["phase"].tolist() == ["prefill"] * 2
    assert table["isl"].dtype == table["latency_ms"].dtype == table["tp"].dtype == np.float64
    assert table["warmup"].tolist() == [True, False]
    assert table["warmup"].dtype == bool
    assert table["extra"].tolist() == [[1], {"a": 2}]
    assert table["batch_size"].tolist() == [1, 1]
    assert table.index.tolist() == [0, 1]
    pd.testing.assert_frame_equal(raw, before)


def test_prepare_twice_changes_nothing(rows: pd.DataFrame) -> None:
    once = prepare(rows)
    pd.testing.assert_frame_equal(prepare(once), once)


@pytest.mark.parametrize("dtype", ["int64", "Int64", "float32", "Float64", "object", "str"])
def test_any_numeric_dtype_is_taken(dtype: str) -> None:
    raw = pd.DataFrame({"phase": "prefill", "isl": [512, 1024], "latency_ms": [1, 2]})
    table = prepare(raw.astype({"isl": dtype}))
    assert table["isl"].tolist() == [512.0, 1024.0]


def test_batch_is_filled_only_where_nothing_is_said() -> None:
    raw = pd.DataFrame(
        {"phase": "request", "isl": 9, "ttft_ms": 1.0, "concurrency": [None, 4, None],
         "batch_size": [None, None, 8]}
    )  # fmt: skip
    batch = prepare(raw)["batch_size"]
    assert batch.iloc[0] == 1
    assert np.isnan(batch.iloc[1])
    assert batch.iloc[2] == 8


def test_grouped_index_comes_back_as_columns() -> None:
    raw = pd.DataFrame({"phase": "prefill", "isl": [512, 512, 9], "latency_ms": [1.0, 3.0, 1.0]})
    medians = raw.groupby(["phase", "isl"]).median()
    assert prepare(medians)["isl"].tolist() == [9, 512]


def test_a_mean_context_need_not_be_whole() -> None:
    raw = pd.DataFrame({"phase": ["decode"], "context_len": [576.5], "latency_ms": [5.0]})
    assert prepare(raw)["context_len"].tolist() == [576.5]


def test_timestamps_become_unix_seconds() -> None:
    when = pd.to_datetime(["2026-01-01T00:00:01Z"])
    raw = pd.DataFrame({"phase": "prefill", "isl": 9, "latency_ms": 1.0, "timestamp": when})
    assert prepare(raw)["timestamp"].tolist() == [1767225601.0]


def test_deployment_leaves_out_what_is_unknown() -> None:
    raw = pd.DataFrame(
        {"model": ["m", None, "m"], "hardware": ["h", None, None], "tp": [2.0, np.nan, np.nan]},
        index=[5, 6, 6],
    )
    key = deployment_of(raw)
    assert key.tolist() == ["m | h | tp=2", "(all)", "m"]
    assert key.index.tolist() == [5, 6, 6]
    assert deployment_of(pd.DataFrame({"isl": [1, 2]})).tolist() == ["(all)"] * 2
