"""Products by torch on any device, and the memory, rates and launches of a CUDA GPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from lengthwise.measurement.probe import FULL_S, QUICK_S, Probe, Rate, rate

SMALLEST_COPY, LARGEST_COPY = 256 << 20, 2 << 30
GPU_PRODUCT = 8192
LAUNCHES = 2000


def products(
    torch: Any, device: str, size: int, formats: tuple[str, ...], budget_s: float
) -> dict[str, Rate]:
    """FLOP/s of square products by format; those that this torch or device lacks are left out.

    Parameters
    ----------
    torch
        The package.
    device
        ``cpu`` or ``cuda:0``.
    size
        Rows and columns of the matrices.
    formats
        Of ``fp32``, ``bf16``, ``fp16``, ``fp8``, ``int8``.
    budget_s
        Seconds for each format.
    """
    found = {}
    for name in formats:
        with suppress(Exception):  # no such kernel here: that format has no figure
            found[name] = _one(torch, device, size, name, budget_s)
    return found


def _one(torch: Any, device: str, size: int, name: str, budget_s: float) -> Rate:
    multiply = _multiplier(torch, device, size, name)

    def work() -> None:
        multiply()
        if device != "cpu":
            torch.cuda.synchronize()

    with torch.inference_mode():
        return rate(work, 2.0 * size**3, budget_s)


def _multiplier(torch: Any, device: str, size: int, name: str) -> Any:
    """Give a product of two square matrices, the second column-major as 8-bit kernels ask."""
    shape = (size, size)
    if name == "int8":
        a = torch.randint(-8, 8, shape, dtype=torch.int8, device=device)
        b = torch.randint(-8, 8, shape, dtype=torch.int8, device=device).t()
        return lambda: torch._int_mm(a, b)
    values = torch.randn(shape, device=device)
    if name == "fp8":
        a = values.to(torch.float8_e4m3fn)
        one = torch.ones((), device=device)
        return lambda: torch._scaled_mm(
            a, a.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16
        )
    a = values.to({"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[name])
    return lambda: a @ a.t()


def probe_gpu(*, quick: bool = False) -> Probe | None:
    """Measure the first CUDA GPU; None without torch or without a GPU.

    Single precision is measured without TF32, as catalogues count it.
    """
    if find_spec("torch") is None:
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    budget = QUICK_S if quick else FULL_S / 2
    facts, properties = nvml_facts(), torch.cuda.get_device_properties(0)
    torch.backends.cuda.matmul.allow_tf32 = False
    free, total = torch.cuda.mem_get_info(0)
    read, triad = _memory(torch, int(min(LARGEST_COPY, max(SMALLEST_COPY, free / 8))), budget)
    formats = ("bf16", "fp16", "fp8", "int8", "fp32")
    size = GPU_PRODUCT // (2 if quick else 1)
    flops = products(torch, "cuda:0", size, formats, budget)
    torch.cuda.empty_cache()
    return Probe(
        str(torch.cuda.get_device_name(0)), "gpu", 0, float(facts.get("memory_bytes", total)),
        read, triad, flops, _launch_seconds(torch), tuple(_warnings(facts, free, total)),
        int(properties.multi_processor_count), facts.get("power_limit_w"),
    )  # fmt: skip


def _memory(torch: Any, size: int, budget: float) -> tuple[Rate, Rate]:
    n = size // 4
    a, b, c = (torch.ones(n, device="cuda:0") for _ in range(3))

    def reading() -> None:
        b.sum()
        torch.cuda.synchronize()

    def adding() -> None:
        torch.add(b, c, out=a)
        torch.cuda.synchronize()

    return rate(reading, 4.0 * n, budget), rate(adding, 12.0 * n, budget)


def _launch_seconds(torch: Any) -> float:
    """Seconds from one launch to the next when kernels are empty: the launch floor of a step."""
    x = torch.ones(1, device="cuda:0")
    times = []
    for _ in range(3):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(LAUNCHES):
            x.add_(1)
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / LAUNCHES)
    return min(times)


def _warnings(facts: dict[str, Any], free: float, total: float) -> list[str]:
    found = []
    if free < 0.8 * total:
        found.append(f"{(total - free) / 1e9:.1f} GB of GPU memory are in use by other programs")
    if facts.get("utilisation", 0) > 10:
        found.append(f"the GPU was {facts['utilisation']} % busy before")
    return found


def nvml_facts() -> dict[str, Any]:
    """Name, memory, power limit, clocks and driver of the first NVIDIA GPU; empty without one.

    >>> isinstance(nvml_facts(), dict)
    True
    """
    try:
        import pynvml as nvml

        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByIndex(0)
    except Exception:  # no package, no driver or no GPU
        return {}
    readers: dict[str, Callable[[], Any]] = {
        "name": lambda: _text(nvml.nvmlDeviceGetName(handle)),
        "gpus": lambda: int(nvml.nvmlDeviceGetCount()),
        "memory_bytes": lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
        "power_limit_w": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3,
        "sm_clock_mhz": lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM),
        "memory_clock_mhz": lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_MEM),
        "utilisation": lambda: int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        "driver": lambda: _text(nvml.nvmlSystemGetDriverVersion()),
    }
    facts: dict[str, Any] = {}
    for name, read in readers.items():
        with suppress(Exception):  # not every GPU answers everything
            facts[name] = read()
    return facts


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
