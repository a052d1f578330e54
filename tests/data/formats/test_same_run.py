"""The same run, saved by different tools, is the same after import, and is the truth."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from exports import CONCURRENCY, GIVEN, MEANS, PER_REQUEST, Request, good, run

from lengthwise.data.importing import import_table
from lengthwise.data.report import ImportReport
from lengthwise.errors import NothingUsableError

REQUESTS = run()
CLOCK_MS = 1e-3
"""Unix seconds in a double are 0.24 us apart: no tool's file can be more exact."""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.json"
    path.write_text(text)
    return path


def truth(requests: list[Request]) -> pd.DataFrame:
    return pd.DataFrame({
        "ttft_ms": [r.ttft * 1e3 for r in good(requests)],
        "tpot_ms": [np.nan if r.tpot is None else r.tpot * 1e3 for r in good(requests)],
        "e2e_ms": [r.e2e * 1e3 for r in good(requests)],
        "isl": [float(r.isl) for r in good(requests)],
        "osl": [float(r.osl) for r in good(requests)],
    })  # fmt: skip


def requests_of(folder: Path, name: str) -> tuple[pd.DataFrame, ImportReport]:
    path = write(folder, name, PER_REQUEST[name](REQUESTS))
    return import_table(path, constants=GIVEN.get(name))


@pytest.mark.parametrize("name", PER_REQUEST)
def test_requests_are_the_truth(name: str, tmp_path: Path) -> None:
    table, report = requests_of(tmp_path, name)
    assert report.format == name
    for column, values in truth(REQUESTS).items():
        np.testing.assert_allclose(table[str(column)], values, rtol=0, atol=CLOCK_MS)
    assert report.rows_kept == len(good(REQUESTS))


@pytest.mark.parametrize("name", [n for n in PER_REQUEST if n not in ("guidellm", "llmperf")])
def test_single_gaps_are_kept_as_statistics(name: str, tmp_path: Path) -> None:
    if name == "inference-perf":
        pytest.skip("inference-perf keeps no statistics of gaps; chunks are in tpot_ms")
    table, _ = requests_of(tmp_path, name)
    wanted = [np.nan if r.itl_mean is None else r.itl_mean * 1e3 for r in good(REQUESTS)]
    np.testing.assert_allclose(table["itl_mean_ms"], wanted, rtol=0, atol=CLOCK_MS)


@pytest.mark.parametrize("name", PER_REQUEST)
def test_failed_requests_are_left_out_and_counted(name: str, tmp_path: Path) -> None:
    table, report = requests_of(tmp_path, name)
    failed = len(REQUESTS) - len(good(REQUESTS))
    assert len(table) == len(good(REQUESTS))
    assert sum(n for why, n in report.skipped.items() if why.startswith("failed")) == failed
    assert report.rows_read - report.rows_kept == sum(report.skipped.values())


@pytest.mark.parametrize("name", MEANS)
def test_means_are_the_means_of_the_truth(name: str, tmp_path: Path) -> None:
    table, report = import_table(write(tmp_path, name, MEANS[name](REQUESTS)))
    wanted = truth(REQUESTS)
    assert len(table) == 1
    for column in ("ttft_ms", "tpot_ms", "e2e_ms"):
        assert table[column][0] == pytest.approx(wanted[column].mean(), rel=1e-9)
    assert table["isl_mean"][0] == round(wanted["isl"].mean())
    assert table["osl_mean"][0] == round(wanted["osl"].mean())
    assert table["concurrency"][0] == CONCURRENCY
    assert table["n_requests"][0] == len(good(REQUESTS))
    assert table["ttft_p99_ms"][0] > table["ttft_ms"][0] if "ttft_p99_ms" in table else True
    assert report.rows_kept == 0
    assert "means only" in [flag.rule for flag in report.flags]


@pytest.mark.parametrize("save", PER_REQUEST.values(), ids=PER_REQUEST)
def test_a_run_of_nothing_but_failures_says_so(
    save: Callable[[list[Request]], str], tmp_path: Path
) -> None:
    requests = run(n=8, failed=3)[5:]
    path = write(tmp_path, "x", save(requests))
    with pytest.raises(NothingUsableError, match=r"3 times failed request"):
        import_table(path)
