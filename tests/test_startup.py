"""Importing the package and asking for help stay cheap."""

import subprocess
import sys

import pytest

HEAVY = ("numpy", "pandas", "scipy", "sklearn", "pyarrow", "matplotlib", "rich")


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
    assert set(heavy_modules_after(code)) <= {"numpy"}
