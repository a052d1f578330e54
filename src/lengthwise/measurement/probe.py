"""What this machine can do: memory bandwidth, arithmetic rate, time per call.

Bandwidth is that of the STREAM kernels (McCalpin 1995) on arrays far larger than the caches, which
is what a decode step does with the weights; the rate is that of a square matrix product. Both are
ceilings, so the best of several tries counts, and the gap to the median tells how busy the machine
was meanwhile. Everything runs on as many threads as numpy is set to use (OMP_NUM_THREADS).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from lengthwise.domain.hardware import WIDER, HardwareSpec
from lengthwise.measurement.machine import (
    cpu_model,
    hardware_label,
    load_average,
    memory_bytes,
    pressure,
)
from lengthwise.units import counted

QUICK_S, FULL_S = 0.25, 0.9
"""Seconds spent on each figure."""
ARRAY_BYTES = 256 << 20
SMALLEST_ARRAY = 32 << 20
CACHES = 4
"""Arrays are at least this many times the last cache."""
LARGEST_PRODUCT = 4096
EMULATED = 0.8
"""A format that reaches no more than this share of a wider one has no unit of its own."""
BUSY_SPREAD, BUSY_PRESSURE = 0.15, 10.0


@dataclass(frozen=True)
class Rate:
    """A rate as it was tried several times.

    Attributes
    ----------
    best, median
        Largest and middle of the tries, per second.
    tries
        How many there were.
    """

    best: float
    median: float
    tries: int

    @property
    def spread(self) -> float:
        """How far the middle lies below the best, as a share of it.

        >>> Rate(10.0, 7.5, 5).spread
        0.25
        """
        return 1 - self.median / self.best


@dataclass(frozen=True)
class Probe:
    """What was measured on one processor.

    Attributes
    ----------
    name, kind
        Label for the column ``hardware`` of a table, and kind of processor.
    threads
        Threads in use; 0 on a GPU.
    memory_bytes
        Memory of the processor.
    read, triad
        Bytes per second of reading alone, and of two reads and a write.
    flops
        FLOP/s of a matrix product by format (``fp64`` among them).
    call_s
        Seconds that one call takes beside its work: a numpy call, or a kernel launch.
    warnings
        What makes the figures doubtful.
    multiprocessors
        Multiprocessors or cores, if known.
    tdp_w
        Power limit in watts, if known.
    """

    name: str
    kind: str
    threads: int
    memory_bytes: float
    read: Rate
    triad: Rate
    flops: dict[str, Rate]
    call_s: float
    warnings: tuple[str, ...] = ()
    multiprocessors: int | None = None
    tdp_w: float | None = None

    @property
    def bandwidth(self) -> float:
        """The most bytes per second that were seen."""
        return max(self.read.best, self.triad.best)

    def hardware(self) -> HardwareSpec:
        """Give the figures as a hardware specification.

        Formats that were not measured are absent, and so are those that are only emulated: slower
        than a wider one.
        """
        best = {name: rate.best for name, rate in self.flops.items() if name in WIDER}
        peaks = {
            name: _rounded(value)
            for name, value in best.items()
            if all(value > EMULATED * best.get(wider, 0.0) for wider in WIDER[name])
        }
        bandwidth = _rounded(self.bandwidth)
        on_cpu = self.kind == "cpu"
        how = "measured by lengthwise doctor"
        if on_cpu:
            how += f" on {counted(self.threads, 'thread')}"
        assumed = "assumed: network of 10 Gbit/s"
        return HardwareSpec(
            self.name, self.kind, bandwidth, self.memory_bytes, peaks, self.tdp_w,
            link_bytes_per_s=1.25e9 if on_cpu else 32e9, internode_bytes_per_s=1.25e9,
            host_bytes_per_s=bandwidth if on_cpu else 32e9,
            multiprocessors=self.multiprocessors, title=cpu_model() if on_cpu else self.name,
            sources={
                "all": how, "internode_bytes_per_s": assumed,
                "link_bytes_per_s": assumed if on_cpu else "assumed: PCIe 4.0 x16",
                "host_bytes_per_s": how if on_cpu else "assumed: PCIe 4.0 x16",
            },
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with the bandwidth."""
        return asdict(self) | {"bandwidth": self.bandwidth}


def probe_cpu(*, quick: bool = False, threads: int | None = None) -> Probe:
    """Measure this machine's CPU and memory: about 5 s, 1.5 s when quick.

    Parameters
    ----------
    quick
        Fewer tries on smaller arrays.
    threads
        Threads to use; None: as many as numpy's matrix products do.

    Examples
    --------
    >>> probe = probe_cpu(quick=True, threads=1)
    >>> probe.bandwidth > 1e8, probe.flops["fp32"].best > 1e8
    (True, True)
    """
    from threadpoolctl import threadpool_limits

    count = threads or configured_threads()
    budget = QUICK_S if quick else FULL_S
    with threadpool_limits(limits=1):
        read, triad = _memory(count, budget, _array_bytes(quick))
        alone = _product(np.float32, QUICK_S) if count > 1 else None
        call = _call_seconds()
    with threadpool_limits(limits=count):
        flops = {name: _product(kind, budget) for name, kind in _FORMATS.items()}
        flops |= _torch_cpu(count, budget)
    warnings = _warnings(count, [read, triad, *flops.values()])
    if alone is not None and alone.best > flops["fp32"].best:
        warnings.append(
            f"{count} threads multiply slower than one ({flops['fp32'].best / 1e9:.0f} against "
            f"{alone.best / 1e9:.0f} GFLOP/s): the CPUs are shared; set OMP_NUM_THREADS lower"
        )
        flops["fp32"] = alone
    return Probe(
        hardware_label(count), "cpu", count, memory_bytes() or 1e9, read, triad, flops, call,
        tuple(warnings), multiprocessors=count,
    )  # fmt: skip


