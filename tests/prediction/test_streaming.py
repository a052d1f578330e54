"""Tables of any size: every row comes back, memory stays bounded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lengthwise import FileFormatError, InputError, LatencyLaw, read_table, write_table
from lengthwise.prediction.streaming import predict_file

BAD = pd.DataFrame([
    {"phase": "prefill", "isl": 512, "batch_size": 2},
    {"phase": "prefill", "isl": None, "batch_size": 2},
    {"phase": "prefill", "isl": -4, "batch_size": 2},
    {"phase": "prefill", "isl": 512, "batch_size": 0},
    {"phase": "prefill", "isl": 512, "batch_size": 2, "cached_tokens": 512},
    {"phase": "decode", "context_len": 300},
    {"phase": "decode", "isl": 300},
    {"phase": "request", "isl": 300, "osl": 20},
    {"phase": "request", "isl": 300, "osl": 2.5},
    {"phase": "warp", "isl": 300},
    {"phase": "prefill", "isl": 1_000_000},
    {"phase": "request", "isl": 60_000, "osl": 60_000},
    {"phase": "mixed", "sum_query_len": 8, "sum_context_len": 80, "sum_query_x_context": 64},
])  # fmt: skip
GOOD = [0, 5, 7]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz"])
@pytest.mark.parametrize("rows", [4, 1000])
def test_all_rows_come_back_and_bad_ones_say_why(
    law: LatencyLaw, tmp_path: Path, suffix: str, rows: int
) -> None:
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    write_table(BAD, source)
    report = predict_file(law, source, target, rows=rows)
    out = read_table(target)
    assert len(out) == len(BAD) == report.rows
    assert out["isl"].fillna(0).tolist() == BAD["isl"].fillna(0).tolist()
    assert np.flatnonzero(out["problem"].isna()).tolist() == GOOD
    assert report.predicted == len(GOOD)
    assert sum(report.problems.values()) == len(BAD) - len(GOOD)
    times = out[["latency_ms", "e2e_ms"]].notna().any(axis=1)
    assert np.flatnonzero(times).tolist() == GOOD
    reasons = dict(enumerate(out["problem"]))
    for row, text in {1: "isl", 2: "isl must be positive", 3: "batch_size", 4: "cached_tokens",
                      6: "context_len", 8: "whole", 9: "phase", 10: "over 8 times",
                      11: "over 8 times", 12: "ask for"}.items():  # fmt: skip
        assert text in reasons[row]


def test_it_gives_what_predict_table_gives(
    law: LatencyLaw, table: pd.DataFrame, tmp_path: Path
) -> None:
    write_table(table, tmp_path / "in.parquet")
    predict_file(law, tmp_path / "in.parquet", tmp_path / "out.parquet", rows=7, level=0.8)
    out = read_table(tmp_path / "out.parquet")
    expected = law.predict_table(table, 0.8)
    assert out["measured_latency_ms"].tolist() == table["latency_ms"].tolist()
    for name in ("latency_ms", "lo_ms", "hi_ms", "in_domain", "regime", "provenance", "isl"):
        pd.testing.assert_series_equal(
            out[name], expected[name], check_dtype=False, check_categorical=False
        )


def test_types_of_a_parquet_source_are_kept(law: LatencyLaw, tmp_path: Path) -> None:
    points = pd.DataFrame({
        "phase": "prefill", "isl": pd.array([64, None, 128], dtype="Int64"),
        "when": pd.to_datetime(["2026-01-01"] * 3), "note": [None, None, "late"],
    })  # fmt: skip
    points.to_parquet(tmp_path / "in.parquet")
    predict_file(law, tmp_path / "in.parquet", tmp_path / "out.parquet", rows=2)
    out = pd.read_parquet(tmp_path / "out.parquet", dtype_backend="pyarrow")
    assert str(out["isl"].dtype).startswith("int64")
    assert str(out["when"].dtype).startswith("timestamp")
    assert out["note"].tolist()[2] == "late"


def test_text_where_a_number_belongs_is_a_problem_of_its_row(
    law: LatencyLaw, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("phase,isl\nprefill,64\nprefill,many\n")
    report = predict_file(law, tmp_path / "in.csv", tmp_path / "out.csv")
    assert report.problems == {"isl is not a number": 1}
    assert "many" in (tmp_path / "out.csv").read_text()


def test_defaults_fill_missing_columns_only(fleet: LatencyLaw, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("isl\n64\n128\n")
    labels = {"phase": "prefill", "hardware": "a100", "tp": 4}
    report = predict_file(fleet, tmp_path / "in.csv", tmp_path / "out.csv", defaults=labels)
    assert report.predicted == 2
    assert "a100" in read_table(tmp_path / "out.csv")["provenance"].iloc[0]
    ambiguous = predict_file(fleet, tmp_path / "in.csv", tmp_path / "out.csv",
                             defaults={"phase": "prefill"})  # fmt: skip
    assert ambiguous.predicted == 0
    assert "must name one deployment" in next(iter(ambiguous.problems))


def test_an_output_appears_whole_or_not_at_all(law: LatencyLaw, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("phase,isl\nprefill,64\n")
    with pytest.raises(InputError, match="must not be a file that is read"):
        predict_file(law, source, source)
    with pytest.raises(FileFormatError, match="suffix"):
        predict_file(law, source, tmp_path / "out.xlsx")
    with pytest.raises(FileFormatError, match="folder"):
        predict_file(law, source, tmp_path / "no" / "out.csv")
    source.write_text("phase,isl\nprefill,64\nprefill,64,64\n")
    with pytest.raises(FileFormatError):
        predict_file(law, source, tmp_path / "out.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]


MEASURE = """
import resource, sys
import pandas as pd
from lengthwise import LatencyLaw
from lengthwise.prediction.streaming import predict_file
law = LatencyLaw.load(sys.argv[1])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
predict_file(law, sys.argv[2], sys.argv[4], rows=50_000)
first = peak()
predict_file(law, sys.argv[3], sys.argv[4], rows=50_000)
print(peak() - first)
"""


def test_memory_does_not_grow_with_the_table(law: LatencyLaw, tmp_path: Path) -> None:
    law.save(tmp_path / "law.json")
    points = pd.DataFrame({"phase": "prefill", "isl": np.tile([64, 900, 8000], 50_000)})
    points.to_parquet(tmp_path / "small.parquet")
    large = pd.concat([points] * 7)
    large.to_parquet(tmp_path / "large.parquet", row_group_size=100_000)
    names = ("law.json", "small.parquet", "large.parquet", "out.parquet")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *(str(tmp_path / name) for name in names)],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert float(done.stdout) < 60  # MiB, for seven times the rows
