"""What bounds a matrix product: the processor's ceilings and the bytes of a number format."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lengthwise.domain.hardware import HardwareSpec
from lengthwise.errors import InputError

BYTES = {
    "bfloat16": (2.0, 2.0), "float16": (2.0, 2.0), "fp8": (1.0, 1.0), "fp8_block": (1.0, 1.0),
    "int8": (1.0, 1.0), "sq": (1.0, 1.0), "int8_wo": (1.0, 2.0), "int4_wo": (0.5, 2.0),
    "nvfp4": (0.5625, 0.5625), "w4a16_mxfp4": (0.53125, 2.0), "w4a8_mxfp4_mxfp8": (0.53125, 1.0),
}  # fmt: skip
"""Bytes of one weight and of one input of the product, with the scales of their blocks."""

UNIT = {"int8_wo": "bf16", "int4_wo": "bf16", "sq": "int8", "w4a16_mxfp4": "bf16",
        "w4a8_mxfp4_mxfp8": "fp8"}  # fmt: skip
"""Formats whose arithmetic is not done in a unit of their own name."""

DEFAULT_MULTIPROCESSORS = 128
"""Where a processor does not say how many it has."""


@dataclass(frozen=True)
class Ceilings:
    """The bounds of a matrix product in one number format on one processor.

    Attributes
    ----------
    peak_flops
        FLOP/s of dense products.
    bandwidth
        Bytes per second of the memory.
    multiprocessors
        Units that work on tiles at the same time.
    weight_bytes, input_bytes
        Bytes of one weight, of one input; outputs have 2 bytes.

    Examples
    --------
    >>> from lengthwise.domain.hardware import HardwareSpec
    >>> card = HardwareSpec("card", "gpu", 2e12, 80e9, {"bf16": 312e12}, multiprocessors=108)
    >>> Ceilings.of(card, "int4_wo")
    Ceilings(peak_flops=312000000000000.0, bandwidth=2000000000000.0, multiprocessors=108,
             weight_bytes=0.5, input_bytes=2.0)
    """

    peak_flops: float
    bandwidth: float
    multiprocessors: int
    weight_bytes: float
    input_bytes: float

    @classmethod
    def of(cls, hardware: HardwareSpec, dtype: str) -> Ceilings:
        """Read the ceilings of a processor for a number format of the kernel tables."""
        if dtype not in BYTES:
            raise InputError("the number format must be a known one", got=repr(dtype),
                             remedy=f"use one of {', '.join(BYTES)}")  # fmt: skip
        return cls(
            hardware.peak(UNIT.get(dtype, dtype)),
            hardware.memory_bandwidth_bytes_per_s,
            hardware.multiprocessors or DEFAULT_MULTIPROCESSORS,
            *BYTES[dtype],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)
