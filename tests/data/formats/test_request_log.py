"""Logs of requests: points in time under many names and units, outcomes, and what is no log."""

from pathlib import Path
from typing import Any

import pytest
import request_exports as made

from lengthwise.data.formats import registry
from lengthwise.data.importing import import_table
from lengthwise.errors import FileFormatError


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "file"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("record", "unit"),
    [
        ({"arrival": 12.0, "first_token": 12.25, "last_token": 13.25, "osl": 101}, "s"),
        ({"arrival": 12000, "first_token": 12250, "last_token": 13250, "osl": 101}, "ms"),
        ({"arrival": 12000000, "first_token": 12250000, "last_token": 13250000, "osl": 101}, "us"),
        ({"arrival": 12e9, "first_token": 12.25e9, "last_token": 13.25e9, "osl": 101}, "ns"),
    ],
)
def test_a_unit_that_nothing_tells_is_the_plausible_one_and_flagged(
    record: dict[str, float], unit: str, tmp_path: Path
) -> None:
    path = _written(tmp_path, made.lines([{**record, "isl": 64}] * 2))
    table, report = import_table(path)
    assert table[["ttft_ms", "tpot_ms", "e2e_ms"]].round(6).to_numpy()[0].tolist() == [
        250,
        10,
        1250,
    ]
    (flag,) = [flag for flag in report.flags if flag.rule == "unit of times guessed"]
    assert f"arrival_{unit}" in flag.remedy


def test_durations_under_names_of_times_are_refused(tmp_path: Path) -> None:
    record = {"arrival_time": 1000.5, "first_token_time": 0.2, "end_time": 2.5, "osl": 9}
    path = _written(tmp_path, made.table([record, {**record, "arrival_time": 1001.5}]))
    with pytest.raises(FileFormatError, match=r"one after the other.*--format table"):
        import_table(path)
    table, _ = import_table(path, file_format="table", maps=[
        "ttft_ms=first_token_time*1000", "phase='request'", "isl=osl",
    ])  # fmt: skip
    assert table["ttft_ms"].tolist() == [200, 200]


def test_a_table_of_ours_with_times_of_requests_stays_a_table(tmp_path: Path) -> None:
    record = {"arrival": 1.0, "first_token": 1.2, "end": 2.0, "isl": 8, "osl": 9, "ttft_ms": 200.0}
    path = _written(tmp_path, made.table([record]))
    assert import_table(path, maps=["phase='request'"])[1].format == "csv"


@pytest.mark.parametrize(
    ("names", "scale"),
    [
        (("arrival_ns", "enqueue_ts_ns", "sched_time_ns", "first_tok_ns", "last_tok_ns"), 1e9),
        (("req_arrival_ms", "queuedAtMs", "scheduledAtMs", "firstTokenAtMs", "lastTokenAtMs"), 1e3),
        (("received_at", "enqueued_at", "dequeued_at", "first_chunk_at", "finished_at"), 1.0),
        (("ts_submit_us", "ts_queued_us", "ts_scheduled_us", "ts_first_token_us", "t_end_us"), 1e6),
        (("arrived_at", "queued_at", "scheduled_at", "prefill_completed_at", "completed_at"), 1.0),
        (("t_arr", "t_queued", "t_sched", "t_first_tok", "t_done"), 1.0),
        (("Arrival Time (s)", "Queued Time (s)", "Scheduled Time (s)", "First Token Time (s)",
          "Last Token Time (s)"), 1.0),
        (("request_start_time", "queue_entry_time", "first_scheduled_time", "first_token_time",
          "request_end_time"), 1.0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("csv", [True, False])
def test_points_in_time_go_by_many_names(
    names: tuple[str, ...], scale: float, csv: bool, tmp_path: Path
) -> None:
    times = (40.0, 40.5, 41.0, 41.25, 43.25)
    record = dict(zip(names, [scale * t for t in times], strict=True))
    records = [{**record, "input_tokens": 64, "output_tokens": 101}] * 2
    path = _written(tmp_path, made.table(records) if csv else made.lines(records))
    assert registry.sniff(path) == "request-log"
    table, _ = import_table(path)
    row = table.iloc[0]
    assert row[["ttft_ms", "tpot_ms", "e2e_ms", "queue_ms"]].tolist() == pytest.approx(
        [1250, 20, 3250, 500]
    )
    assert (row["isl"], row["osl"], row["concurrency"]) == (64, 101, 2)


@pytest.mark.parametrize(
    ("column", "values", "kept"),
    [("success", [True, False], 1), ("success", [1, 0], 1), ("status", [200, 429], 1),
     ("error", [None, "timed out"], 1), ("finish_reason", ["length", "abort"], 1),
     ("output_tokens", [101, 0], 1),
     ("status", ["FINISHED_LENGTH_CAPPED", "FINISHED_ABORTED"], 1),
     ("state", ["completed", "running"], 1), ("error", [False, True], 1)],
)  # fmt: skip
def test_failures_in_a_log_are_left_out(
    column: str, values: list[Any], kept: int, tmp_path: Path
) -> None:
    record = {"arrival_s": 1.0, "first_token_s": 1.5, "end_s": 2.5, "output_tokens": 101}
    path = _written(tmp_path, made.lines([{**record, column: value} for value in values]))
    table, report = import_table(path)
    assert (len(table), sum(report.skipped.values())) == (kept, 2)  # a row without isl is unusable


@pytest.mark.parametrize(("name", "scale", "wrong"), [
    ("ttft", 1e-3, False), ("ttft_s", 1e-3, True), ("e2e_latency", 1.0, False),
    ("time_per_output_token", 1e-3, True),
])  # fmt: skip
def test_times_a_log_has_computed_are_checked(
    name: str, scale: float, wrong: bool, tmp_path: Path
) -> None:
    times = {"ttft": 250, "ttft_s": 250, "e2e_latency": 1250, "time_per_output_token": 10}
    record = {"arrival_s": 1.0, "first_token_s": 1.25, "last_token_s": 2.25, "output_tokens": 101}
    told = scale * times[name] * (1.5 if wrong else 1.0)
    path = _written(tmp_path, made.lines([{**record, "input_tokens": 8, name: told}] * 2))
    table, report = import_table(path)
    assert table["ttft_ms"].tolist() == [250, 250]
    rules = [flag.rule for flag in report.flags]
    assert ("file disagrees with itself" in rules) == wrong