_FORMATS = {"fp32": np.float32, "fp64": np.float64}


def configured_threads() -> int:
    """Threads that numpy's matrix products use here, at most the CPUs this process may run on.

    >>> configured_threads() >= 1
    True
    """
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(1, min(max(pools, default=1), usable_cpus()))


def usable_cpus() -> int:
    """CPUs this process may run on.

    >>> usable_cpus() >= 1
    True
    """
    with suppress(AttributeError, OSError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def rate(work: Callable[[], Any], amount: float, budget_s: float, *, least: int = 3) -> Rate:
    """Repeat some work for a while and give the amounts per second.

    Parameters
    ----------
    work
        What is timed; run once before the clock starts.
    amount
        Bytes or FLOP of one run.
    budget_s
        Seconds to spend.
    least
        Fewest tries.

    Examples
    --------
    >>> 1.0 < rate(lambda: time.sleep(0.001), 1.0, 0.02).best < 1000.0
    True
    """
    work()
    seconds: list[float] = []
    stop = time.perf_counter() + budget_s
    while len(seconds) < least or time.perf_counter() < stop:
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return Rate(amount / min(seconds), amount / float(np.median(seconds)), len(seconds))


def _rounded(value: float) -> float:
    """Keep four digits: more were not measured."""
    return float(f"{value:.4g}")


def _array_bytes(quick: bool) -> int:
    """Size of one of three arrays: far beyond the caches, far below the memory."""
    wanted = max(ARRAY_BYTES // (2 if quick else 1), CACHES * _last_cache())
    return int(max(SMALLEST_ARRAY, min(wanted, (memory_bytes() or 2e9) / 16)))


def _last_cache() -> int:
    sizes = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        with suppress(OSError, ValueError):
            sizes.append(int(path.read_text().strip().removesuffix("K")) * 1024)
    return max(sizes, default=0)


def _memory(threads: int, budget: float, size: int) -> tuple[Rate, Rate]:
    """Bytes per second of reading (sum), and of a triad; numpy lets threads run side by side."""
    n = size // 8 // threads
    parts = [(np.zeros(n), np.ones(n), np.full(n, 2.0)) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:

        def all_parts(one: Callable[[Any], Any]) -> Callable[[], Any]:
            return lambda: list(pool.map(one, parts))

        read = rate(all_parts(lambda p: np.dot(p[1], p[1])), 8.0 * n * threads, budget / 2)
        triad = rate(all_parts(lambda p: np.add(p[1], p[2], out=p[0])), 24.0 * n * threads, budget)
    return read, triad


def _product(kind: Any, budget: float) -> Rate:
    """FLOP/s of a square product, as large as fits about five times into the budget."""
    size = 512
    while size < LARGEST_PRODUCT:
        a, b, c = _square(size, kind)
        start = time.perf_counter()
        np.matmul(a, b, out=c)
        if (time.perf_counter() - start) * 8 > budget / 5:
            break
        size *= 2
    a, b, c = _square(size, kind)
    return rate(lambda: np.matmul(a, b, out=c), 2.0 * size**3, budget)


def _square(size: int, kind: Any) -> tuple[Any, Any, Any]:
    values = np.linspace(-1, 1, size * size, dtype=kind).reshape(size, size)
    return values, values.T.copy(), np.empty_like(values)


def _call_seconds() -> float:
    """Seconds of a numpy product that has next to nothing to do."""
    a, b = np.ones((1, 8), np.float32), np.ones((8, 8), np.float32)
    calls = 2000

    def some() -> None:
        for _ in range(calls):
            a @ b

    return 1 / rate(some, calls, 0.05).best


def _torch_cpu(threads: int, budget: float) -> dict[str, Rate]:
    """FLOP/s in 16 and 8 bits, where torch is installed and has such products."""
    if find_spec("torch") is None:
        return {}
    import torch

    from lengthwise.measurement.probe_torch import products

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return products(torch, "cpu", 1024, ("bf16", "int8"), budget)
    finally:
        torch.set_num_threads(before)


def _warnings(threads: int, rates: list[Rate]) -> list[str]:
    found = []
    if usable_cpus() < 4:
        found.append(f"few CPUs ({usable_cpus()}): other programs disturb every measurement")
    if threads < usable_cpus():
        found.append(
            f"{threads} of {usable_cpus()} CPUs in use (OMP_NUM_THREADS or --threads); figures are "
            "for that many"
        )
    if find_spec("torch") is None:
        found.append(
            "16-bit and 8-bit products were not measured, for want of torch; they may be several "
            "times faster than fp32"
        )
    spread = max(rate.spread for rate in rates)
    if spread > BUSY_SPREAD:
        found.append(
            f"tries differ: the middle one was up to {spread:.0%} slower than the best; the "
            "machine is busy or its clock changes"
        )
    waiting, load = pressure(), load_average()
    if waiting is not None and waiting > BUSY_PRESSURE:
        found.append(f"programs waited for a CPU {waiting:.0f} % of the last 10 s")
    elif waiting is None and load is not None and load > usable_cpus() + 1:
        found.append(f"load average {load} on {usable_cpus()} CPUs")
    return found
