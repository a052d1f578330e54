"""llama-bench in its four formats."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lengthwise.data.formats import llama_bench
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.table import prepare
from lengthwise.errors import InputError


def record(n_prompt: int, n_gen: int, n_depth: int, samples: list[int], **other: Any) -> dict:
    tokens = n_prompt + n_gen
    return {
        "build_commit": "8cf427ff", "build_number": 5163, "cpu_info": "AMD EPYC 9354",
        "gpu_info": "NVIDIA H100", "backends": "CUDA",
        "model_filename": "models/Qwen3-8B-Q4_K_M.gguf", "model_type": "qwen3 8B Q4_K - Medium",
        "model_size": 5027783680, "model_n_params": 8190735360, "n_batch": 2048, "n_ubatch": 512,
        "n_threads": 8, "cpu_mask": "0x0", "cpu_strict": False, "poll": 50, "type_k": "f16",
        "type_v": "f16", "n_gpu_layers": 99, "split_mode": "layer", "main_gpu": 0,
        "no_kv_offload": False, "flash_attn": 1, "devices": "auto", "tensor_split": "0.00",
        "embeddings": False, "n_prompt": n_prompt, "n_gen": n_gen, "n_depth": n_depth,
        "test_time": "2026-02-01T10:00:00Z", "avg_ns": sum(samples) // len(samples),
        "stddev_ns": 1000, "avg_ts": 1.0, "stddev_ts": 0.1, "samples_ns": samples,
        "samples_ts": [1e9 * tokens / max(sample, 1) for sample in samples], **other,
    }  # fmt: skip


RECORDS = [
    record(512, 0, 0, [40_000_000, 42_000_000]),
    record(512, 0, 4096, [60_000_000, 60_000_000]),
    record(0, 128, 4096, [1_280_000_000, 1_408_000_000]),
    record(512, 128, 0, [1_300_000_000, 1_320_000_000]),
]


def as_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def flat(records: list[dict]) -> list[dict[str, str]]:
    return [{k: as_text(v) for k, v in r.items() if not k.startswith("samples")} for r in records]


def as_csv(records: list[dict]) -> str:
    rows = flat(records)
    out = io.StringIO()
    out.write(",".join(rows[0]) + "\n")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(r.values() for r in rows)
    return out.getvalue()


def as_sql(records: list[dict], create: bool = True) -> str:
    rows = flat(records)
    fields = ",\n".join(f"  {name} TEXT" for name in rows[0])
    text = f"CREATE TABLE IF NOT EXISTS llama_bench (\n{fields}\n);\n\n" if create else ""
    for row in rows:
        values = ", ".join(f"'{value}'" for value in row.values())
        text += f"INSERT INTO llama_bench ({', '.join(row)}) VALUES ({values});\n"
    return text


def parse(tmp_path: Path, text: str, name: str = "out.txt") -> Parsed:
    path = tmp_path / name
    path.write_text(text)
    document = Document(path)
    assert llama_bench.matches(document)
    return llama_bench.read(document)


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    return prepare(parse(tmp_path, json.dumps(RECORDS, indent=2)).frame)


def test_samples_become_repeats(frame: pd.DataFrame) -> None:
    assert len(frame) == 8
    first = frame[frame["phase"] == "prefill"].iloc[:2]
    assert first["latency_ms"].tolist() == [40.0, 42.0]
    assert first["repeat"].tolist() == [0, 1]
    assert "over_repeats" not in frame


def test_depth_is_cached_part_of_the_whole_prompt(frame: pd.DataFrame) -> None:
    deep = frame[(frame["phase"] == "prefill") & (frame["cached_tokens"] == 4096)].iloc[0]
    assert (deep["isl"], deep["query_len"], deep["latency_ms"]) == (4608, 512, 60.0)
    shallow = frame[(frame["phase"] == "prefill") & (frame["cached_tokens"] == 0)].iloc[0]
    assert shallow["isl"] == 512


def test_generation_is_one_step_at_mean_context(frame: pd.DataFrame) -> None:
    decode = frame[frame["phase"] == "decode"]
    assert decode["latency_ms"].tolist() == [10.0, 11.0]
    # steps see 4097 .. 4224 tokens
    assert set(decode["context_len"]) == {4161}
    assert set(decode["batch_size"]) == {1}


def test_prompt_and_generation_is_a_request(frame: pd.DataFrame) -> None:
    row = frame[frame["phase"] == "request"].iloc[0]
    assert (row["isl"], row["osl"], row["e2e_ms"]) == (512, 128, 1300.0)
    assert pd.isna(row["latency_ms"])


def test_labels(frame: pd.DataFrame) -> None:
    row = frame.iloc[0]
    assert row["model"] == "Qwen3-8B"
    assert row["precision"] == "q4_k_m"
    assert row["hardware"] == "NVIDIA H100"
    assert (row["engine"], row["engine_version"]) == ("llama.cpp", "b5163 (8cf427ff)")
    assert row["timestamp"] == 1769940000
    assert row["n_ubatch"] == 512


def test_without_layers_on_the_gpu_the_hardware_is_the_cpu(tmp_path: Path) -> None:
    parsed = parse(tmp_path, json.dumps([record(64, 0, 0, [10**6], n_gpu_layers=0)]))
    assert parsed.frame["hardware"].tolist() == ["AMD EPYC 9354"]


def test_a_file_without_a_name_is_named_by_its_type(tmp_path: Path) -> None:
    one = record(64, 0, 0, [10**6], model_filename="ggml-model-q8_0.gguf",
                 model_type="llama 1B Q8_0")  # fmt: skip
    parsed = parse(tmp_path, json.dumps([one]))
    assert parsed.frame.iloc[0][["model", "precision"]].tolist() == ["llama 1B", "q8_0"]


def test_json_lines_equal_json(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(one) for one in RECORDS) + "\n"
    whole = parse(tmp_path, json.dumps(RECORDS)).frame
    pd.testing.assert_frame_equal(parse(tmp_path, lines).frame, whole)


@pytest.mark.parametrize("write", [as_csv, as_sql, lambda r: as_sql(r, create=False)])
def test_csv_and_sql_hold_means(tmp_path: Path, write: Any) -> None:
    parsed = parse(tmp_path, write(RECORDS))
    frame = prepare(parsed.frame)
    assert frame["phase"].tolist() == ["prefill", "prefill", "decode", "request"]
    assert frame["latency_ms"].tolist()[:3] == [41.0, 60.0, 10.5]
    assert frame["isl"].tolist()[:2] == [512, 4608]
    assert set(frame["over_repeats"]) == {"mean"}
    assert frame["n_ubatch"].tolist() == [512] * 4
    assert any("mean of its repetitions" in text for text in parsed.assumptions)


def test_csv_equals_sql(tmp_path: Path) -> None:
    pd.testing.assert_frame_equal(
        parse(tmp_path, as_csv(RECORDS)).frame, parse(tmp_path, as_sql(RECORDS)).frame
    )


def test_appended_runs_of_different_versions(tmp_path: Path) -> None:
    newer = [record(64, 0, 0, [10**6], load_mode="mmap")]
    for write in (as_csv, as_sql):
        frame = prepare(parse(tmp_path, write(RECORDS) + write(newer)).frame)
        assert frame["load_mode"].tolist()[-1] == "mmap"
        assert len(frame) == 5


def test_appended_json_runs(tmp_path: Path) -> None:
    text = json.dumps(RECORDS[:1]) + "\n" + json.dumps(RECORDS[1:]) + "\n"
    whole = parse(tmp_path, json.dumps(RECORDS)).frame
    pd.testing.assert_frame_equal(parse(tmp_path, text).frame, whole)


def test_unknown_and_missing_columns_are_tolerated(tmp_path: Path) -> None:
    one = {"n_prompt": 64, "n_gen": 0, "avg_ns": 5_000_000, "brand_new": "yes"}
    frame = prepare(parse(tmp_path, json.dumps([one])).frame)
    assert frame.iloc[0][["isl", "latency_ms", "brand_new"]].tolist() == [64, 5.0, "yes"]


def test_dump_of_a_database(tmp_path: Path) -> None:
    body = as_sql(RECORDS).replace(") VALUES", ")VALUES")
    parsed = parse(tmp_path, f"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n{body}COMMIT;\n")
    assert len(parsed.frame) == 4


def test_tests_that_say_nothing_are_counted(tmp_path: Path) -> None:
    records = [*RECORDS, record(0, 0, 0, [10]), record(64, 0, 0, [0])]
    parsed = parse(tmp_path, json.dumps(records))
    assert dict(parsed.dropped) == {"test of no tokens": 1, "test without a time": 1}
    assert parsed.rows_read == 10


@pytest.mark.parametrize(
    "extra",
    [
        "DROP TABLE llama_bench;\n",
        "ATTACH DATABASE 'x.db' AS x;\n",
        "INSERT INTO llama_bench (n_prompt, n_gen, avg_ns) VALUES (zeroblob(9), 0, 1);\n",
        "INSERT INTO llama_bench (n_prompt, n_gen, avg_ns) VALUES ((SELECT 1), 0, 1);\n",
        "INSERT INTO llama_bench (n_prompt, n_gen, avg_ns) VALUES (1, 0, 1); DELETE FROM x;\n",
        "INSERT INTO llama_bench (n_prompt) VALUES ('64'",
        "INSERT INTO llama_bench (n_prompt, n_gen, avg_ns) VALUES ('many', '0', '1');\n",
    ],
)
def test_other_sql_is_refused(tmp_path: Path, extra: str) -> None:
    with pytest.raises(InputError):
        parse(tmp_path, as_sql(RECORDS) + extra)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(RECORDS)[:-30],
        json.dumps([{**RECORDS[0], "samples_ns": "many"}]),
        json.dumps([{**RECORDS[0], "n_prompt": [1]}]),
        json.dumps([{**RECORDS[0], "n_prompt": -5}]),
        json.dumps([RECORDS[0], {"n_prompt": 1}]),
        as_csv(RECORDS) + '"cut off","5163"\n',
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="Remedy"):
        parse(tmp_path, text)


@pytest.mark.parametrize("text", ["phase,isl\nprefill,1\n", '{"a": 1}', "[]", "", "SELECT 1;"])
def test_other_files_do_not_match(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    assert not llama_bench.matches(Document(path))
