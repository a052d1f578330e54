"""lengthwise explain: what it prints, what it gives as JSON, what it says when it cannot."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lengthwise.interfaces.cli.main import run

BASE = ["--model", "llama3.1-8b", "--hardware", "h100_sxm", "--precision", "bf16"]
LOADED = [*BASE, "--isl", "8192", "--osl", "512", "--concurrency", "16"]


def explain(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        run(["explain", *words])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code, out, err = explain(capsys, *words, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_json_is_consistent(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, *LOADED)
    assert found["e2e_ms"] == pytest.approx(found["ttft_ms"] + 511 * found["tpot_ms"])
    assert sum(found["ttft_parts_ms"].values()) == pytest.approx(found["ttft_ms"])
    assert sum(found["tpot_parts_ms"].values()) == pytest.approx(found["tpot_ms"])
    assert found["regime"] == {"ttft": "compute", "tpot": "memory"}
    for phase in (found["prefill"], found["decode_step"]):
        assert sum(phase["parts_ms"].values()) == pytest.approx(phase["time_ms"])
        assert sum(phase["shares"].values()) == pytest.approx(1.0)
        assert sum(phase["resources"].values()) == pytest.approx(1.0)
        assert 0 < phase["mfu"] <= 1
        assert 0 < phase["mbu"] <= 1
        assert phase["floor_ms"] == pytest.approx(
            max(phase["mfu"], phase["mbu"]) * phase["time_ms"]
        )
    assert found["memory"]["fits"]
    assert found["effects"] == []


def test_techniques_alone_and_together(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--prefix-hit-rate", "0.5", "--speculative-tokens", "3", "--acceptance", "0.8"]
    plain, found = answer(capsys, *LOADED), answer(capsys, *LOADED, *words)
    cache, guesses, both = found["effects"]
    assert cache["settings"] == {"prefix_hit_rate": 0.5}
    assert guesses["settings"] == {"speculative_tokens": 3, "acceptance": 0.8}
    assert cache["ttft_ms"] < 0.7 * plain["ttft_ms"]
    assert guesses["tpot_ms"] < 0.7 * plain["tpot_ms"]
    assert both["label"] == "all together"
    assert both["e2e_ms"] == pytest.approx(found["e2e_ms"])
    assert cache["ratios"]["ttft"] == pytest.approx(cache["ttft_ms"] / plain["ttft_ms"])
    assert found["tokens_per_step"] == pytest.approx(1 + 0.8 + 0.64 + 0.512)


def test_what_if_leaves_out_what_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    labels = {change["label"] for change in answer(capsys, *LOADED)["what_if"]}
    assert {"8-bit cache", "tp 2", "on h200_sxm", "8 in flight"} <= labels
    words = ["--kv-bits", "8", "--mtp-tokens", "1", "--disaggregated"]
    left = {change["label"] for change in answer(capsys, *LOADED, *words)["what_if"]}
    assert not left & {"8-bit cache", "3 guesses at 70 %", "prompts elsewhere"}


def test_what_if_is_what_asking_gives(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, *LOADED)
    by = {change["label"]: change for change in found["what_if"]}
    cut = answer(capsys, *LOADED, "--tp", "2")
    assert by["tp 2"]["tpot_ms"] == pytest.approx(cut["tpot_ms"])
    narrow = answer(capsys, *LOADED, "--kv-bits", "8")
    assert by["8-bit cache"]["e2e_ms"] == pytest.approx(narrow["e2e_ms"])
    assert by["8-bit cache"]["max_concurrency"] == narrow["max_concurrency"]


def test_switches_have_two_spellings(capsys: pytest.CaptureFixture[str]) -> None:
    on, off = (answer(capsys, *LOADED, word) for word in ("--disaggregated", "--no-disaggregated"))
    assert on["tpot_parts_ms"]["prompts in between"] == 0
    assert off["tpot_ms"] == answer(capsys, *LOADED)["tpot_ms"]


@pytest.mark.parametrize("columns", [80, 100])
def test_the_screen_fits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, _ = explain(capsys, *LOADED, "--prefix-hit-rate", "0.5", "--lora-rank", "16")
    assert code == 0
    assert max(map(len, out.splitlines())) <= columns
    for part in ("TTFT", "bound by compute", "feed-forward", "physical limit", "memory", "what if"):
        assert part in out
    assert re.search(r"prefix-hit-rate 0.5 .*-\d+ %", out)


def test_a_model_that_does_not_fit_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model", "llama3.1-70b", "--hardware", "h100_sxm", "--precision", "bf16"]
    code, out, _ = explain(capsys, *words)
    assert code == 0
    assert "does not fit: weights (141.1 GB)" in out
    assert "tp=2 would hold the weights" in " ".join(out.split())


def test_more_requests_than_memory_holds(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, *BASE, "--isl", "32768", "--batch-size", "256")
    assert found["regime"]["ttft"] == "capacity"
    assert found["running"] < found["max_concurrency"] + 1 < 256


def test_a_model_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = {"hidden_size": 2048, "num_hidden_layers": 16, "vocab_size": 32000,
              "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 128,
              "intermediate_size": 8192, "torch_dtype": "bfloat16"}  # fmt: skip
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(config))
    found = answer(capsys, "--model", str(path), "--hardware", "a100_sxm")
    assert found["model"] == "mine"
    assert found["decode_step"]["regime"] in ("memory", "overhead")


def test_the_list_of_knobs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = explain(capsys, "--knobs")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "--acceptance" in out
    assert "arXiv 2211.17192" in out
    code, out, _ = explain(capsys, "--knobs", "--json")
    listed = {knob["name"]: knob for knob in json.loads(out)}
    assert listed["kv_bits"]["range"] == "16, 8, 4, 3, 2"
    assert all(knob["sources"] and knob["changes"] for knob in listed.values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--hardware", "h100"], "explain needs --model"),
        (["--model", "llama3.1-8b"], "explain needs --hardware"),
        ([*BASE, "--kv-bits", "5"], "--kv-bits must be 16, 8, 4, 3, 2, but got '5'"),
        ([*BASE, "--acceptance", "2"], "--acceptance must be 0 to 1"),
        ([*BASE, "--lora-rank", "1.5"], "--lora-rank must be a whole number"),
        ([*BASE, "--attention", "lazy"], "--attention must be flash, eager"),
        ([*BASE, "--weight-bits", "16", "--activation-bits", "8"], "not wider than the inputs"),
        ([*BASE, "--isl", "0"], "isl must be 1 or more"),
        ([*BASE, "--batch-size", "0"], "concurrency must be 1 or more"),
        ([*BASE, "--concurrency", "4", "--batch-size", "4"], "are the same here"),
        ([*BASE, "--cached-tokens", "2048"], "cached_tokens must be fewer than isl"),
        ([*BASE, "--tp", "0"], "tp must be a whole number"),
        ([*BASE, "--draft-model", "nobody", "--speculative-tokens", "2"], "model must be known"),
        ([*BASE, "--speculative-tokens", "2", "--mtp-tokens", "1"], "leave one of them out"),
        (["--model", "nobody", "--hardware", "h100"], "the model must be known"),
        (["--model", "llama3.1-8b", "--hardware", "abacus"], "hardware must be in the catalogue"),
    ],
)
def test_errors_are_for_people(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    code, out, err = explain(capsys, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_a_misspelt_technique_is_answered_with_the_right_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, err = explain(capsys, *BASE, "--kv-bitz", "8")
    assert code == 2
    assert "--kv-bits" in err


def test_a_cold_start_is_light() -> None:
    code = (
        "import resource, sys\n"
        "from lengthwise.interfaces.cli.main import run\n"
        "try:\n    run(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "heavy = [m for m in ('pandas', 'scipy', 'sklearn') if m in sys.modules]\n"
        "print(used.ru_utime + used.ru_stime, heavy, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "explain", *LOADED], capture_output=True, text=True,
        timeout=120, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True,
    )  # fmt: skip
    seconds, heavy = done.stderr.split(maxsplit=1)
    assert heavy.strip() == "[]"
    assert float(seconds) < 3.0
    assert "what if" in done.stdout
