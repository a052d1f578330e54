"""Chrome trace of a profiler (torch): what the host and the device did in each step.

    kernel_launch_queue_ms = sum over launches of (kernel start - start of the launch call)

is the TKLQT of SKIP (Vellaisamy et al. 2025, arXiv 2504.11750): small while the device keeps up,
growing once kernels queue behind each other. ``gpu_busy_ms`` is the time with any kernel or copy on
the device, ``gpu_idle_ms`` the rest of the step. A step runs from the start of its annotation to
its end or to the end of its last kernel, whichever is later.

A trace recorded where there is no device at all holds operators of the CPU: a step is then its
annotation, and ``operator_ms`` the time inside operators of its thread.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.chrome_trace_events import (
    DeviceWork,
    head_of,
    load,
    operators_of,
    sort_events,
)
from lengthwise.data.formats.chrome_trace_steps import Annotation, said_by, steps_of
from lengthwise.data.formats.fields import Row, at, damaged, first, number, parsed
from lengthwise.data.report import Flag
from lengthwise.errors import FileFormatError
from lengthwise.units import counted

NAME = "chrome-trace"
TITLE = "Chrome trace of the torch profiler"

MS_PER_US = 1e-3
_NEEDED = {"prefill": "isl", "decode": "context_len"}


def matches(document: Document) -> bool:
    """Whether this is a trace, packed or not; only the beginning is read."""
    head = head_of(document)
    return (head.startswith("{") and '"traceEvents"' in head) or (
        head.startswith("[") and '"ph"' in head and '"ts"' in head
    )  # fmt: skip


def read(document: Document) -> Parsed:
    """Read one row per step; one for the whole trace when it has no annotations."""
    data = load(document)
    events = data if isinstance(data, list) else at(data, "traceEvents")
    if not isinstance(events, list):
        raise damaged("traceEvents must be a list", repr(events)[:60])
    work, annotations, launches = sort_events(events)
    if not work and at(data, "deviceProperties") == []:
        return _of_cpu(events, annotations, data)
    if not any(item.is_kernel for item in work):
        raise FileFormatError(
            "a trace must hold GPU kernels", got=f"{len(events):,} events without one",
            remedy="profile with ProfilerActivity.CUDA, then export_chrome_trace",
        )  # fmt: skip
    dropped: Counter[str] = Counter()
    steps = steps_of(annotations)
    if not steps:
        begin = min([*(item.start for item in work), *launches.values()])
        steps = [Annotation(begin, max(item.end for item in work), "whole trace")]
    rows = _rows(steps, work, dropped, _labels(data))
    kept = _complete(rows, dropped)
    return parsed(kept, dropped=dropped, assumptions=_notes(kept, annotations, dropped),
                  flags=_flags(kept, work))  # fmt: skip


def _of_cpu(events: list[Any], annotations: list[Annotation], data: Any) -> Parsed:
    """Read one row per annotated step of a machine without a device."""
    operators = operators_of(events)
    steps = steps_of(annotations)
    if not steps or not operators:
        raise FileFormatError(
            "a trace of the CPU must hold operators and annotated steps",
            got=f"{counted(len(operators), 'operator')}, {counted(len(steps), 'annotation')}",
            remedy='wrap each step: with record_function("decode context_len=513 batch_size=1")',
        )
    base = number(_labels(data)["_base_s"], "baseTimeNanoseconds")
    dropped: Counter[str] = Counter()
    rows = []
    for step in steps:
        inside = [one for one in operators if step.start <= one.start and one.end <= step.end]
        if not inside:
            dropped["annotation without an operator"] += 1
            continue
        rows.append({
            **said_by(step.name), "latency_ms": MS_PER_US * (step.end - step.start),
            "operator_ms": MS_PER_US * sum(one.end - one.start for one in inside),
            "operators": len(inside), "annotation": step.name, "clock": "server",
            "timestamp": base + step.start * 1e-6,
        })  # fmt: skip
    kept = _complete(rows, dropped)
    notes = ["no device in the trace: a step is the time of its annotation on the CPU, profiler "
             "included", *_said(kept, dropped)]  # fmt: skip
    return parsed(kept, dropped=dropped, assumptions=notes)


def _rows(
    steps: list[Annotation], work: list[DeviceWork], dropped: Counter[str], labels: Row
) -> list[Row]:
    """Give each piece of device work to the step that launched it, and sum up."""
    starts = np.array([step.start for step in steps])
    mine: list[list[DeviceWork]] = [[] for _ in steps]
    for item in work:
        when = item.start if math.isnan(item.launch) else item.launch
        index = int(np.searchsorted(starts, when, side="right")) - 1
        if index >= 0 and when <= steps[index].end:
            mine[index].append(item)
        elif item.is_kernel:
            dropped["kernel outside every step"] += 1
    rows = []
    base = number(labels.pop("_base_s", None), "baseTimeNanoseconds")
    for step, items in zip(steps, mine, strict=True):
        if not any(item.is_kernel for item in items):
            dropped["annotation without a kernel"] += 1
            continue
        end = max(step.end, max(item.end for item in items))
        busy = _busy(items)
        rows.append({
            **said_by(step.name), "latency_ms": MS_PER_US * (end - step.start),
            "kernel_launch_queue_ms": MS_PER_US * _launch_queue(items),
            "gpu_busy_ms": MS_PER_US * busy,
            "gpu_idle_ms": MS_PER_US * max(end - step.start - busy, 0.0),
            "kernels": sum(item.is_kernel for item in items), "annotation": step.name,
            "clock": "server", "timestamp": base + step.start * 1e-6, **labels,
        })  # fmt: skip
    return rows


def _launch_queue(items: list[DeviceWork]) -> float:
    """Sum of kernel start - launch start, us; of a graph only the first kernel waits for it."""
    first_start: dict[str, float] = {}
    for item in items:
        if item.is_kernel and not math.isnan(item.launch):
            wait = item.start - item.launch
            first_start[item.correlation] = min(first_start.get(item.correlation, wait), wait)
    return sum(first_start.values())


def _busy(items: list[DeviceWork]) -> float:
    """Time with any work on the device, us: union of the intervals, mean over devices."""
    ends: dict[str, float] = {}
    total = 0.0
    for item in items:  # sorted by start
        reached = ends.get(item.device, -math.inf)
        total += max(item.end - max(item.start, reached), 0.0)
        ends[item.device] = max(reached, item.end)
    return total / max(len(ends), 1)


def _complete(rows: list[Row], dropped: Counter[str]) -> list[Row]:
    """Leave out steps that lack what their phase needs, when others have it."""
    whole = [row for row in rows if _NEEDED.get(str(row.get("phase"))) in row]
    if not whole:
        return rows
    for row in rows:
        if row not in whole:
            dropped[f"step of unknown lengths: {row.get('phase', 'no phase')}"] += 1
    return whole


def _labels(data: Any) -> Row:
    devices = at(data, "deviceProperties")
    device = devices[0] if isinstance(devices, list) and devices else None
    base = number(at(data, "baseTimeNanoseconds"), "baseTimeNanoseconds")
    return {"hardware": first(at(device, "name")), "_base_s": base * 1e-9}


def _notes(rows: list[Row], annotations: list[Annotation], dropped: Counter[str]) -> list[str]:
    notes = ["a step runs from its annotation to the end of its last kernel, profiler included"]
    if not annotations:
        notes.append("the trace has no annotations: it is one row")
    return notes + _said(rows, dropped)


def _said(rows: list[Row], dropped: Counter[str]) -> list[str]:
    """Say which of phase and lengths are known, and where from."""
    notes = []
    said = {name for row in rows for name in ("phase", "isl", "context_len", "batch_size")
            if name in row}  # fmt: skip
    if "phase" in said:
        notes.append(f"{', '.join(sorted(said))} come from the annotations")
    else:
        notes.append(
            "the trace says neither phase nor lengths: --set phase=prefill --set isl=N "
            "--set batch_size=B (for decode: --set context_len=N)"
        )
    if any(reason.startswith("step of unknown") for reason in dropped):
        notes.append("steps whose annotation gives no lengths are left out")
    return notes


def _flags(rows: list[Row], work: list[DeviceWork]) -> list[Flag]:
    everything = range(len(rows))
    kernels = [item for item in work if item.is_kernel]
    lost = sum(math.isnan(item.launch) for item in kernels)
    early = sum(item.start < item.launch for item in kernels)
    flags = []
    if lost:
        flags.append(Flag.of(
            "launch not in trace", "warning", everything,
            f"{lost:,} of {len(kernels):,} kernels have no launch call in the trace",
            "profile with ProfilerActivity.CPU too; kernel_launch_queue_ms leaves them out",
        ))  # fmt: skip
    if early:
        flags.append(Flag.of(
            "kernel before its launch", "warning", everything,
            f"{early:,} of {len(kernels):,} kernels start before their launch call",
            "the clocks of host and device differ: do not trust kernel_launch_queue_ms",
        ))  # fmt: skip
    return flags
