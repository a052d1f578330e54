"""optimum-benchmark: report alone, beside its configuration, and with it."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from lengthwise.data.formats import optimum_benchmark
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.table import prepare
from lengthwise.errors import InputError

ISL, NEW, BATCH = 512, 5, 2


def latency(values: list[float]) -> dict[str, Any]:
    mean = sum(values) / len(values)
    return {"unit": "s", "values": values, "count": len(values), "total": sum(values),
            "mean": mean, "p50": mean, "p90": mean, "p95": mean, "p99": mean, "stdev": 0.001,
            "stdev_": 12.5}  # fmt: skip


def part(values: list[float], unit: str, volume: float) -> dict[str, Any]:
    mean = sum(values) / len(values)
    return {
        "memory": {"unit": "MB", "max_ram": 1000.0, "max_global_vram": None},
        "latency": latency(values), "throughput": {"unit": unit, "value": volume / mean},
        "energy": None, "efficiency": None,
    }  # fmt: skip


REPORT = {
    "load_model": part([3.0], "samples/s", 1),
    "first_generate": part([9.0], "samples/s", 1),
    "generate": part([0.14, 0.15], "samples/s", BATCH),
    "prefill": part([0.10, 0.11], "samples/s", BATCH),
    "decode": part([0.040, 0.044], "tokens/s", BATCH * (NEW - 1)),
}
CONFIG = {
    "name": "cpu_llama",
    "backend": {"name": "pytorch", "version": "2.5.1", "model": "Qwen/Qwen3-0.6B",
                "device": "cuda", "torch_dtype": "bfloat16"},
    "scenario": {"name": "inference", "input_shapes": {"batch_size": BATCH, "num_choices": 2,
                                                       "sequence_length": ISL},
                 "generate_kwargs": {"max_new_tokens": NEW, "min_new_tokens": NEW}},
    "environment": {"cpu": " AMD EPYC 9354", "cpu_count": 32, "gpu": ["NVIDIA H100"]},
}  # fmt: skip
WHOLE = {"config": CONFIG, "report": REPORT}


def parse(tmp_path: Path, data: Any, name: str = "benchmark.json") -> Parsed:
    path = tmp_path / name
    path.write_text(json.dumps(data))
    assert optimum_benchmark.matches(Document(path))
    return optimum_benchmark.read(Document(path))


def with_report(**parts: Any) -> dict[str, Any]:
    return {"config": copy.deepcopy(CONFIG), "report": {**copy.deepcopy(REPORT), **parts}}


def test_prefill_and_decode_rows(tmp_path: Path) -> None:
    frame = prepare(parse(tmp_path, WHOLE).frame)
    prefill, decode = (frame[frame["phase"] == phase] for phase in ("prefill", "decode"))
    assert prefill["latency_ms"].tolist() == pytest.approx([100, 110])
    assert decode["latency_ms"].tolist() == pytest.approx([10, 11])
    assert set(prefill["isl"]) == {512}
    # steps see 513 .. 516 tokens
    assert set(decode["context_len"]) == {515}
    assert set(frame["batch_size"]) == {2}
    assert decode["repeat"].tolist() == [0, 1]


def test_labels(tmp_path: Path) -> None:
    row = prepare(parse(tmp_path, WHOLE).frame).iloc[0]
    names = ["model", "hardware", "engine", "engine_version", "precision"]
    assert row[names].tolist() == [
        "Qwen/Qwen3-0.6B", "NVIDIA H100", "pytorch", "2.5.1", "bfloat16",
    ]  # fmt: skip


def test_on_the_cpu_the_hardware_is_the_cpu(tmp_path: Path) -> None:
    data = with_report()
    data["config"]["backend"]["device"] = "cpu"
    data["config"]["environment"]["cpu"] = " AMD EPYC 9354"  # as the tool reads it
    assert prepare(parse(tmp_path, data).frame)["hardware"].iloc[0] == "AMD EPYC 9354"


def test_single_steps_get_their_own_context(tmp_path: Path) -> None:
    values = [0.010, 0.011, 0.012, 0.013, 0.020, 0.021, 0.022, 0.023]
    data = with_report(per_token={"latency": latency(values)})
    frame = prepare(parse(tmp_path, data).frame)
    decode = frame[frame["phase"] == "decode"]
    assert decode["context_len"].tolist() == [513, 514, 515, 516] * 2
    assert decode["output_index"].tolist() == [1, 2, 3, 4] * 2
    assert decode["repeat"].tolist() == [0] * 4 + [1] * 4
    assert decode["latency_ms"].tolist() == pytest.approx([10, 11, 12, 13, 20, 21, 22, 23])


def test_the_list_that_grows_with_every_run_is_read_once_for_each(tmp_path: Path) -> None:
    """Version 0.6 appends the gaps of all runs so far: 4 of the first, then 4, a pause and 4."""
    first, second = [0.010, 0.011, 0.012, 0.013], [0.020, 0.021, 0.022, 0.023]
    data = with_report(per_token={"latency": latency([*first, *first, 0.5, *second])})
    frame = prepare(parse(tmp_path, data).frame)
    decode = frame[frame["phase"] == "decode"]
    assert decode["latency_ms"].tolist() == pytest.approx([10, 11, 12, 13, 20, 21, 22, 23])
    assert decode["repeat"].tolist() == [0] * 4 + [1] * 4
    assert decode["context_len"].tolist() == [513, 514, 515, 516] * 2


def test_single_steps_of_another_number_are_not_read(tmp_path: Path) -> None:
    data = with_report(per_token={"latency": latency([0.01] * 12)})
    parsed = parse(tmp_path, data)
    assert (parsed.frame["phase"] == "decode").sum() == 2
    assert dict(parsed.dropped) == {optimum_benchmark.PER_TOKEN_TRUNCATED: 12}


def test_spread_of_decode_is_said_to_hold_prefill(tmp_path: Path) -> None:
    assert any("less the mean prefill" in text for text in parse(tmp_path, WHOLE).assumptions)


def test_beams_are_sequences(tmp_path: Path) -> None:
    data = with_report()
    data["config"]["scenario"]["generate_kwargs"]["num_beams"] = 3
    parsed = parse(tmp_path, data)
    assert set(parsed.frame["batch_size"]) == {6}
    assert any("3 beams" in text for text in parsed.assumptions)


def test_configuration_beside_the_report(tmp_path: Path) -> None:
    (tmp_path / "benchmark_config.json").write_text(json.dumps(CONFIG))
    parsed = parse(tmp_path, REPORT, "benchmark_report.json")
    assert set(parsed.frame["isl"]) == {512}
    assert len(parsed.frame) == 4
    assert any("benchmark_config.json" in text for text in parsed.assumptions)


def test_report_alone_needs_the_prompt_length(tmp_path: Path) -> None:
    parsed = parse(tmp_path, REPORT, "benchmark_report.json")
    assert any("--set isl=N" in text for text in parsed.assumptions)
    assert parsed.needs == ("isl",)
    frame = prepare(parsed.frame.assign(isl="512"))
    assert set(frame["phase"]) == {"prefill"}
    assert set(frame["batch_size"]) == {2}
    assert dict(parsed.dropped) == {"decode of unknown lengths": 2}


def test_without_values_the_mean_is_one_row(tmp_path: Path) -> None:
    data = with_report()
    for name in ("prefill", "decode"):
        data["report"][name]["latency"]["values"] = []
    frame = prepare(parse(tmp_path, data).frame)
    assert frame["latency_ms"].tolist() == pytest.approx([105, 10.5])
    assert set(frame["over_repeats"]) == {"mean"}
    assert set(frame["n_runs"]) == {2}


def test_one_new_token_has_no_decode(tmp_path: Path) -> None:
    data = with_report()
    data["config"]["scenario"]["generate_kwargs"]["max_new_tokens"] = 1
    parsed = parse(tmp_path, data)
    assert set(parsed.frame["phase"]) == {"prefill"}
    assert dict(parsed.dropped) == {"one new token has no decode step": 2}


@pytest.mark.parametrize(
    "values", ["fast", [0.1, "fast"], [{}]],
)  # fmt: skip
def test_damaged_files_are_refused(tmp_path: Path, values: Any) -> None:
    data = with_report()
    data["report"]["prefill"]["latency"]["values"] = values
    with pytest.raises(InputError, match="Remedy"):
        parse(tmp_path, data)


@pytest.mark.parametrize(
    "data", [[], {}, {"prefill": {"latency": {"unit": "ms"}}}, {"report": 1}, {"prefill": 1.0}]
)
def test_other_files_do_not_match(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(data))
    assert not optimum_benchmark.matches(Document(path))
