"""What a processor can do at best: the ceilings of the roofline.

A step that needs F floating-point operations and moves B bytes cannot take less than

    max(F / peak, B / bandwidth)          Williams, Waterman, Patterson 2009 (roofline)

and the two are equal at the ridge point, peak / bandwidth FLOP per byte. Figures are those of dense
matrices: the structured sparsity that datasheets like to quote doubles them on paper only.
Links are counted in one direction: NVLink of 900 GB/s both ways is 450e9 here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lengthwise.errors import InputError

KINDS = ("gpu", "cpu", "apple", "jetson", "npu")
WIDER = {
    "fp4": ("fp8", "bf16", "fp16", "fp32"),
    "fp8": ("bf16", "fp16", "fp32"),
    "int8": ("bf16", "fp16", "fp32"),
    "bf16": ("fp16", "fp32"),
    "fp16": ("bf16", "fp32"),
    "fp32": (),
}
"""Formats a processor is rated for, and where the work goes when it has no unit for one."""

_SAME = {
    "bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32", "float": "fp32",
    "fp8_block": "fp8", "fp8_e4m3": "fp8", "fp8_e5m2": "fp8", "e4m3": "fp8", "float8": "fp8",
    "nvfp4": "fp4", "mxfp4": "fp4", "w8a8": "int8", "w4a16": "bf16",
    "w8a16": "bf16", "mxfp8": "fp8", "fp6": "fp8",
}  # fmt: skip
_WEIGHTS_ONLY = re.compile(r"(?:int|i?q)[2-8].*|awq.*|gptq.*")
"""Formats of stored weights that are widened before they are multiplied: int4, q4_k_m, awq."""
_POSITIVE = (
    "memory_bandwidth_bytes_per_s", "memory_bytes", "link_bytes_per_s", "internode_bytes_per_s",
    "host_bytes_per_s",
)  # fmt: skip


@dataclass(frozen=True)
class HardwareSpec:
    """Datasheet (or measured) ceilings of one processor and of the links around it.

    Attributes
    ----------
    name
        Name in the catalogue, such as ``h100_sxm``.
    kind
        ``gpu``, ``cpu``, ``apple``, ``jetson`` or ``npu``.
    memory_bandwidth_bytes_per_s, memory_bytes
        Memory of one processor.
    peak_flops
        FLOP/s of dense matrix products by format: ``bf16``, ``fp16``, ``fp8``, ``fp4``, ``int8``,
        ``fp32``. A format without a unit of its own is absent.
    tdp_w
        Rated power, watts; None where nobody publishes it.
    gpus_per_node
        Processors that reach each other over ``link_bytes_per_s``.
    link_bytes_per_s, internode_bytes_per_s, host_bytes_per_s
        Bytes per second of one processor in one direction: to its neighbours in the node, to
        another node, to the memory of the host.
    multiprocessors
        Streaming multiprocessors, compute units or cores, if known.
    sources
        Where each number comes from, by attribute (``all``: every number without its own).
    title
        Name for people.

    Examples
    --------
    >>> card = HardwareSpec("card", "gpu", 2e12, 80e9, {"bf16": 312e12})
    >>> card.peak("bf16"), card.ridge_point("bf16")
    (312000000000000.0, 156.0)
    """

    name: str
    kind: str
    memory_bandwidth_bytes_per_s: float
    memory_bytes: float
    peak_flops: Mapping[str, float] = field(hash=False)
    tdp_w: float | None = None
    gpus_per_node: int = 1
    link_bytes_per_s: float = 32e9
    internode_bytes_per_s: float = 1.25e9
    host_bytes_per_s: float = 32e9
    multiprocessors: int | None = None
    sources: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)
    title: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind must be one of {', '.join(KINDS)}", got=repr(self.kind))
        for name in _POSITIVE:
            self._check(name, getattr(self, name))
        if self.tdp_w is not None:
            self._check("tdp_w", self.tdp_w)
        if self.gpus_per_node < 1:
            raise InputError("gpus_per_node must be 1 or more", got=str(self.gpus_per_node))
        if not self.peak_flops:
            raise InputError("a processor needs the peak FLOP/s of at least one format",
                             got=f"none for {self.name}", remedy="add peak_flops")  # fmt: skip
        for name, value in self.peak_flops.items():
            if name not in WIDER:
                raise InputError(f"formats are {', '.join(WIDER)}", got=repr(name))
            self._check(f"peak_flops of {name}", value)

    def _check(self, what: str, value: Any) -> None:
        if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
            raise InputError(f"{what} must be a positive number", got=f"{value!r} ({self.name})")

    def unit(self, dtype: str) -> str:
        """Name the format whose unit does the work of ``dtype``: itself or the next wider one.

        Formats of weights alone (``int4``, ``q4_k_m``, ``w4a16``) compute in 16 bits.

        >>> HardwareSpec("card", "gpu", 2e12, 80e9, {"bf16": 312e12}).unit("fp8")
        'bf16'
        """
        key = _SAME.get(dtype.lower(), dtype.lower())
        if key not in WIDER and _WEIGHTS_ONLY.fullmatch(key):
            key = "bf16"
        if key not in WIDER:
            known = ", ".join([*WIDER, *_SAME])
            raise InputError("the number format must be a known one", got=repr(dtype),
                             remedy=f"use one of {known}")  # fmt: skip
        for name in (key, *WIDER[key]):
            if name in self.peak_flops:
                return name
        raise InputError(
            f"{self.name} must be rated for {key} or a wider format",
            got=", ".join(self.peak_flops), remedy=f"give {key} in a hardware file",
        )  # fmt: skip

    def peak(self, dtype: str) -> float:
        """Peak FLOP/s of dense products in ``dtype``; :meth:`unit` says which unit that is.

        >>> HardwareSpec("card", "gpu", 2e12, 80e9, {"fp16": 65e12, "fp32": 8e12}).peak("bf16")
        65000000000000.0
        """
        return float(self.peak_flops[self.unit(dtype)])

    def ridge_point(self, dtype: str) -> float:
        """FLOP per byte at which memory and arithmetic take equally long.

        >>> HardwareSpec("card", "gpu", 1e12, 80e9, {"bf16": 3e14}).ridge_point("bf16")
        300.0
        """
        return self.peak(dtype) / self.memory_bandwidth_bytes_per_s

    def source(self, attribute: str) -> str:
        """Say where a number comes from; empty when nobody said.

        >>> card = HardwareSpec("x", "gpu", 1e12, 8e9, {"fp16": 1e13}, sources={"all": "datasheet"})
        >>> card.source("tdp_w")
        'datasheet'
        """
        return self.sources.get(attribute, self.sources.get("all", ""))

    def to_dict(self) -> dict[str, Any]:
        """Give plain values by attribute."""
        return asdict(self)

    def link(self, gpus: int) -> float:
        """Bytes per second, one direction, between ``gpus`` processors: slower across nodes.

        >>> card = HardwareSpec("card", "gpu", 2e12, 80e9, {"bf16": 3e14}, gpus_per_node=8,
        ...                     link_bytes_per_s=3e11, internode_bytes_per_s=2.5e10)
        >>> card.link(8), card.link(16)
        (300000000000.0, 25000000000.0)
        """
        inside = gpus <= self.gpus_per_node
        return self.link_bytes_per_s if inside else self.internode_bytes_per_s
