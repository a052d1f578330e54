"""``lengthwise fit`` and ``lengthwise report`` say which points a law doubts; real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

MANY = np.unique(np.round(np.geomspace(64.0, 65536.0, 40)))
SPOILT = (5, 12, 20, 28, 34)


def table(n: np.ndarray[Any, Any], spoilt: tuple[int, ...], factor: float) -> pd.DataFrame:
    times = 20.0 + 0.1 * n
    times[list(spoilt)] *= factor
    return pd.DataFrame({"phase": "prefill", "isl": n, "latency_ms": times})


def lengthwise(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lengthwise", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("one") / "t.csv"
    table(2.0 ** np.arange(8, 16), (2,), 3.0).to_csv(path, index=False)
    return path


def test_fit_says_the_point_on_stderr_and_in_json(one: Path) -> None:
    run = lengthwise("fit", one, "--json")
    line = next(text for text in run.stderr.splitlines() if "other points say" in text)
    assert line.startswith("prefill of 1,024 tokens took 367 ms, where the other points say 12")
    (law,) = json.loads(run.stdout)["laws"]
    (suspect,) = law["suspects"]
    assert (suspect["position"], suspect["isl"]) == (2, 1024.0)
    assert suspect["expected_ms"] == pytest.approx(122.4, rel=0.05)
    assert law["rival"] is None or law["rival"]["error_percent"] < law["rival"]["ours_percent"]


def test_the_report_says_it_too(one: Path, tmp_path: Path) -> None:
    law, page = tmp_path / "law.json", tmp_path / "page.html"
    lengthwise("fit", one, "-o", law)
    lengthwise("report", law, "-o", page)
    assert "refill of 1,024 tokens took 367 ms" in page.read_text()
    (group,) = json.loads(page.with_suffix(".json").read_text())["groups"]
    assert [s["position"] for s in group["suspects"]] == [2]


def test_three_are_named_and_the_rest_are_counted(tmp_path: Path) -> None:
    table(MANY, SPOILT, 4.0).to_csv(tmp_path / "t.csv", index=False)
    run = lengthwise("fit", tmp_path / "t.csv", "--json")
    (law,) = json.loads(run.stdout)["laws"]
    assert [s["position"] for s in law["suspects"]] == list(SPOILT)
    lines = run.stderr.splitlines()
    assert sum("where the other points say" in text for text in lines) == 3
    assert "prefill: 2 more points like that" in lines


def test_with_several_deployments_the_line_says_whose_point_it_is(tmp_path: Path) -> None:
    n = 2.0 ** np.arange(8, 16)
    tables = [table(n, spoilt, 3.0).assign(hardware=name) for name, spoilt in
              (("fine", ()), ("cold", (2,)))]  # fmt: skip
    pd.concat(tables).to_csv(tmp_path / "t.csv", index=False)
    lines = [text for text in lengthwise("fit", tmp_path / "t.csv").stderr.splitlines()
             if "other points say" in text]  # fmt: skip
    assert len(lines) == 1
    assert lines[0].startswith("cold: prefill of 1,024 tokens")


def test_fit_says_which_simple_formula_predicts_the_long_end(tmp_path: Path) -> None:
    n = np.array([256.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0])
    rows = {"phase": "prefill", "isl": n, "latency_ms": 100.0 + 0.001 * n + 5e-5 * n**2}
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    run = lengthwise("fit", tmp_path / "t.csv", "--json")
    (law,) = json.loads(run.stdout)["laws"]
    line = next(text for text in run.stderr.splitlines() if "long end" in text)
    assert law["rival"]["name"] in line
    assert "it has no weight" in line
