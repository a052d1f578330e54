"""Predicting without a measurement, calibrating, updating and suggesting, as a user does."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lengthwise.interfaces.cli.main import run
from lengthwise.prediction.step_law import StepLaw

HERE = ("--model", "llama3.1-8b", "--hardware", "h100_sxm")
REQUEST = ("--isl", 1024, "--osl", 128)
TIMES = ("ttft", "tpot", "e2e")
CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 2048,
    "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128256, "tie_word_embeddings": True,
    "torch_dtype": "bfloat16", "max_position_embeddings": 131072,
}  # fmt: skip


def lengthwise(*args: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        run([str(arg) for arg in args])
    return int(stopped.value.code or 0)


def printed(capsys: pytest.CaptureFixture[str], *args: object) -> Any:
    capsys.readouterr()
    assert lengthwise(*args, "--json") == 0
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def refused(capsys: pytest.CaptureFixture[str], code: int, *args: object) -> str:
    capsys.readouterr()
    assert lengthwise(*args) == code
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert "unexpected" not in text
    said = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    return said[0]


def measured(
    deployed: dict[tuple[str, str], float], isl: tuple[int, ...] = (256, 1024, 4096),
    concurrency: tuple[int, ...] = (1, 4, 16), noise: float = 0.03,
) -> pd.DataFrame:  # fmt: skip
    """Serving runs as fast as the law without a fit says, times a factor per deployment."""
    rows = [
        {"model": model, "hardware": hardware, "engine": "vllm", "precision": "bf16", "tp": 1,
         "pp": 1, "ep": 1, "dp": 1, "isl": i, "osl": 128, "concurrency": c, "factor": factor}
        for ((model, hardware), factor), i, c in product(deployed.items(), isl, concurrency)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    said = StepLaw().answer(table).columns
    jitter = np.exp(noise * np.random.default_rng(0).standard_normal((2, len(table))))
    for i, name in enumerate(("ttft_ms", "tpot_ms")):
        table[name] = said[name] * table["factor"] * jitter[i]
    return table.drop(columns="factor")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of three deployments and their law, and five samples of another."""
    folder = tmp_path_factory.mktemp("step")
    deployed = {("llama3.1-8b", "h100_sxm"): 1.3, ("qwen3-8b", "h100_sxm"): 1.3,
                ("llama3.1-8b", "a100_sxm"): 0.9}  # fmt: skip
    measured(deployed).to_parquet(folder / "runs.parquet")
    five = measured({("qwen3-14b", "l40s"): 1.6}, (512, 1024, 2048, 4096, 8192), (4,))
    five.to_csv(folder / "five.csv", index=False)
    step = ("--formulation", "step", "-o", folder / "law.json")
    assert lengthwise("fit", folder / "runs.parquet", *step) == 0
    return folder


# Without a measurement


def test_a_request_is_answered_in_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert lengthwise("predict", *HERE, *REQUEST) == 0
    out = capsys.readouterr().out
    assert "request of 1,024 + 128 tokens, 1 in flight" in out
    assert "llama3.1-8b on h100_sxm" in out
    for text in ("TTFT", "TPOT", "E2E", "90 % interval", "bound by memory", "no measurement",
                 "memory per GPU: weights 16.1 GB"):  # fmt: skip
        assert text in out
    assert len(out.splitlines()) < 12


