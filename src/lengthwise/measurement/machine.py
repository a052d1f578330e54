"""What machine this is, in words short enough for a table and full enough for a manifest."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_NOISE = re.compile(r"\((R|TM)\)|\b(AMD|Intel|CPU|Processor|\d+-Core|with .*)\b|@.*", re.IGNORECASE)
PACKAGES = (
    "lengthwise", "numpy", "openvino", "openvino-genai", "gguf", "xllamacpp", "torch",
    "transformers", "aiohttp", "psutil",
)  # fmt: skip


def hardware_label(threads: int, cpu_name: str | None = None) -> str:
    """Name this CPU and the threads used, for the column ``hardware``.

    >>> hardware_label(1, "AMD EPYC 9554 64-Core Processor")
    'cpu-epyc-9554-1thread'
    """
    name = _NOISE.sub(" ", cpu_name if cpu_name is not None else cpu_model())
    words = re.findall(r"[a-z0-9.]+", name.lower()) or [platform.machine()]
    return f"cpu-{'-'.join(words)}-{threads}thread{'s' if threads > 1 else ''}"


def cpu_model() -> str:
    """Model name of the CPU as the system gives it, empty when it does not."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def pressure() -> float | None:
    """Share of the last 10 s in which some task waited for a CPU, percent; None if unknown."""
    with suppress(OSError, ValueError, IndexError):
        some = Path("/proc/pressure/cpu").read_text().splitlines()[0]
        return float(some.split("avg10=")[1].split()[0])
    return None


def load_average() -> float | None:
    """Load average over a minute; None where the system has none."""
    with suppress(OSError, AttributeError):
        return round(os.getloadavg()[0], 2)
    return None


def describe() -> dict[str, Any]:
    """Give machine, system and versions for a manifest."""
    return {
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "architecture": platform.machine(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": versions(PACKAGES),
    }


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Give the installed versions of some packages, those that are there."""
    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def memory_bytes() -> float | None:
    """Bytes of memory of this machine; None where the system does not say."""
    with suppress(ValueError, OSError, AttributeError):
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return None


def _memory_gib() -> float | None:
    total = memory_bytes()
    return None if total is None else round(total / 2**30, 1)
