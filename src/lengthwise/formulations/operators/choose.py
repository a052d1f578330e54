"""Pick the curve of matrix products and of experts for a processor, number format and engine.

The processor's own table comes first, then typical coefficients of all tables on the processor's
own ceilings. A format nobody measured borrows the coefficients of the most similar one that
somebody did, on its own ceilings. Tables taken without recorded graphs hold the host's time with
every call; they are used last.
"""

from __future__ import annotations

from typing import Any

from lengthwise.data.kernel_profiles import GENERIC, load_curves
from lengthwise.domain.hardware import HardwareSpec
from lengthwise.errors import InputError
from lengthwise.formulations.operators.ceilings import BYTES, Ceilings
from lengthwise.formulations.operators.experts import ExpertsCoefficients, ExpertsCurve
from lengthwise.formulations.operators.gemm import GemmCoefficients, GemmCurve

NAMES = {
    "bf16": "bfloat16", "fp16": "float16", "int4": "int4_wo", "mxfp4": "w4a16_mxfp4",
    "w4a16": "int4_wo", "w8a16": "int8_wo", "w8a8": "sq", "fp4": "nvfp4", "mxfp8": "fp8_block",
}  # fmt: skip
"""Other names of the formats of the tables."""

SIMILAR = {
    "bfloat16": ("float16",), "float16": ("bfloat16",), "fp8": ("fp8_block", "sq", "bfloat16"),
    "fp8_block": ("fp8", "bfloat16"), "int8": ("sq", "fp8", "bfloat16"),
    "sq": ("int8", "fp8", "bfloat16"), "int8_wo": ("int4_wo", "bfloat16"),
    "int4_wo": ("w4a16_mxfp4", "int8_wo", "bfloat16"),
    "w4a16_mxfp4": ("int4_wo", "int8_wo", "bfloat16"),
    "nvfp4": ("w4a8_mxfp4_mxfp8", "fp8", "fp8_block", "bfloat16"),
    "w4a8_mxfp4_mxfp8": ("nvfp4", "fp8", "fp8_block", "bfloat16"),
}  # fmt: skip


def table_name(dtype: str) -> str:
    """Name a number format as the tables do.

    >>> table_name("bf16"), table_name("nvfp4")
    ('bfloat16', 'nvfp4')
    """
    name = NAMES.get(dtype.lower(), dtype.lower())
    if name not in BYTES:
        raise InputError("the number format must be a known one", got=repr(dtype),
                         remedy=f"use one of {', '.join([*BYTES, *NAMES])}")  # fmt: skip
    return name


def find_curve(kind: str, system: str, dtype: str, engine: str | None = None) -> dict[str, Any]:
    """Return the record of the best curve: kind ``gemm`` or ``experts``; adds where it is from.

    >>> record = find_curve("gemm", "h100_sxm", "bf16", "vllm")
    >>> record["system"], record["engine"], record["dtype"]
    ('h100_sxm', 'vllm', 'bfloat16')
    >>> find_curve("gemm", "abacus", "bf16")["system"]
    'generic'
    """
    name = table_name(dtype)
    for wanted in (name, *SIMILAR.get(name, ())):
        for place in (system, GENERIC):
            found = [c for c in load_curves(kind, place) if c["dtype"] == wanted]
            found.sort(key=lambda c: (c.get("eager", False), c["engine"] != engine))
            if found:
                return {**found[0], "system": place}
    raise InputError(f"a profile must hold a curve of {kind}", got=f"none for {dtype}")


def find_gemm_curve(hardware: HardwareSpec, dtype: str, engine: str | None = None) -> GemmCurve:
    """Return the curve of dense products.

    >>> from lengthwise.domain.hardware import HardwareSpec
    >>> card = HardwareSpec("h100_sxm", "gpu", 3.35e12, 80e9, {"bf16": 989e12}, multiprocessors=132)
    >>> curve = find_gemm_curve(card, "bf16", "vllm")
    >>> bool(4e-4 > curve.seconds(8192, 4096, 4096) > 2.8e-4)
    True
    """
    name = table_name(dtype)
    record = find_curve("gemm", hardware.name, name, engine)
    coefficients = GemmCoefficients.from_dict(record["coefficients"])
    return GemmCurve(Ceilings.of(hardware, name), coefficients)


def find_experts_curve(
    hardware: HardwareSpec, dtype: str, engine: str | None = None
) -> ExpertsCurve:
    """Return the curve of routed experts.

    >>> from lengthwise.domain.hardware import HardwareSpec
    >>> card = HardwareSpec("h100_sxm", "gpu", 3.35e12, 80e9, {"bf16": 989e12}, multiprocessors=132)
    >>> curve = find_experts_curve(card, "bf16", "vllm")
    >>> bool(3e-3 > curve.seconds(1024, 4096, 1536, 8, 128, 128) > 1e-3)
    True
    """
    name = table_name(dtype)
    record = find_curve("experts", hardware.name, name, engine)
    coefficients = ExpertsCoefficients.from_dict(record["coefficients"])
    return ExpertsCurve(Ceilings.of(hardware, name), coefficients)
