"""Forward-pass metrics: one message per iteration, as maps, arrays or msgpack."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lengthwise.data.formats.sglang_forward_pass import SCHEDULED
from lengthwise.data.importing import import_table
from lengthwise.data.report import ImportReport
from lengthwise.errors import InputError

QUEUED = [2, 4096, 0.0, 1, 700, 0.0]


def message(wall: float, n_p: int = 0, new: int = 0, past: int = 0, n_d: int = 0, kv: int = 0,
            var: float = 0.0) -> list[Any]:  # fmt: skip
    return [1, "worker-0", 0, 7, wall, [n_p, new, var, past, n_d, kv, 0.0], QUEUED]


MESSAGES = [
    message(0.0), message(0.020, n_p=1, new=512, past=1536), message(0.006, n_d=4, kv=4004),
    message(0.025, n_p=1, new=512, past=1536, n_d=4, kv=4004), message(0.0),
    message(0.011, n_p=2, new=600, var=40000.0), message(0.012, n_p=2, new=600, past=100),
    message(0.013, n_p=3, new=600),
]  # fmt: skip


def as_map(values: list[Any]) -> dict[str, Any]:
    queued = [name for name in SCHEDULED if name != "sum_prefill_kv_tokens"]
    names = ("version", "worker_id", "dp_rank", "counter_id", "wall_time")
    return {
        **dict(zip(names, values, strict=False)),
        "scheduled_requests": dict(zip(SCHEDULED, values[5], strict=True)),
        "queued_requests": dict(zip(queued, values[6], strict=True)),
    }


def imported(folder: Path, content: str | bytes) -> tuple[pd.DataFrame, ImportReport]:
    path = folder / "fpm"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return import_table(path)


def check(table: pd.DataFrame, report: ImportReport) -> None:
    assert report.format == "sglang-forward-pass"
    assert report.skipped == {"idle iteration (left out)": 2}
    assert report.rows_read == len(MESSAGES)
    assert table["phase"].tolist() == ["prefill", "decode", "mixed", "mixed", "mixed", "prefill"]
    assert table["latency_ms"].tolist() == pytest.approx([20, 6, 25, 11, 12, 13])
    assert table.loc[0, ["isl", "cached_tokens", "batch_size"]].tolist() == [2048, 1536, 1]
    assert table.loc[1, ["context_len", "batch_size"]].tolist() == [1001, 4]
    sums = ["sum_query_len", "sum_context_len", "sum_query_x_context", "batch_size"]
    assert table.loc[2, sums].tolist() == [516, 2048 + 4004, 512 * 2048 + 4004, 5]
    # Two prompts of 100 and 500 tokens: mean 300, variance 200^2, sum of squares 100^2 + 500^2.
    assert table.loc[3, sums].tolist() == [600, 600, 100**2 + 500**2, 2]
    assert table.loc[4, sums].tolist() == [600, 700, 600 * 700 / 2, 2]
    assert table.loc[5, ["isl", "batch_size"]].tolist() == [200, 3]
    assert table["queued_prefills"].unique().tolist() == [2]
    assert any("of 1 step with several chunks" in text for text in report.assumptions)


def test_positional_lines(tmp_path: Path) -> None:
    check(*imported(tmp_path, "\n".join(map(json.dumps, MESSAGES))))


def test_one_list_of_positional_messages(tmp_path: Path) -> None:
    check(*imported(tmp_path, json.dumps(MESSAGES)))


def test_maps(tmp_path: Path) -> None:
    check(*imported(tmp_path, "\n".join(json.dumps(as_map(m)) for m in MESSAGES)))
    check(*imported(tmp_path, json.dumps([as_map(m) for m in MESSAGES])))


def test_one_message_alone(tmp_path: Path) -> None:
    assert len(imported(tmp_path, json.dumps(MESSAGES[1]))[0]) == 1


def test_messages_without_version_or_with_a_timing_scope(tmp_path: Path) -> None:
    check(*imported(tmp_path, json.dumps([m[1:] for m in MESSAGES])))
    scoped = [[*m[:4], "execute_model_cuda", *m[4:]] for m in MESSAGES]
    check(*imported(tmp_path, json.dumps(scoped)))


@pytest.mark.parametrize("shape", [list, as_map])
def test_msgpack(shape: Any, tmp_path: Path) -> None:
    msgpack = pytest.importorskip("msgpack")
    check(*imported(tmp_path, b"".join(msgpack.packb(shape(m)) for m in MESSAGES)))


def test_msgpack_cut_off(tmp_path: Path) -> None:
    msgpack = pytest.importorskip("msgpack")
    whole = b"".join(msgpack.packb(m) for m in MESSAGES)
    with pytest.raises(InputError, match="7 whole ones and a part"):
        imported(tmp_path, whole[:-20])
