"""report, compare and demo as a user runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lengthwise.errors import pip_install

N = 2.0 ** np.arange(6, 14)


def run(
    *words: str, code: int = 0, hide: tuple[str, ...] = (), cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    hidden = "".join(f"sys.modules[{name!r}] = None; " for name in hide)
    program = f"import sys; {hidden}from lengthwise.interfaces.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False,
        cwd=cwd, env=os.environ | {"COLUMNS": "80"},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = {"phase": "prefill", "model": "m", "isl": N, "latency_ms": 5 + N / 20 + N**2 * 1e-6}
    path = tmp_path / "t.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_report(table: Path, tmp_path: Path) -> None:
    page, figures = tmp_path / "r.html", tmp_path / "figures"
    words = ["--formulations", "hachiya-patias,linear", "--no-ablation", "--plots", str(figures)]
    done = run("report", str(table), "-o", str(page), *words)
    assert done.stdout.strip() == str(page)
    assert page.read_text().startswith("<!doctype html>")
    assert json.loads(page.with_suffix(".json").read_text())["options"]["factor"] == 4
    kinds = sorted({path.suffix for path in figures.iterdir()})
    assert kinds == [".png", ".svg"]


def test_report_to_stdout_needs_no_file(table: Path) -> None:
    done = run("report", str(table), "--formulations", "linear", "--no-ablation", "--json")
    assert json.loads(done.stdout)["ranking"][0]["formulation"] == "linear"


def test_report_says_what_is_missing(table: Path) -> None:
    assert "--output" in run("report", str(table), code=2).stderr
    done = run("report", str(table), "--json", "--formulations", "line", code=2)
    assert "registered" in done.stderr
    done = run("report", str(table) + "x", "--json", code=2)
    assert "must exist" in done.stderr


def test_report_of_a_law(table: Path, tmp_path: Path) -> None:
    from lengthwise import LatencyLaw

    law, page = tmp_path / "law.json", tmp_path / "r.html"
    LatencyLaw().fit(table).save(law)
    run("report", str(law), "-o", str(page))
    assert "alpha_1" in page.read_text()
    run("report", str(law), str(table), "-o", str(page), "--no-ablation",
        "--formulations", "linear")  # fmt: skip
    assert "t.csv" in page.read_text()


def test_compare(table: Path, tmp_path: Path) -> None:
    other = tmp_path / "fast.csv"
    frame = pd.read_csv(table)
    frame.assign(latency_ms=frame["latency_ms"] / 2).to_csv(other, index=False)
    text = run("compare", str(table), str(other), "--plot", str(tmp_path / "c.png")).stdout
    assert "fast.csv is 2.00 times as fast" in text
    assert (tmp_path / "c.png").stat().st_size > 10_000
    found = json.loads(run("compare", str(table), str(other), "--json").stdout)
    assert found["pairs"][0]["stretches"][0]["faster"] == "second"


def test_demo_fits_80_columns_and_beats_linear(tmp_path: Path) -> None:
    picture = tmp_path / "demo.png"
    done = run("demo", "--recorded", "--plot", str(picture))
    assert "hachiya-patias" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert picture.stat().st_size > 50_000


def test_demo_as_json() -> None:
    found = json.loads(run("demo", "--recorded", "--json").stdout)["summary"]
    own = found["hachiya-patias"]["mape_percent"]
    assert own * 2 < found["linear"]["mape_percent"]
    assert own * 2 < found["gradient-boosting"]["mape_percent"]
    assert found["coverage"] >= 0.85


@pytest.mark.slow
def test_the_demo_measures_here(tmp_path: Path) -> None:
    pytest.importorskip("openvino_genai")
    page = tmp_path / "demo.html"
    done = run("demo", "--engine", "openvino", "--report", str(page))
    assert "16,384" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert "predicted TTFT at 16,384 tokens" in done.stderr
    assert len(pd.read_parquet(page.with_suffix(".parquet"))) > 500
    assert "http://" not in page.read_text().replace("http://www.w3.org", "")


@pytest.mark.parametrize("words", [["report", "{t}", "--json", "--no-ablation", "--plots", "{d}"],
                                   ["compare", "{t}", "{t}", "--plot", "{d}.png"]])  # fmt: skip
def test_without_matplotlib_the_remedy_is_named(
    words: list[str], table: Path, tmp_path: Path
) -> None:
    filled = [w.format(t=table, d=tmp_path / "f") for w in words]
    done = run(*filled, "--formulation" + "s" * (words[0] == "report"), "linear", code=2,
               hide=("matplotlib",))  # fmt: skip
    assert pip_install("report") in done.stderr


def test_without_jinja_the_remedy_is_named(table: Path, tmp_path: Path) -> None:
    words = ["report", str(table), "-o", str(tmp_path / "r.html"), "--no-ablation"]
    done = run(*words, "--formulations", "linear", code=2, hide=("jinja2",))
    assert pip_install("report") in done.stderr
