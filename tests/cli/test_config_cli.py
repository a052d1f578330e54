"""Panels of help, the configuration file, completion, and the lists of what is known."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lengthwise import LatencyLaw
from lengthwise.interfaces.cli.main import run

HERE = ("--model", "llama3.1-8b", "--hardware", "h100_sxm")
CONFIG = '[deployment]\nmodel = "llama3.1-8b"\nhardware = "h100_sxm"\ntp = 2\n'


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as ended:
        run(words)
    out, err = capsys.readouterr()
    assert ended.value.code == code, err
    return out, err


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_has_panels_with_what_the_law_takes(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("prefill", n, 5 + n / 10) for n in (64, 128, 256, 512)]
    table = pd.DataFrame(rows, columns=["phase", "isl", "latency_ms"])
    LatencyLaw("linear").fit(table).save("law.json")
    every, _ = said(capsys, "predict", "--help")
    panels = ["Deployment:", "Workload:", "Techniques:", "Output:"]
    assert [line for line in every.splitlines() if line in panels] == panels
    assert every.rindex("--isl ") > every.index("Workload:") > every.index("--tp ")
    measured, _ = said(capsys, "predict", "law.json", "--help")
    assert "--allow-extrapolation" in measured
    assert "--kv-precision" not in measured
    assert "Techniques:" not in measured
    physics, _ = said(capsys, "predict", *HERE, "--help")
    assert "--speculative-tokens" in physics
    assert "--request-rate <" not in physics


def test_a_file_gives_defaults_and_says_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here.joinpath("lengthwise.toml").write_text(
        CONFIG + '[predict]\nisl = "8k"\nspeculative-tokens = 3\nosl = 64\n'
    )
    out, err = said(capsys, "predict", "--osl", "32", "--json")
    answer = json.loads(out)
    assert (answer["isl"], answer["osl"], answer["tp"]) == (8192, 32, 2)
    assert answer["techniques"] == {"speculative_tokens": 3}
    assert err == (
        "note: from lengthwise.toml: model llama3.1-8b, hardware h100_sxm, tp 2, isl 8k, "
        "speculative-tokens 3\n"
    )
    here.joinpath("other.toml").write_text("[predict]\nisl = 512\n")
    for words in (("--config", "other.toml", "predict", *HERE),
                  ("predict", *HERE, "--config=other.toml")):  # fmt: skip
        out, err = said(capsys, *words, "--json")
        assert json.loads(out)["isl"] == 512
        assert "tp" not in json.loads(out)


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("[predict]\nisll = 3\n", ("predict",), "did you mean isl"),
        ("[predcit]\nisl = 3\n", ("models", "llama2"), "did you mean predict"),
        ("[deployment]\nmodell = 'x'\n", ("models", "llama2"), "did you mean model"),
        ("isl = 3\n", ("predict",), "must be named like a command"),
        ("predict = 3\n", ("predict",), "outside a table"),
        ("[predict\n", ("predict",), "must be readable TOML"),
    ],
)
def test_a_file_that_is_wrong_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], text: str, words: tuple[str, ...], expected: str
) -> None:
    here.joinpath("lengthwise.toml").write_text(text)
    assert expected in said(capsys, *words, code=2)[1]
    assert "absent.toml" in said(capsys, *words, "--config", "absent.toml", code=2)[1]


@pytest.mark.parametrize(
    ("line", "expected"),
    [("lengthwise pre", "predict"), ("lengthwise predict --con", "--context-len\n--concurrency"),
     ("lengthwise explain --hardware h100_", "h100_sxm\nh100_pcie\nh100_nvl")],
)  # fmt: skip
def test_a_shell_completes_words(line: str, expected: str) -> None:
    asked = {"_LENGTHWISE_COMPLETE": "complete_bash", "COMP_WORDS": line,
             "COMP_CWORD": str(len(line.split()) - 1)}  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "lengthwise"], env=os.environ | asked,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == expected


def test_completion_is_installed_where_the_shell_looks(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m lengthwise --install-completion && true"], text=True,
        env=os.environ | {"HOME": str(tmp_path)}, capture_output=True, check=True,
    )  # fmt: skip
    assert "_LENGTHWISE_COMPLETE" in (tmp_path / ".bash_completions/lengthwise.sh").read_text()
    assert "installed" in done.stdout


def test_what_is_known_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = said(capsys, "hardware", "h100", "--json")
    assert [row["name"] for row in json.loads(out)] == ["h100_sxm", "h100_pcie", "h100_nvl"]
    out, _ = said(capsys, "models", "meta-llama/Llama-3.1-8B-Instruct", "--json")
    assert json.loads(out)[0]["max_context"] == 131072
    assert "406 B" in said(capsys, "models", "405b")[0]
    assert "rtx_4090" in said(capsys, "hardware", "NVIDIA GeForce RTX 4090")[0]
    assert "llama3.1-8b" in said(capsys, "models", "lamma3.1-8b", code=1)[1]
    assert "h100_sxm" in said(capsys, "hardware", "h10O", code=1)[1]


@pytest.mark.parametrize("words", [("predict", "--isl", "8x"), ("explain", "--isl", "8x")])
def test_a_length_that_is_none_is_refused(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "8x" in said(capsys, *words, *HERE, code=2)[1]