def test_the_json_twin_has_all_the_fixed_names(capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(capsys, "predict", *HERE, "--tp", 2, *REQUEST, "--batch-size", 16)
    for name in TIMES:
        low, middle, high = (said[f"{name}{end}_ms"] for end in ("_lo", "", "_hi"))
        assert 0 < low < middle < high
    assert said["e2e_ms"] == pytest.approx(said["ttft_ms"] + 127 * said["tpot_ms"])
    assert said["regime"] in ("overhead", "memory", "compute", "capacity")
    assert said["in_domain"] is True
    assert said["fits_memory"] is True
    assert said["saturated"] is False
    assert "no measurement" in said["provenance"]
    assert (said["model"], said["hardware"], said["tp"]) == ("llama3.1-8b", "h100_sxm", 2)
    assert (said["isl"], said["osl"], said["batch_size"], said["level"]) == (1024, 128, 16, 0.9)
    assert said["memory"]["fits"] is True
    assert said["memory"]["weights_bytes"] == pytest.approx(8.03e9, rel=0.01)
    assert said["memory"]["kv_bytes"] > 0


@pytest.mark.parametrize("name", ["config.json", "."])
def test_a_config_of_ones_own_is_enough(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    own = ("predict", "--model", tmp_path / name, "--hardware", "h100_sxm", *REQUEST)
    said = printed(capsys, *own)
    large = printed(capsys, "predict", *HERE, *REQUEST)
    assert said["tpot_ms"] < large["tpot_ms"] / 2
    assert said["memory"]["weights_bytes"] == pytest.approx(2 * 1.236e9, rel=0.01)


def test_precision_parallelism_and_engine_are_heard(capsys: pytest.CaptureFixture[str]) -> None:
    big = ("predict", "--model", "deepseek-r1", "--hardware", "H200", *REQUEST)
    eight = printed(capsys, *big, "--tp", 8, "--ep", 8, "--precision", "fp8", "--engine", "sglang")
    sixteen = printed(capsys, *big, "--tp", 8, "--dp", 2, "--ep", 16, "--precision", "fp8")
    assert eight["memory"]["weights_bytes"] > sixteen["memory"]["weights_bytes"]
    assert eight["tpot_ms"] != sixteen["tpot_ms"]
    narrow = printed(capsys, "predict", *HERE, *REQUEST, "--precision", "fp8")
    assert narrow["tpot_ms"] < printed(capsys, "predict", *HERE, *REQUEST)["tpot_ms"] / 1.3


@pytest.mark.parametrize(
    ("words", "head"),
    [(("--isl", 8192), "prefill of 8,192 tokens, batch 1"),
     (("--context-len", 8192, "--batch-size", 8), "decode step at context 8,192, batch 8"),
     (("--phase", "prefill", "--isl", 8192, "--cached-tokens", 4096), "prefill of 8,192 tokens")],
)  # fmt: skip
def test_steps_are_answered_too(
    words: tuple[Any, ...], head: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lengthwise("predict", *HERE, *words) == 0
    assert head in capsys.readouterr().out
    said = printed(capsys, "predict", *HERE, *words)
    assert said["lo_ms"] < said["latency_ms"] < said["hi_ms"]
    assert said["fits_memory"] is True
    assert "tpot_ms" not in said


def test_a_grid_is_a_table_or_a_list(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    grid = (*HERE, "--isl", "1024-16384*4", "--osl", 64, "--concurrency", "1,32")
    assert lengthwise("predict", *grid) == 0
    out = capsys.readouterr().out
    assert out.count("\n") >= 8
    assert all(text in out for text in ("16,384", "in flight", "TTFT", "E2E interval"))
    rows = printed(capsys, "predict", *grid, "-o", tmp_path / "grid.csv")
    assert [(r["isl"], r["concurrency"]) for r in rows] == list(
        product([1024, 4096, 16384], [1, 32])
    )
    written = pd.read_csv(tmp_path / "grid.csv")
    assert written["e2e_ms"].tolist() == pytest.approx([r["e2e_ms"] for r in rows])


def test_a_level_changes_the_interval_only(capsys: pytest.CaptureFixture[str]) -> None:
    wide, narrow = (printed(capsys, "predict", *HERE, *REQUEST, "--level", x) for x in (0.95, 0.5))
    assert wide["e2e_ms"] == narrow["e2e_ms"]
    assert wide["e2e_lo_ms"] < narrow["e2e_lo_ms"] < narrow["e2e_hi_ms"] < wide["e2e_hi_ms"]


def test_one_output_token_has_no_gap(capsys: pytest.CaptureFixture[str]) -> None:
    assert lengthwise("predict", *HERE, "--isl", 1024, "--osl", 1) == 0
    assert "one output token has no gap" in capsys.readouterr().out
    said = printed(capsys, "predict", *HERE, "--isl", 1024, "--osl", 1)
    assert said["tpot_ms"] is None
    assert said["e2e_ms"] == said["ttft_ms"]


def test_what_does_not_fit_is_answered_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    huge = ("predict", "--model", "llama3.1-405b", "--hardware", "h100_sxm", *REQUEST)
    assert lengthwise(*huge) == 0
    out = capsys.readouterr().out
    assert "bound by capacity" in out
    assert "tp=16 would hold the weights" in out
    said = printed(capsys, *huge)
    assert (said["fits_memory"], said["memory"]["fits"]) == (False, False)
    assert said["e2e_ms"] > 0


def test_waiting_requests_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    full = ("predict", *HERE, "--isl", 16384, "--osl", 128, "--concurrency", 500)
    assert lengthwise(*full) == 0
    assert "saturated: about" in capsys.readouterr().out
    assert printed(capsys, *full)["saturated"] is True


def test_lengths_beyond_the_tables_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(capsys, "predict", *HERE, "--isl", 65536)
    assert said["in_domain"] is False
    assert said["extrapolation_factor"] == 4.0


# Tables


@pytest.mark.parametrize("load", ["batch_size", "concurrency"])
@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_table_of_points_is_answered(
    load: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.DataFrame({
        "model": ["llama3.1-8b", "deepseek-r1", "no-such-model"],
        "hardware": ["h100_sxm", "h200_sxm", "h100_sxm"], "engine": "vllm",
        "precision": ["bf16", "fp8", "bf16"], "tp": [1, 8, 1], "pp": 1, "ep": [1, 8, 1], "dp": 1,
        "isl": 1024, "osl": 128, load: [1, 16, 4],
    })  # fmt: skip
    source, target = tmp_path / f"points.{kind}", tmp_path / f"out.{kind}"
    write = {"parquet": table.to_parquet, "csv": lambda p: table.to_csv(p, index=False),
             "jsonl": lambda p: table.to_json(p, orient="records", lines=True)}  # fmt: skip
    write[kind](source)
    said = printed(capsys, "predict", "--table", source, "-o", target)
    assert (said["rows"], said["predicted"]) == (3, 2)
    assert any("no-such-model" in reason for reason in said["problems"])
    read = {"parquet": pd.read_parquet, "csv": pd.read_csv,
            "jsonl": lambda p: pd.read_json(p, lines=True)}  # fmt: skip
    out = read[kind](target)
    names = [f"{time}{end}_ms" for time in TIMES for end in ("", "_lo", "_hi")]
    assert out[names].notna().all(axis=1).tolist() == [True, True, False]
    assert set(table.columns) | {"regime", "in_domain", "provenance", "fits_memory",
                                 "saturated", "problem"} <= set(out)  # fmt: skip
    alone = printed(capsys, "predict", *HERE, *REQUEST, "--precision", "bf16", "--engine", "vllm")
    assert out["e2e_ms"][0] == pytest.approx(alone["e2e_ms"])


def test_options_fill_columns_a_table_has_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.DataFrame({"isl": [512, 1024], "osl": 128}).to_csv(tmp_path / "points.csv", index=False)
    words = ("predict", "--table", tmp_path / "points.csv", "-o", tmp_path / "out.csv")
    assert lengthwise(*words, *HERE) == 0
    assert "2 of 2 rows predicted" in capsys.readouterr().err
    assert "need the column model" in refused(capsys, 2, *words)


def test_a_table_nobody_can_answer_exits_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.DataFrame({"model": ["nope"], "hardware": "h100_sxm", "isl": 512, "osl": 8}).to_csv(
        tmp_path / "points.csv", index=False
    )
    assert lengthwise("predict", "--table", tmp_path / "points.csv", "-o", tmp_path / "o.csv") == 1
    err = capsys.readouterr().err
    assert "0 of 1 rows predicted" in err
    assert "at least one row must be one the law can answer" in err


# With measurements


def test_fit_says_what_it_learnt(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lengthwise("fit", folder / "runs.parquet", "--formulation", "step") == 0
    out, err = capsys.readouterr()
    assert "step law, fitted to 27 rows of 3 deployments" in out
    assert "one deployment at a time" in out
    assert "attention decode" in out
    assert "how requests interfere" in out
    assert "not saved" in err


def test_a_fitted_law_predicts_what_was_measured(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*HERE, *REQUEST, "--engine", "vllm", "--precision", "bf16", "--concurrency", 4)
    before, after = (
        printed(capsys, "predict", *law, *words) for law in ((), (folder / "law.json",))
    )
    assert after["tpot_ms"] / before["tpot_ms"] == pytest.approx(1.3, rel=0.08)
    assert "corrected by 27 rows of 3 deployments, this one among them" in after["provenance"]
    assert after["tpot_hi_ms"] / after["tpot_lo_ms"] < before["tpot_hi_ms"] / before["tpot_lo_ms"]


def test_a_law_may_be_named_by_an_option(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    law, words = folder / "law.json", (*HERE, "--isl", 1024, "--osl", 128, "--concurrency", 4)
    assert printed(capsys, "predict", "--law", law, *words) == printed(
        capsys, "predict", law, *words
    )
    assert "takes one law" in refused(capsys, 2, "predict", law, "--law", law, *words)


def test_the_json_twin_of_fit_has_errors_and_factors(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = printed(
        capsys, "fit", folder / "runs.parquet", "--formulation", "step", "-o", tmp_path / "l.json"
    )
    assert said["formulation"] == "step"
    assert said["training"]["rows"] == 27
    assert 0 < said["errors"]["tpot"]["mape_percent"] < 60
    assert said["coefficients"]["factors"]["products"] > 0
    assert Path(said["law"]).exists()


def test_five_samples_correct_a_law_of_many(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.json"
    update = ("--formulation", "step", "--prior", folder / "law.json", "-o", mine)
    assert lengthwise("fit", folder / "five.csv", *update) == 0
    assert "updated to 32 rows of 4 deployments" in capsys.readouterr().out
    here = ("--model", "qwen3-14b", "--hardware", "l40s", "--engine", "vllm", "--precision",
            "bf16", "--isl", 3000, "--osl", 128, "--concurrency", 4)  # fmt: skip
    plain, before, after = (
        printed(capsys, "predict", *law, *here)["tpot_ms"]
        for law in ((), (folder / "law.json",), (mine,))
    )
    assert after / plain == pytest.approx(1.6, rel=0.08)
    assert abs(after / plain - 1.6) < abs(before / plain - 1.6)
    there = (*HERE, *REQUEST, "--engine", "vllm", "--precision", "bf16")
    old, new = (
        printed(capsys, "predict", law, *there)["tpot_ms"] for law in (folder / "law.json", mine)
    )
    assert new == pytest.approx(old, rel=1e-6)


def test_the_gate_has_its_own_exit_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit = ("fit", folder / "runs.parquet", "--formulation", "step", "--max-mape")
    assert lengthwise(*fit, 90) == 0
    assert "must be at most 0.001 %" in refused(capsys, 3, *fit, 0.001)


def test_a_gate_without_a_left_out_row_is_not_met(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ("fit", folder / "five.csv", "--formulation", "step", "--max-mape", 50)
    assert "no left-out row" in refused(capsys, 3, *few)


# What to measure next


def test_suggestions_are_runs_with_a_price(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lengthwise("suggest", *HERE, "--isl", "512,4096", "--concurrency", "1,16") == 0
    out = capsys.readouterr().out
    assert "to predict TPOT over these points" in out
    assert "takes about" in out
    assert "lengthwise fit runs.csv --formulation step" in out
    words = ("suggest", folder / "law.json", *HERE, "--samples", 2, "--quantity", "ttft")
    said = printed(capsys, *words)
    assert said["quantity"] == "ttft"
    assert 1 <= len(said["suggestions"]) <= 2
    first = said["suggestions"][0]
    assert first["error_after"] < first["error_before"]
    assert first["seconds"] > 10
    assert first["settings"]["model"] == "llama3.1-8b"


# Bad usage


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (REQUEST, "needs a law file, or a model and hardware, but got no --model"),
        (("--model", "llama3.1-8b", *REQUEST), "but got no --hardware"),
        (("--model", "llama9", "--hardware", "h100", *REQUEST), "model must be known"),
        (("--model", "llama3.1-8b", "--hardware", "h1000", *REQUEST), "did you mean h100_sxm"),
        (("--model", "no/config.json", "--hardware", "h100", *REQUEST), "no/config.json"),
        (HERE, "predict needs a length"),
        ((*HERE, "--osl", 5), "needs --isl"),
        ((*HERE, "--isl", 0, "--osl", 5), "isl"),
        ((*HERE, "--isl", "many", "--osl", 5), "isl"),
        ((*HERE, *REQUEST, "--tp", 0), "tp must be a whole number, 1 or more"),
        ((*HERE, *REQUEST, "--precision", "fp7"), "precision must be one of"),
        ((*HERE, *REQUEST, "--kv-precision", "fp7"), "precision of the cache"),
        ((*HERE, *REQUEST, "--level", 90), "level must lie in (0, 1)"),
        ((*HERE, *REQUEST, "--cached-tokens", 5000), "cached_tokens must be"),
        ((*HERE, *REQUEST, "--prefill-chunk", 512), "belongs to a law of measured steps"),
        ((*HERE, "--table", "points.csv"), "needs a file to go to"),
        ((*HERE, "--table", "points.csv", "-o", "out.csv"), "points.csv"),
        ((*HERE, "--table", "points.csv", "-o", "out.csv", "--isl", 5), "holds the points itself"),
        ((*HERE, "--isl", "1-9999+1", "--osl", "1,2"), "a grid has at most"),
    ],
)  # fmt: skip
def test_bad_usage_of_predict_exits_with_two(
    words: tuple[Any, ...], message: str, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, 2, "predict", *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fit", "five.csv", "--prior", "law.json"), "--prior belongs to the formulation step"),
        (("fit", "five.csv", "--formulation", "step", "--prior", "no.json"), "no.json"),
        (("fit", "five.csv", "--formulation", "step", "--prior", "five.csv"), "a table by its"),
        (("fit", "five.csv", "--formulation", "step", "-o", "no/law.json"), "folder to write to"),
        (("fit", "no.csv", "--formulation", "step"), "no.csv"),
        (("fit", "five.csv", "--formulation", "step", "--max-mape", -1), "max-mape must be"),
        (("suggest",), "needs a model and hardware"),
        (("suggest", *HERE, "--samples", 0), "samples must be 1 or more"),
        (("suggest", *HERE, "--isl", "x"), "isl"),
        (("suggest", "five.csv", *HERE), "lengthwise fit five.csv"),
        (("suggest", "--model", "nope", "--hardware", "h100"), "model must be known"),
    ],
)
def test_bad_usage_of_fit_and_suggest_exits_with_two(
    folder: Path, words: tuple[Any, ...], message: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    assert message in refused(capsys, 2, *words)


def test_rows_without_a_time_exit_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = measured({("llama3.1-8b", "h100_sxm"): 1.0}).assign(ttft_ms=-1.0, tpot_ms=np.nan)
    table.to_csv(tmp_path / "t.csv", index=False)
    assert "a fit needs rows" in refused(
        capsys, 1, "fit", tmp_path / "t.csv", "--formulation", "step"
    )


def test_a_damaged_law_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (folder / "law.json").read_text()
    (tmp_path / "cut.json").write_text(text[: len(text) // 2])
    (tmp_path / "new.json").write_text(text.replace('"schema_version": 1', '"schema_version": 9'))
    words = (*HERE, *REQUEST)
    assert "must be JSON" in refused(capsys, 2, "predict", tmp_path / "cut.json", *words)
    assert "upgrade lengthwise" in refused(capsys, 2, "predict", tmp_path / "new.json", *words)
