"""``lengthwise study per-token`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from lengthwise.errors import LengthwiseError
from lengthwise.interfaces.cli.study import app

runner = CliRunner()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Events of six prompts, whose first tokens are prefills."""
    rows = [
        {"phase": "decode" if index else "prefill", "isl": isl, "context_len": isl + index,
         "output_index": index, "batch_size": 1, "load1": (isl + 3 * index) % 5,
         "latency_ms": 10 + (isl + index) / 200 if index else 5 + isl / 5}
        for isl in (64, 128, 256, 512, 1024, 2048)
        for index in range(12)
    ]  # fmt: skip
    path = tmp_path / "events.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def study(*args: object) -> tuple[int, str]:
    result = runner.invoke(app, ["per-token", *map(str, args)])
    if result.exception and not isinstance(result.exception, (SystemExit, typer.Exit)):
        raise result.exception
    return result.exit_code, result.stdout


def test_the_thesis_s_figures_stand_beside_ours_and_are_said_to_be_its_own(table: Path) -> None:
    code, out = study(table, "--quick")
    assert code == 0
    for text in ("published by the thesis", "34.0332", "159.1067", "48.7500", "-4.2815",
                 "hachiya-patias", "whole requests held out", "whole prompt lengths held out",
                 "% of squared error", "The random split leaks",
                 "its own (Mistral-7B"):  # fmt: skip
        assert text in out
    assert "gradient boosting" not in out


@pytest.mark.slow
def test_everything_is_shown_and_absent_features_are_named(table: Path) -> None:
    code, out = study(table)
    assert code == 0
    for text in ("gradient boosting", "random forest", "kernel ridge", "gaussian process",
                 "gpu_util_percent", "batch_size=1.0", "The random split leaks",
                 "no predictor has them: cpu load"):  # fmt: skip
        assert text in out


def test_features_known_leaves_system_metrics_out(table: Path) -> None:
    code, out = study(table, "--quick", "--features", "known", "--json")
    assert code == 0
    found = json.loads(out, parse_constant=pytest.fail)
    groups = [f["group"]["name"] for f in found["subjects"][0]["features"]]
    assert groups == ["lengths", "position", "batch", "precision", "beams", "sampling", "kernels",
                      "parallelism"]  # fmt: skip


def test_the_folder_gets_the_json_and_every_prediction(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "study"
    code, out = study(table, "--quick", "--json", "-o", folder)
    assert code == 0
    kept = json.loads((folder / "study.json").read_text())
    assert kept == {"kind": "lengthwise-study"} | json.loads(out)
    predictions = pd.read_csv(folder / "predictions.csv")
    random = predictions[predictions["division"] == "random"]
    assert (random.groupby("predictor").size() == 15).all()  # a fifth of 72, rounded up
    assert set(random["predictor"]) == {"thesis-ridge", "linear", "hachiya-patias"}
    ridge = random[random["predictor"] == "thesis-ridge"]
    mae = (ridge["predicted_ms"] - ridge["actual_ms"]).abs().mean()
    found = json.loads(out)["subjects"][0]["thesis_protocol"]
    assert found["mae_ms"] == pytest.approx(mae)


def test_another_seed_splits_otherwise(table: Path) -> None:
    first, again, other = (study(table, "--quick", "--json", "--seed", s)[1] for s in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="output_index"), "output_index=context_len-isl"),
        (lambda t: t.head(1), "1 event"),
        (lambda t: t.assign(latency_ms="nan"), "72 set aside"),
        (lambda t: t.drop(columns="phase"), "phase"),
    ],
)
def test_bad_tables_end_with_a_message(table: Path, change: object, message: str) -> None:
    change(pd.read_csv(table)).to_csv(table, index=False)  # type: ignore[operator]
    with pytest.raises(LengthwiseError, match=message):
        study(table)


