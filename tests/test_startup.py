"""Importing the package and asking for help stay cheap."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lengthwise import LatencyLaw

HEAVY = ("numpy", "pandas", "scipy", "sklearn", "pyarrow", "pyarrow.parquet", "matplotlib", "rich",
         "lengthwise.formulations.step.step_model")  # fmt: skip


def heavy_modules_after(code: str) -> list[str]:
    script = (
        f"import contextlib, io, sys\n{code}\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.__stdout__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return listed(done.stdout.splitlines()[-1])


def listed(text: str) -> list[str]:
    return [part.strip(" '") for part in text.strip("[]").split(",") if part.strip()]


def test_import_is_light() -> None:
    assert heavy_modules_after("import lengthwise") == []


@pytest.mark.parametrize("words", [["--help"], ["--version"], []])
def test_help_is_light(words: list[str]) -> None:
    code = (
        "from lengthwise.interfaces.cli.main import run\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()), "
        f"contextlib.redirect_stderr(io.StringIO()):\n    run({words!r})"
    )
    assert heavy_modules_after(code) == []


@pytest.mark.parametrize(
    "words",
    [["--isl", "8192", "--osl", "512"], ["--isl", "8192", "--osl", "512", "--json"],
     ["--context-len", "8192", "--batch-size", "16", "--json"]],
    ids=" ".join,
)  # fmt: skip
def test_a_prediction_without_a_law_reads_no_tables(words: list[str]) -> None:
    here = ["predict", "--model", "llama3.1-8b", "--hardware", "h100_sxm", *words]
    code = (
        "from lengthwise.interfaces.cli.main import run\n"
        "with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        f"    try:\n        run({here!r})\n"
        "    except SystemExit as stopped:\n        assert not stopped.code\n"
        "assert 'ms' in out.getvalue()"
    )
    assert set(heavy_modules_after(code)) <= {"numpy", "lengthwise.formulations.step.step_model"}


@pytest.fixture(scope="module")
def law_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lengths = [64, 128, 256, 512, 1024, 2048]
    rows = [("prefill", n, None, 5 + n / 10) for n in lengths]
    rows += [("decode", None, n, 4 + n / 1e3) for n in lengths]
    table = pd.DataFrame(rows, columns=["phase", "isl", "context_len", "latency_ms"])
    path = tmp_path_factory.mktemp("law") / "law.json"
    LatencyLaw().fit(table).save(path)
    return path


@pytest.mark.parametrize(
    "words",
    [["--phase", "prefill", "--isl", "8192"], ["--isl", "512", "--osl", "64", "--json"],
     ["--context-len", "512,1024", "--batch-size", "2"]],
    ids=" ".join,
)  # fmt: skip
def test_a_prediction_with_a_law_imports_nothing_for_fits(law_file: Path, words: list[str]) -> None:
    here = ["predict", str(law_file), *words]
    code = (
        "from lengthwise.interfaces.cli.main import run\n"
        "with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        f"    try:\n        run({here!r})\n"
        "    except SystemExit as stopped:\n        assert not stopped.code\n"
        "assert 'ms' in out.getvalue()"
    )
    # pandas imports pyarrow, and a grid of points is printed by rich.
    allowed = {"numpy", "pandas", "pyarrow"} | ({"rich"} if "512,1024" in words else set())
    assert set(heavy_modules_after(code)) <= allowed
