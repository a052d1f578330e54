"""What the machine does meanwhile: utilisation, clocks, memory, temperature, power.

A thread samples every 100 ms; each measured step gets the mean of the samples within it (or the
nearest one), so that a table has the state of the machine beside every time. NVIDIA GPUs are read
through NVML, CPUs through psutil, the kernel's pressure and RAPL where they are readable. What is
not there gives no column: virtual machines rarely show clocks or temperatures.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np

from lengthwise.measurement.machine import pressure

PERIOD_S = 0.1
CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
RAPL = Path("/sys/class/powercap/intel-rapl:0/energy_uj")

Source = Callable[[], Mapping[str, float]]


class Telemetry:
    """Samples the machine while it is open.

    >>> with Telemetry([lambda: {"watts": 5.0}], period_s=0.001) as telemetry:
    ...     time.sleep(0.02)
    >>> telemetry.between(0.0, time.time())["watts"]
    5.0
    """

    def __init__(self, sources: list[Source] | None = None, period_s: float = PERIOD_S) -> None:
        self._sources = default_sources() if sources is None else sources
        self._period_s = period_s
        self._samples: list[tuple[float, dict[str, float]]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        if self._sources:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._sources:
            self._thread.join()

    def _sample(self) -> None:
        while not self._stop.is_set():
            sample: dict[str, float] = {}
            for source in self._sources:
                with suppress(Exception):  # a sensor that fails must not end a measurement
                    sample.update(source())
            self._samples.append((time.time(), sample))
            self._stop.wait(self._period_s)

    def between(self, start: float, stop: float) -> dict[str, float]:
        """Give the mean of the samples between two times (unix seconds), or the nearest one."""
        samples = self._samples
        if not samples:
            return {}
        times = np.array([at for at, _ in samples])
        first, last = np.searchsorted(times, [start, stop])
        if first == last:
            nearest = int(np.argmin(np.abs(times - (start + stop) / 2)))
            first, last = nearest, nearest + 1
        chosen = [values for _, values in samples[first:last]]
        names = dict.fromkeys(name for values in chosen for name in values)
        return {
            name: round(float(np.mean([v[name] for v in chosen if name in v])), 3)
            for name in names
        }  # fmt: skip


def default_sources() -> list[Source]:
    """Give every sensor this machine has."""
    made: list[Source | None] = [_cpu(), _rapl(), *_gpus()]
    return [source for source in made if source is not None]


def _cpu() -> Source | None:
    try:
        import psutil
    except ImportError:
        return None
    psutil.cpu_percent()
    temperatures: Any = getattr(psutil, "sensors_temperatures", dict)  # not on every system
    sensors = [name for name in CPU_SENSORS if name in temperatures()]

    def read() -> dict[str, float]:
        found = {
            "cpu_util_percent": float(psutil.cpu_percent()),
            "memory_used_mib": psutil.virtual_memory().used / 2**20,
        }
        waiting = pressure()
        if waiting is not None:
            found["load_pressure"] = waiting
        clock = psutil.cpu_freq()
        if clock is not None and clock.current:
            found["cpu_mhz"] = float(clock.current)
        heat = [sensor.current for name in sensors for sensor in temperatures().get(name, ())]
        return found | ({"cpu_temperature_c": float(max(heat))} if heat else {})

    return read


def _rapl(path: Path = RAPL) -> Source | None:
    try:
        before = [int(path.read_text()), time.perf_counter()]
    except (OSError, ValueError):
        return None

    def read() -> dict[str, float]:
        energy, now = int(path.read_text()), time.perf_counter()
        joules, seconds = (energy - before[0]) * 1e-6, now - before[1]
        before[:] = [energy, now]
        return {"power_w": joules / seconds} if joules >= 0 and seconds > 0 else {}

    return read


def _gpus() -> list[Source]:
    try:
        import pynvml as nvml

        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByIndex(0)
    except Exception:  # no package, no driver or no GPU
        return []

    def read() -> dict[str, float]:
        busy = nvml.nvmlDeviceGetUtilizationRates(handle)
        return {
            "gpu_util_percent": float(busy.gpu), "gpu_memory_util_percent": float(busy.memory),
            "gpu_memory_used_mib": nvml.nvmlDeviceGetMemoryInfo(handle).used / 2**20,
            "gpu_clock_mhz": float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
            "gpu_memory_clock_mhz": float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)),
            "gpu_temperature_c": float(
                nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
            ),
            "power_w": nvml.nvmlDeviceGetPowerUsage(handle) / 1e3,
        }  # fmt: skip

    return [read]


def joined(rows: list[dict[str, Any]], telemetry: Telemetry) -> list[dict[str, Any]]:
    """Add to each row what was sampled during its step."""
    return [
        row | telemetry.between(row["timestamp"], row["timestamp"] + row["latency_ms"] / 1e3)
        for row in rows
    ]
