"""Columns of requests in flight under other names, and rows whose load is only a rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lengthwise.data.importing import import_table
from lengthwise.data.load import class_of, is_loaded, with_classes
from lengthwise.data.table import load, prepare
from lengthwise.errors import ColumnError


def imported(tmp_path: Path, columns: dict[str, Any], **options: Any) -> tuple[pd.DataFrame, str]:
    """The table of a CSV of three requests, and what its import assumed."""
    rows = {"isl": [8192] * 3, "osl": 1024, "ttft_ms": [700.0, 2100.0, 3700.0],
            "tpot_ms": [14.0, 42.0, 74.0]} | columns  # fmt: skip
    path = tmp_path / "runs.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    table, report = import_table(path, constants={"phase": "request"}, **options)
    return table, "\n".join(report.assumptions)


@pytest.mark.parametrize("name", [
    "conc", "vus", "clients", "users", "npl", "pl", "parallel", "num_concurrent_requests",
    "concurrency_level", "n_parallel", "num_clients", "max_concurrency", "concurrency_mean",
    "num_requests_running", "avg_concurrency", "in_flight", "workers", "Concurrent Requests",
    "connections", "streams",
])  # fmt: skip
def test_requests_in_flight_are_seen_under_other_names(name: str, tmp_path: Path) -> None:
    table, said = imported(tmp_path, {name: [4, 32, 64]})
    assert table["concurrency"].tolist() == [4, 32, 64]
    assert "batch_size" not in table
    assert f"{name} is read as concurrency" in said
    assert "--map" in said


def test_how_such_a_column_knows(tmp_path: Path) -> None:
    assert set(imported(tmp_path, {"concurrency_mean": [3.9, 30, 61]})[0]["load_from"]) == {
        "measured"
    }
    assert set(imported(tmp_path, {"max_concurrency": [4, 32, 64]})[0]["load_from"]) == {"cap"}
    assert "load_from" not in imported(tmp_path, {"conc": [4, 32, 64]})[0]


def test_what_was_counted_comes_before_what_was_set(tmp_path: Path) -> None:
    table, _ = imported(tmp_path, {"clients": [8, 64, 128], "num_requests_running": [3.9, 30, 61]})
    assert table["concurrency"].tolist() == [3.9, 30, 61]


def test_a_limit_beside_a_rate_is_not_read(tmp_path: Path) -> None:
    table, said = imported(tmp_path, {"max_concurrency": 64, "qps": [0.5, 2.0, 4.0]})
    assert "concurrency" not in table
    assert table["request_rate"].tolist() == [0.5, 2, 4]
    assert set(table["load_from"]) == {"rate"}
    assert "max_concurrency is not read as concurrency" in said


@pytest.mark.parametrize("values", [[1, 1, 1], ["a", "b", "c"], [True, False, True], [0, 4, 8]])
def test_what_cannot_be_a_load_is_none(values: list[Any], tmp_path: Path) -> None:
    table, _ = imported(tmp_path, {"parallel": values})
    assert table["batch_size"].tolist() == [1, 1, 1]
    assert set(table["load_from"]) == {"assumed"}


def test_a_stated_load_wins(tmp_path: Path) -> None:
    table, _ = imported(tmp_path, {"conc": [4, 32, 64]}, maps=["concurrency=conc/2"])
    assert table["concurrency"].tolist() == [2, 16, 32]
    table, _ = imported(tmp_path, {"conc": [4, 32, 64], "batch_size": [1, 2, 4]})
    assert "concurrency" not in table


def test_hardware_under_another_name_is_noticed(tmp_path: Path) -> None:
    _, said = imported(tmp_path, {"hw": "mi355x", "conc": 4})
    assert "hw is not read as hardware; to use it: --map hardware=hw" in said


def test_a_table_that_is_not_imported_is_refused(tmp_path: Path) -> None:
    rows = pd.DataFrame({"phase": "request", "isl": 9, "e2e_ms": [1.0, 2.0], "conc": [4, 32]})
    with pytest.raises(ColumnError, match="'conc' and no concurrency") as caught:
        prepare(rows)
    assert "--map concurrency=conc" in caught.value.remedy
    assert load(rows.assign(concurrency=rows["conc"]))["concurrency"].tolist() == [4, 32]


def test_computed_loads_are_put_into_classes_and_stated_ones_are_not() -> None:
    rows = pd.DataFrame({
        "concurrency": [1.0, 1.19, 1.2, 5, 5, 7.8, 8, 41.0], "request_rate": 20.0,
        "load_from": ["measured"] * 3 + [None, "measured", None, None, "measured"],
    })  # fmt: skip
    assert with_classes(rows)["concurrency"].tolist() == [1, 1, 2, 5, 6, 8, 8, 48]
    assert is_loaded(rows).tolist() == [False, False] + [True] * 6
    assert with_classes(rows)["request_rate"].notna().tolist() == [
        False, False, False, True, False, False, True, False,
    ]  # fmt: skip


def test_a_class_is_near_all_it_holds() -> None:
    values = pd.Series([2 + 0.05 * i for i in range(4000)])
    ratio = pd.Series(class_of(values)) / values
    assert ratio.between(0.75, 1.34).all()
