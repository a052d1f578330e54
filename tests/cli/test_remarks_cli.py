"""Questions unlikely to be meant get a remark; files mistaken for others are named."""

from pathlib import Path

import pandas as pd
import pytest

from lengthwise import LatencyLaw, StepLaw
from lengthwise.interfaces.cli.main import run

HERE = ("--model", "llama2-7b", "--hardware", "h100_sxm")


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as ended:
        run(words)
    out, err = capsys.readouterr()
    assert ended.value.code == code, err
    return out, err


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [("prefill", n, 5 + n / 10, "llama2-7b") for n in (64, 128, 256, 512)]
    table = pd.DataFrame(rows, columns=["phase", "isl", "latency_ms", "model"])
    table.to_csv("t.csv", index=False)
    LatencyLaw("linear").fit(table).save("law.json")
    runs = pd.DataFrame({"phase": "request", "model": "llama2-7b", "hardware": "a100_sxm", "tp": 2,
                         "engine": "vllm", "isl": [512, 1024], "osl": 64, "concurrency": 1,
                         "ttft_ms": [40.0, 70.0], "tpot_ms": [8.0, 8.1]})  # fmt: skip
    StepLaw(correction=False).fit(runs).save("step.json")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--isl", "512"), ""),
        (("--isl", "8k"), "8,192 tokens are beyond the context of llama2-7b, 4,096 tokens"),
        (("--isl", "3k", "--osl", "2k"), "5,120 tokens are beyond the context"),
        (("--context-len", "5000"), "5,000 tokens are beyond the context"),
        (("--isl", "512", "--tp", "3"), "tp 3 does not divide the 32 attention heads"),
        (("--isl", "512", "--engine", "vlm"), "engine vlm is not known (did you mean vllm?)"),
        (("--isl", "512", "--context-len", "7"), "--context-len does not matter to a prefill"),
        (("--isl", "512", "--phase", "decode", "--context-len", "7"), "--isl does not matter"),
    ],
)
def test_an_unlikely_question_gets_a_remark(
    words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = said(capsys, "predict", *HERE, *words, "--json")
    assert err.count("note: ") == (1 if expected else 0)
    assert expected in err


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_a_short_name_says_what_it_is_taken_as(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--model", "Hermes-3-Llama-3.1-8B", "--hardware", "h100", "--isl", "512")
    _, err = said(capsys, command, *words, "--json")
    assert "note: h100 is taken as h100_sxm; there is also h100_pcie and h100_nvl" in err
    assert "note: Hermes-3-Llama-3.1-8B is taken as its base, llama3.1-8b" in err


@pytest.mark.usefixtures("files")
def test_the_model_of_a_law_is_asked_about(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("predict", "law.json", "--isl", "5000", "--context-len", "3", "--allow-extrapolation")
    _, err = said(capsys, *words)
    assert "beyond the context of llama2-7b" in err
    assert "--context-len does not matter" in err


@pytest.mark.usefixtures("files")
def test_a_step_law_answers_for_its_only_deployment(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("predict", "step.json", "--isl", "512", "--osl", "64", "--json")
    whole, err = said(capsys, *words)
    assert err == (
        "note: model llama2-7b, hardware a100_sxm, engine vllm, tp 2: the law's only deployment\n"
    )
    named, _ = said(capsys, *words, "--model", "llama2-7b", "--hardware", "a100_sxm", "--engine",
                    "vllm", "--tp", "2")  # fmt: skip
    assert sorted(whole.splitlines()) == sorted(named.splitlines())
    assert "tp 1" not in said(capsys, *words, "--tp", "1")[1]
    assert "no --model" in said(capsys, *words, "--hardware", "h100_sxm", code=2)[1]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("predict", "t.csv", "--isl", "8"), "lengthwise fit t.csv -o law.json"),
        (("fit", "law.json"), "law.json, a law of measured lengths"),
        (("evaluate", "step.json"), "step.json, a step law"),
        (("import", "law.json"), "lengthwise predict takes laws"),
        (("predict", "law.json", "--table", "step.json", "-o", "o.csv"), "step.json, a step law"),
        (("report", "step.json", "--json"), "a law of measured lengths is read here"),
        (("compare", "law.json", "step.json"), "step.json, a step law"),
        (("suggest", "law.json", *HERE), "a step law is read here"),
        (("fit", "t.csv", "--formulation", "step", "--prior", "law.json"), "a step law is read"),
        (("explain", "--model", "law.json", "--hardware", "h100_sxm"), "described by its config"),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(value),
)
def test_a_file_of_another_kind_is_named(
    words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = said(capsys, *words, code=2)
    assert expected in err
    assert err.count("Remedy:") == 1