def test_bad_options_end_with_a_message(table: Path) -> None:
    with pytest.raises(LengthwiseError, match="seed"):
        study(table, "--seed", "-1")
    with pytest.raises(LengthwiseError, match="folder"):
        study(table, "-o", table)
    with pytest.raises(LengthwiseError, match="max_events"):
        study(table, "--max-events", "0")
    assert study(table, "--features", "everything")[0] == 2


def test_an_engine_is_measured_first(tmp_path: Path) -> None:
    pytest.importorskip("openvino_genai")
    done = runner.invoke(app, ["per-token", "openvino", "--isl", "16-128*2", "--osl", "8",
                               "--quick", "-o", str(tmp_path / "study")])  # fmt: skip
    assert done.exit_code == 0, done.output
    events = pd.read_parquet(tmp_path / "study" / "events.parquet")
    assert set(events["output_index"]) == set(range(8))
    assert (tmp_path / "study" / "study.json").exists()


@pytest.mark.slow
def test_settings_vary_and_are_columns_and_features(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    folder = tmp_path / "study"
    done = runner.invoke(app, [
        "per-token", "llamacpp", "--vary", "quantisation=f16,q4_0", "--vary", "temperature=0,0.8",
        "--batch", "1,2", "--isl", "16,64", "--osl", "6", "--prompts", "1", "--quick", "--json",
        "-o", str(folder),
    ])  # fmt: skip
    assert done.exit_code == 0, done.output
    assert (
        "2 loads, 16 combinations of precision 2 x temperature 2, length and batch" in done.stderr
    )
    assert "40 runs of 6 tokens" in done.stderr
    events = pd.read_parquet(folder / "events.parquet")
    combinations = events[["precision", "temperature", "batch_size", "isl"]].drop_duplicates()
    assert len(combinations) == 16
    (subject,) = json.loads(done.stdout)["subjects"]
    used = {f["group"]["name"]: f["used"] for f in subject["features"]}
    assert used["precision"] == ["precision"]
    assert used["sampling"] == ["temperature"]
    assert used["batch"] == ["batch_size"]
    manifest = json.loads((folder / "events.manifest.json").read_text())
    assert manifest["rows"] == len(events)
    assert [load["values"] for load in manifest["loads"]] == [
        {"precision": "f16"}, {"precision": "q4_0"}
    ]  # fmt: skip
    assert manifest["machine"]["versions"]["xllamacpp"]


def test_what_was_measured_stays_when_a_later_load_fails(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    config = tmp_path / "odd" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({
        "hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 3, "head_dim": 16,
        "num_key_value_heads": 3, "intermediate_size": 96, "vocab_size": 600,
    }))  # fmt: skip
    with pytest.raises(LengthwiseError, match="multiples of 32 for q4_0"):
        study("llamacpp", "--model", config, "--vary", "quantisation=f16,q4_0", "--isl", "16",
              "--osl", "4", "--prompts", "1", "-o", tmp_path / "study")  # fmt: skip
    events = pd.read_parquet(tmp_path / "study" / "events.parquet")
    assert set(events["precision"]) == {"f16"}


@pytest.mark.parametrize(("given", "message"), [
    (["openvino", "--vary", "beams=1,2"], "Remedy: measure transformers"),
    (["llamacpp", "--vary", "batch=1,2"], "write --batch 1,2"),
    (["llamacpp", "--vary", "quantisation=q5_k"], "precision of llamacpp must be one of"),
    (["llamacpp", "--vary", "temperature"], "write --vary beams=1,2,4"),
    (["llamacpp", "--vary", "flash=on", "--vary", "flash=off"], "name a setting once"),
    (["llamacpp", "--vary", "flash=on,off", "--engine-set", "flash=on"], "set or varied"),
    (["events.csv", "--vary", "beams=1,2"], "--vary measures an engine"),
], ids=lambda given: " ".join(given) if isinstance(given, list) else "")  # fmt: skip
def test_settings_that_cannot_vary_end_with_a_message(given: list[str], message: str) -> None:
    with pytest.raises(LengthwiseError, match=message):
        study(*given)
