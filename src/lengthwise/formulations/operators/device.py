"""The facts about a processor that operator curves scale with.

Coefficients of a curve are multiples of these ceilings, so that a curve fitted on one processor can
be put on another: ``curve.on(device)``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lengthwise.domain.hardware import HardwareSpec

USUAL_MULTIPROCESSORS = 128
USUAL_CACHE_BYTES = 50e6


@dataclass(frozen=True)
class Device:
    """Ceilings of one processor for one number format.

    Attributes
    ----------
    peak_flops
        FLOP/s of matrix products in the format the operator computes in.
    bandwidth
        Bytes per second of the memory.
    multiprocessors
        Units that take blocks of work side by side.
    cache_bytes
        Size of the last cache shared by all multiprocessors. Operands that fit may be read faster
        than memory allows when they are still there (kernel tables repeat one call, so they are).

    Examples
    --------
    >>> Device(989e12, 3.35e12, 132, 50e6).peak_flops / 1e12
    989.0
    """

    peak_flops: float
    bandwidth: float
    multiprocessors: int = USUAL_MULTIPROCESSORS
    cache_bytes: float = USUAL_CACHE_BYTES

    @classmethod
    def of(cls, hardware: HardwareSpec, dtype: str, cache_bytes: float | None = None) -> Device:
        """Take the facts of a catalogue entry; what it lacks is set to a usual value.

        >>> card = HardwareSpec("card", "gpu", 2e12, 80e9, {"bf16": 312e12}, multiprocessors=108)
        >>> Device.of(card, "bf16", 40e6)
        Device(peak_flops=312000000000000.0, bandwidth=2000000000000.0,
               multiprocessors=108, cache_bytes=40000000.0)
        """
        return cls(
            hardware.peak(dtype), hardware.memory_bandwidth_bytes_per_s,
            hardware.multiprocessors or USUAL_MULTIPROCESSORS,
            USUAL_CACHE_BYTES if cache_bytes is None else cache_bytes,
        )  # fmt: skip

    def to_dict(self) -> dict[str, float]:
        """Write plain numbers for JSON.

        >>> Device(1e15, 3e12).to_dict()["bandwidth"]
        3000000000000.0
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Device:
        """Read :meth:`to_dict` back.

        >>> Device.from_dict(Device(1e15, 3e12).to_dict()).multiprocessors
        128
        """
        return cls(
            float(record["peak_flops"]), float(record["bandwidth"]),
            int(record["multiprocessors"]), float(record["cache_bytes"]),
        )  # fmt: skip
