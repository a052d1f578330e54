"""``fit --model``: which model the rows are about, and what is said when nobody knows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lengthwise.interfaces.cli.main import run

N = np.array([64, 128, 256, 512, 1024, 2048, 4096], dtype=float)
SIZES = {
    "hidden_size": 512, "num_hidden_layers": 6, "vocab_size": 1000, "num_attention_heads": 8,
    "num_key_value_heads": 2, "intermediate_size": 2048,
}  # fmt: skip


def lengthwise(*args: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        run([str(arg) for arg in args])
    return int(stopped.value.code or 0)


def write(folder: Path, **columns: object) -> Path:
    table = pd.DataFrame({"phase": "prefill", "isl": N, "latency_ms": 5 + 0.1 * N + 1e-6 * N**2})
    table.assign(hardware="h100", **columns).to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def deployments(law: Path) -> set[str]:
    return {one["deployment"] for one in json.loads(law.read_text())["laws"]}


def test_rows_without_a_model_get_the_one_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, law = write(tmp_path), tmp_path / "law.json"
    assert lengthwise("fit", table, "-o", law, "--model", "Llama-3.1-8B-Instruct-Q4_K_M.gguf") == 0
    assert "not known" not in capsys.readouterr().err
    assert deployments(law) == {"llama3.1-8b | h100"}
    assert lengthwise("predict", law, "--phase", "prefill", "--isl", 2048) == 0


def test_a_named_row_keeps_its_name_and_gets_the_layers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, law = write(tmp_path, model="our-llm"), tmp_path / "law.json"
    (tmp_path / "config.json").write_text(json.dumps(SIZES))
    assert lengthwise("fit", table, "-o", law, "--model", tmp_path / "config.json") == 0
    assert "not known" not in capsys.readouterr().err
    assert deployments(law) == {"our-llm | h100"}


def test_a_model_nobody_knows_is_said_in_one_line_and_fitted_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lengthwise("fit", write(tmp_path, model="our-llm")) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "our-llm" in line]
    assert len(lines) == 1
    assert "--model config.json" in lines[0]


def test_of_several_models_the_first_unknown_one_is_named_and_the_rest_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["a-llm", "b-llm", "c-llm", "qwen3-8b", "a-llm", "b-llm", "c-llm"]
    assert lengthwise("fit", write(tmp_path, model=names)) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "not known" in line]
    assert len(lines) == 1
    assert "'a-llm' and 2 others" in lines[0]
    assert "column model" in lines[0]


@pytest.mark.parametrize("name", ["llama3.1-9b", "Qwen3-30B", "no-such-model"])
def test_an_unknown_name_is_an_error_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert lengthwise("fit", write(tmp_path), "--model", name) == 2
    text = capsys.readouterr().err
    assert "config.json" in text
    assert "Traceback" not in text
    if name != "no-such-model":
        assert "did you mean" in text


def test_the_step_law_takes_models_from_the_table_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write(tmp_path)
    assert lengthwise("fit", table, "--formulation", "step", "--model", "qwen3-8b") == 2
    assert "column model" in capsys.readouterr().err
