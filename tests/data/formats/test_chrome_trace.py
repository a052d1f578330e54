"""Chrome traces of the torch profiler."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lengthwise.data.formats import chrome_trace
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.table import prepare
from lengthwise.errors import InputError


def event(cat: str, name: str, ts: float, dur: float, **args: Any) -> dict[str, Any]:
    return {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": dur,
            "args": args}  # fmt: skip


def kernel(correlation: int, launch: float, start: float, dur: float, device: int = 0) -> list:
    return [
        event("cuda_runtime", "cudaLaunchKernel", launch, 5, correlation=correlation),
        event("kernel", "gemm", start, dur, correlation=correlation, device=device, stream=7),
    ]


def trace(*events: Any) -> dict[str, Any]:
    flat = [one for item in events for one in (item if isinstance(item, list) else [item])]
    return {
        "schemaVersion": 1, "deviceProperties": [{"id": 0, "name": "NVIDIA H200"}],
        "baseTimeNanoseconds": 1769940000000000000, "displayTimeUnit": "ms",
        "traceEvents": [{"ph": "M", "name": "process_name", "pid": 1, "ts": 0, "args": {}}, *flat],
    }  # fmt: skip


def annotation(name: str, ts: float, dur: float) -> dict[str, Any]:
    return event("user_annotation", name, ts, dur)


PREFILL = [
    annotation("prefill isl=512 batch=2", 1000, 500),
    *kernel(1, 1010, 1020, 100),
    *kernel(2, 1015, 1120, 200),  # waits for the first
    event("gpu_memcpy", "Memcpy DtoH", 1300, 50, correlation=3, device=0),  # overlaps the second
]
DECODE = [annotation("decode context_len=513 batch=2", 2000, 100), *kernel(4, 2010, 2015, 150)]


def parse(tmp_path: Path, data: Any, packed: bool = False) -> Parsed:
    path = tmp_path / ("trace.json.gz" if packed else "trace.json")
    raw = json.dumps(data).encode()
    path.write_bytes(gzip.compress(raw) if packed else raw)
    assert chrome_trace.matches(Document(path))
    return chrome_trace.read(Document(path))


@pytest.mark.parametrize("packed", [False, True])
def test_launch_queue_busy_and_idle_time(tmp_path: Path, packed: bool) -> None:
    frame = prepare(parse(tmp_path, trace(PREFILL, DECODE), packed).frame)
    row = frame.iloc[0]
    assert row["kernel_launch_queue_ms"] == pytest.approx(0.010 + 0.105)
    assert row["gpu_busy_ms"] == pytest.approx(0.330)
    assert row["latency_ms"] == pytest.approx(0.500)
    assert row["gpu_idle_ms"] == pytest.approx(0.170)
    assert row["kernels"] == 2


def test_a_step_ends_with_its_last_kernel(tmp_path: Path) -> None:
    row = prepare(parse(tmp_path, trace(PREFILL, DECODE)).frame).iloc[1]
    assert row["latency_ms"] == pytest.approx(0.165)
    assert row["gpu_idle_ms"] == pytest.approx(0.015)


def test_sizes_come_from_annotations(tmp_path: Path) -> None:
    parsed = parse(tmp_path, trace(PREFILL, DECODE))
    frame = prepare(parsed.frame)
    assert frame["phase"].tolist() == ["prefill", "decode"]
    assert (frame["isl"][0], frame["context_len"][1]) == (512, 513)
    assert frame["batch_size"].tolist() == [2, 2]
    assert frame["hardware"].tolist() == ["NVIDIA H200"] * 2
    assert frame["timestamp"][0] == pytest.approx(1769940000.001)
    assert any("come from the annotations" in text for text in parsed.assumptions)


def test_phase_annotations_win_over_profiler_steps(tmp_path: Path) -> None:
    steps = [annotation("ProfilerStep#1", 900, 1400)]
    assert len(parse(tmp_path, trace(steps, PREFILL, DECODE)).frame) == 2


def test_profiler_steps_without_sizes_take_them_from_the_user(tmp_path: Path) -> None:
    events = [
        annotation("ProfilerStep#1", 0, 100), annotation("aten::mm", 10, 20),
        *kernel(1, 10, 20, 10),
        annotation("ProfilerStep#2", 100, 100), *kernel(2, 110, 130, 10),
        annotation("ProfilerStep#3", 200, 100),
    ]  # fmt: skip
    parsed = parse(tmp_path, trace(events))
    assert any("--set phase=prefill" in text for text in parsed.assumptions)
    with pytest.raises(InputError, match="--set phase=prefill"):
        prepare(parsed.frame)
    frame = prepare(parsed.frame.assign(phase="prefill", isl="64"))
    assert frame["annotation"].tolist() == ["ProfilerStep#1", "ProfilerStep#2"]
    assert frame["kernel_launch_queue_ms"].tolist() == pytest.approx([0.01, 0.02])
    assert dict(parsed.dropped) == {"annotation without a kernel": 1}


def test_a_trace_without_annotations_is_one_row(tmp_path: Path) -> None:
    parsed = parse(tmp_path, trace(PREFILL[1:], DECODE[1:]))
    frame = prepare(parsed.frame.assign(phase="decode", context_len=64))
    assert frame["latency_ms"].tolist() == pytest.approx([(2165 - 1010) / 1000])
    assert frame["kernels"].tolist() == [3]
    assert any("no annotations" in text for text in parsed.assumptions)


def test_steps_of_vllm(tmp_path: Path) -> None:
    events = [
        annotation("execute_context_2(1024)_generation_0(0)", 0, 100), *kernel(1, 10, 20, 10),
        annotation("execute_context_0(0)_generation_4(4)", 100, 100), *kernel(2, 110, 120, 10),
        annotation("execute_context_1(64)_generation_4(4)", 200, 100), *kernel(3, 210, 220, 10),
    ]  # fmt: skip
    parsed = parse(tmp_path, trace(events))
    row = prepare(parsed.frame).iloc[0]
    assert (row["phase"], row["isl"], row["batch_size"]) == ("prefill", 512, 2)
    assert dict(parsed.dropped) == {
        "step of unknown lengths: decode": 1, "step of unknown lengths: mixed": 1,
    }  # fmt: skip


def test_kernels_of_a_graph_wait_for_its_launch_once(tmp_path: Path) -> None:
    launch = event("cuda_runtime", "cudaGraphLaunch", 110, 5, correlation=9)
    inside = [event("kernel", f"k{i}", 120 + 10 * i, 10, correlation=9, device=0) for i in range(5)]
    step = annotation("decode context_len=64", 100, 100)
    row = parse(tmp_path, trace(step, launch, inside)).frame.iloc[0]
    assert row["kernel_launch_queue_ms"] == pytest.approx(0.010)
    assert (row["kernels"], row["gpu_busy_ms"]) == (5, pytest.approx(0.050))


def test_busy_time_is_a_mean_over_devices(tmp_path: Path) -> None:
    step = annotation("decode context_len=64", 0, 100)
    row = parse(tmp_path, trace(step, kernel(1, 1, 10, 40), kernel(2, 2, 10, 20, device=1)))
    assert row.frame["gpu_busy_ms"].tolist() == pytest.approx([0.030])


def test_what_cannot_be_placed_is_counted_and_flagged(tmp_path: Path) -> None:
    orphan = event("kernel", "k", 1400, 10, correlation=77, device=0)
    outside = kernel(8, 5000, 5010, 10)
    early = kernel(9, 1450, 1440, 5)
    parsed = parse(tmp_path, trace(PREFILL, orphan, outside, early))
    assert dict(parsed.dropped) == {"kernel outside every step": 1}
    assert [flag.rule for flag in parsed.flags] == [
        "launch not in trace", "kernel before its launch",
    ]  # fmt: skip


def test_one_kernel_alone(tmp_path: Path) -> None:
    parsed = parse(tmp_path, trace(event("kernel", "k", 10, 5, correlation=1, device=0)))
    assert parsed.frame["gpu_busy_ms"].tolist() == pytest.approx([0.005])
    assert [flag.rule for flag in parsed.flags] == ["launch not in trace"]


def test_a_bare_list_of_events(tmp_path: Path) -> None:
    assert len(parse(tmp_path, trace(PREFILL)["traceEvents"]).frame) == 1


def test_damaged_traces_are_refused(tmp_path: Path) -> None:
    whole = json.dumps(trace(PREFILL)).encode()
    for name, raw in (
        ("cut.json", whole[:-40]), ("cut.json.gz", gzip.compress(whole)[:-30]),
        ("late.json", whole.replace(b'"ts": 1120', b'"ts": "late"')),
        ("shape.json", b'{"traceEvents": {}}'),
        ("cpu.json", json.dumps(trace(event("cpu_op", "aten::mm", 0, 5))).encode()),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(InputError, match="Remedy"):
            chrome_trace.read(Document(tmp_path / name))


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"a,b\n", b"\x1f\x8b broken"])
def test_other_files_do_not_match(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "x").write_bytes(raw)
    assert not chrome_trace.matches(Document(tmp_path / "x"))


def on_the_cpu(*events: Any) -> dict[str, Any]:
    """What torch 2.13 writes without a device: operators, no runtime calls, no devices."""
    return {**trace(*events), "deviceProperties": []}


def test_steps_of_the_cpu(tmp_path: Path) -> None:
    data = on_the_cpu(
        annotation("prefill isl=32 batch_size=1", 1000, 400),
        event("cpu_op", "aten::linear", 1010, 200), event("cpu_op", "aten::addmm", 1020, 150),
        event("cpu_op", "aten::add", 1250, 100),
        annotation("decode context_len=33 batch_size=1", 1500, 100),
        event("cpu_op", "aten::linear", 1510, 60),
    )  # fmt: skip
    parsed = parse(tmp_path, data)
    frame = prepare(parsed.frame)
    assert frame["latency_ms"].tolist() == pytest.approx([0.4, 0.1])
    assert frame["operator_ms"].tolist() == pytest.approx([0.3, 0.06])
    assert frame["operators"].tolist() == [2, 1]
    assert (frame["isl"][0], frame["context_len"][1]) == (32, 33)
    assert any("no device in the trace" in text for text in parsed.assumptions)


def test_a_trace_of_the_cpu_without_steps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 operator, 0 annotations.*record_function"):
        parse(tmp_path, on_the_cpu(event("cpu_op", "aten::linear", 10, 20)))


def test_only_the_host_of_a_machine_with_a_device_is_refused(tmp_path: Path) -> None:
    """Operators only launch kernels there: their times are no step."""
    data = trace(annotation("decode context_len=33", 0, 100), event("cpu_op", "aten::mm", 1, 9))
    with pytest.raises(InputError, match="must hold GPU kernels"):
        parse(tmp_path, data)
