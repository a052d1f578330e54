"""Events of a Chrome trace: work on the device, the calls that launched it, annotations."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from lengthwise.data.formats.base import Document
from lengthwise.data.formats.chrome_trace_steps import Annotation, outermost
from lengthwise.data.formats.fields import at, damaged, number
from lengthwise.data.limits import DOCUMENT
from lengthwise.data.opening import read_head
from lengthwise.data.parsing import parse_json
from lengthwise.errors import FileFormatError

_HEAD = 1 << 20
_KERNELS = {"kernel"}
_DEVICE = {"kernel", "gpu_memcpy", "gpu_memset"}
_LAUNCHES = {"cuda_runtime", "cuda_driver", "runtime", "hip_runtime", "privateuse1_runtime"}


class DeviceWork(NamedTuple):
    """Something on the device: times in microseconds, launch NaN when it is not in the trace."""

    start: float
    end: float
    launch: float
    correlation: str
    device: str
    is_kernel: bool


def head_of(document: Document) -> str:
    """Give the first megabyte of a file as text, unpacked; empty when it cannot be read."""
    try:
        head = read_head(document.path, _HEAD, DOCUMENT)
        return head.decode("utf-8", errors="replace").lstrip("\ufeff \t\r\n")
    except (OSError, FileFormatError):
        return ""


def load(document: Document) -> Any:
    """Read a trace, packed or not, as JSON."""
    try:
        return (
            document.json if document.json is not None
            else parse_json(document.text, document.path)
        )  # fmt: skip
    except (OSError, json.JSONDecodeError) as error:
        raise damaged("a trace must be whole JSON", f"{document.path}: {error}"[:120]) from None


def sort_events(events: list[Any]) -> tuple[list[DeviceWork], list[Annotation], dict[str, float]]:
    """Tell device work, annotations and launches (start by correlation) apart."""
    device: list[tuple[float, float, Mapping[str, Any], str]] = []
    annotations: list[Annotation] = []
    launches: dict[str, float] = {}
    for event in events:
        if not isinstance(event, Mapping) or event.get("ph") != "X":
            continue
        kind = str(event.get("cat", "")).lower()
        name = str(event.get("name", ""))
        annotated = kind == "user_annotation" or name.startswith("ProfilerStep#")
        if kind not in _DEVICE and kind not in _LAUNCHES and not annotated:
            continue
        start, length = number(event.get("ts"), "ts"), number(event.get("dur", 0), "dur")
        if not (math.isfinite(start) and length >= 0):
            raise damaged("an event needs a start and a duration", repr(event)[:80])
        args = event.get("args")
        if kind in _DEVICE:
            device.append((start, start + length, args if isinstance(args, Mapping) else {}, kind))
        elif kind in _LAUNCHES:
            if at(args, "correlation") is not None:
                launches.setdefault(str(at(args, "correlation")), start)
        elif kind != "gpu_user_annotation":
            annotations.append(Annotation(start, start + length, name))
    work = [
        DeviceWork(start, end, launches.get(str(args.get("correlation")), math.nan),
                   str(args.get("correlation")), str(args.get("device")), kind in _KERNELS)
        for start, end, args, kind in device
    ]  # fmt: skip
    return sorted(work, key=lambda item: item.start), annotations, launches


def operators_of(events: list[Any]) -> list[Annotation]:
    """Operators of the thread with most of them, in order, none within another."""
    threads: dict[tuple[str, str], list[Annotation]] = {}
    for event in events:
        if isinstance(event, Mapping) and event.get("ph") == "X" and event.get("cat") == "cpu_op":
            start, length = number(event.get("ts"), "ts"), number(event.get("dur", 0), "dur")
            one = Annotation(start, start + length, str(event.get("name", "")))
            threads.setdefault((str(event.get("pid")), str(event.get("tid"))), []).append(one)
    return outermost(max(threads.values(), key=len, default=[]))
