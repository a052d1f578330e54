"""A hardware file: one processor described by its owner, in TOML.

::

    name = "my_gpu"
    kind = "gpu"                              # gpu, cpu, apple, jetson, npu
    memory_bandwidth_bytes_per_s = 1.008e12   # bytes and seconds, never GB or TFLOPS
    memory_bytes = 24e9
    [peak_flops]                              # FLOP/s of dense products
    bf16 = 165e12

Everything else is optional. A figure out of any plausible range is refused with the unit it was
probably meant in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lengthwise.data.limits import TOML
from lengthwise.data.opening import read_text
from lengthwise.data.output import write_text
from lengthwise.data.parsing import parse_toml
from lengthwise.domain.hardware import KINDS, WIDER, HardwareSpec
from lengthwise.errors import FileFormatError, InputError

REQUIRED = ("memory_bandwidth_bytes_per_s", "memory_bytes", "peak_flops")
RANGES: dict[str, tuple[float, float, str]] = {
    "memory_bandwidth_bytes_per_s": (1e8, 1e15, "bytes per second: 1 GB/s is 1e9"),
    "memory_bytes": (1e7, 1e14, "bytes: 1 GB is 1e9"),
    "tdp_w": (0.1, 1e5, "watts"),
    "link_bytes_per_s": (1e6, 1e14, "bytes per second, one direction: 1 GB/s is 1e9"),
    "internode_bytes_per_s": (1e6, 1e14, "bytes per second, one direction: 1 Gbit/s is 1.25e8"),
    "host_bytes_per_s": (1e6, 1e14, "bytes per second, one direction: 1 GB/s is 1e9"),
}
PEAK_RANGE = (1e7, 1e19, "FLOP/s of dense products: 1 TFLOPS is 1e12")
COUNTS = {"gpus_per_node": 100_000, "multiprocessors": 1_000_000}
"""Counts, and the most of each that a machine may have."""
TEXTS = ("name", "kind", "title")
KNOWN = (*TEXTS, *REQUIRED, *RANGES, *COUNTS, "sources", "aliases")


def read_hardware(path: Path | str) -> HardwareSpec:
    r"""Read one processor from a TOML file.

    >>> import tempfile
    >>> text = 'memory_bandwidth_bytes_per_s = 1e12\nmemory_bytes = 24e9\npeak_flops.bf16 = 1e14'
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "my_gpu.toml"
    ...     _ = path.write_text(text)
    ...     read_hardware(path).ridge_point("bf16")
    100.0
    """
    path = Path(path)
    try:
        content = parse_toml(read_text(path, TOML), path)
    except OSError as error:
        raise InputError("the hardware file must be readable",
                         got=f"{path}: {error.strerror or error}") from None  # fmt: skip
    except FileFormatError:
        raise
    except ValueError as error:
        raise FileFormatError("a hardware file must be TOML", got=f"{path}: {error}",
                              remedy="for one: lengthwise doctor -o my.toml") from None  # fmt: skip
    return checked_hardware(content, default_name=path.stem, where=str(path))


def write_hardware(spec: HardwareSpec, path: Path | str) -> None:
    """Write one processor as a TOML file that :func:`read_hardware` accepts.

    >>> import tempfile
    >>> spec = HardwareSpec("mine", "cpu", 2e10, 8e9, {"fp32": 1e11}, sources={"all": "measured"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.toml"
    ...     write_hardware(spec, path)
    ...     read_hardware(path) == spec
    True
    """
    plain = {key: value for key, value in spec.to_dict().items() if value not in (None, "")}
    lines = [f"{key} = {_toml(value)}" for key, value in plain.items() if not _is_table(value)]
    for key, value in plain.items():
        if _is_table(value) and value:
            lines += ["", f"[{key}]", *(f"{name} = {_toml(item)}" for name, item in value.items())]
    write_text(path, "\n".join(lines) + "\n")


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _toml(value: Any) -> str:
    # a JSON string is a TOML string; numbers keep all their digits
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def checked_hardware(content: Mapping[str, Any], *, default_name: str, where: str) -> HardwareSpec:
    """Build a specification from the content of a file; every fault names file and key."""
    unknown = [key for key in content if key not in KNOWN]
    if unknown:
        raise InputError(f"a hardware file knows the keys {', '.join(KNOWN)}",
                         got=f"{unknown[0]!r} in {where}", remedy="correct it")  # fmt: skip
    missing = [key for key in REQUIRED if key not in content]
    if missing:
        raise InputError(f"a hardware file must give {', '.join(REQUIRED)}",
                         got=f"no {missing[0]} in {where}", remedy=f"add {missing[0]}")  # fmt: skip
    for key in (*TEXTS, *COUNTS):
        _check_plain(content, key, where)
    for key, (low, high, unit) in RANGES.items():
        if key in content:
            _check_number(content[key], f"{key} in {where}", low, high, unit)
    _check_peaks(content["peak_flops"], where)
    _check_sources(content, where)
    return build({"name": default_name, **content}, default_source=where)


def build(content: Mapping[str, Any], *, default_source: str = "") -> HardwareSpec:
    """Fill in what the kind implies; the content is taken to be sound."""
    kind = content.get("kind", "gpu")
    given = {key: value for key, value in content.items() if key not in ("aliases", "sources")}
    sources = {"all": default_source, **content.get("sources", {})}
    for key, (value, why) in defaults(kind, content["memory_bandwidth_bytes_per_s"], given).items():
        if key not in given:
            given[key] = value
            sources.setdefault(key, why)
    given["peak_flops"] = {name: float(v) for name, v in content["peak_flops"].items()}
    for key in RANGES:
        if given.get(key) is not None:
            given[key] = float(given[key])
    return HardwareSpec(**given, sources=sources)


def defaults(kind: str, bandwidth: float, given: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """Values, and why, of what a description leaves out."""
    one = "one processor per node"
    network = (1.25e9, "assumed: network of 10 Gbit/s")
    shared = kind in ("cpu", "apple", "jetson")
    host = (bandwidth, "shared with the host") if shared else (32e9, "PCIe 4.0 x16")
    link = (
        network if shared else (given.get("host_bytes_per_s", host[0]), "as the link to the host")
    )
    return {
        "kind": ("gpu", "assumed"), "gpus_per_node": (1, one), "link_bytes_per_s": link,
        "internode_bytes_per_s": network, "host_bytes_per_s": host,
    }  # fmt: skip


def _check_plain(content: Mapping[str, Any], key: str, where: str) -> None:
    if key not in content:
        return
    value = content[key]
    if key in TEXTS and (not isinstance(value, str) or not value.strip()):
        raise InputError(f"{key} must be a text", got=f"{value!r} in {where}")
    if key == "kind" and value not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}", got=f"{value!r} in {where}")
    if key in COUNTS and (type(value) is not int or not 1 <= value <= COUNTS[key]):
        raise InputError(f"{key} must be a whole number, 1 or more, at most {COUNTS[key]:,}",
                         got=f"{value!r} in {where}")  # fmt: skip


def _check_number(value: Any, what: str, low: float, high: float, unit: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError(f"{what} must be a number", got=repr(value), remedy=f"give {unit}")
    if not low <= value <= high:
        raise InputError(f"{what} must lie between {low:g} and {high:g}", got=f"{value:g}",
                         remedy=f"give {unit}")  # fmt: skip


def _check_peaks(peaks: Any, where: str) -> None:
    if not isinstance(peaks, Mapping) or not peaks:
        raise InputError("peak_flops must give FLOP/s by format, such as peak_flops.bf16 = 1e14",
                         got=f"{peaks!r} in {where}")  # fmt: skip
    for name, value in peaks.items():
        if name not in WIDER:
            raise InputError(f"formats of peak_flops are {', '.join(WIDER)}",
                             got=f"{name!r} in {where}")  # fmt: skip
        _check_number(value, f"peak_flops.{name} in {where}", *PEAK_RANGE)


def _check_sources(content: Mapping[str, Any], where: str) -> None:
    sources = content.get("sources", {})
    if not isinstance(sources, Mapping) or not all(isinstance(v, str) for v in sources.values()):
        raise InputError("sources must be texts by key", got=f"{sources!r} in {where}")
