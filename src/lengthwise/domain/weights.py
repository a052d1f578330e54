"""How many bits a weight takes in a format, scales included.

Formats with shared scales cost a little more than their name says: nvfp4 keeps an 8-bit scale for
16 weights, mxfp4 one for 32 (OCP Microscaling Formats, 2023), fp8 in blocks a 32-bit scale for
128 x 128, int4 usually a 16-bit scale for 128. GGUF formats follow their block layouts.
"""

from __future__ import annotations

import re

from lengthwise.errors import InputError

BITS: dict[str, float] = {
    "fp32": 32.0, "bf16": 16.0, "fp16": 16.0, "fp8": 8.0, "fp8_block": 8.0 + 32 / 128**2,
    "mxfp8": 8.25, "int8": 8.0, "fp6": 6.0, "nvfp4": 4.5, "mxfp4": 4.25, "fp4": 4.25,
    "int4": 4.0 + 16 / 128, "int4_g32": 4.5, "int3": 3.125, "int2": 2.25,
    "q8_0": 8.5, "q6_k": 6.5625, "q5_k": 5.5, "q5_k_m": 5.7, "q4_k": 4.5, "q4_k_m": 4.85,
    "q4_0": 4.5, "q4_1": 5.0, "q3_k": 3.4375, "q2_k": 2.625, "iq4_xs": 4.25,
}  # fmt: skip
"""Bits per weight by format."""

PARTS = ("attention", "recurrence", "dense", "shared", "experts", "router", "tables", "other")
"""What may have a format of its own; router, tables and other stay in 16 bits unless said."""

UNQUANTISED = frozenset({"router", "tables", "other"})


def weight_bits(fmt: str) -> float:
    """Give the bits of one weight.

    >>> weight_bits("nvfp4"), weight_bits("FP8")
    (4.5, 8.0)
    """
    found = BITS.get(fmt.lower().replace("-", "_"))
    if found is None:
        known = ", ".join(BITS)
        raise InputError("the weight format must be known", got=repr(fmt), remedy=f"use {known}")
    return found


_SUFFIX = re.compile(
    r"[-_.](nvfp4|mxfp4|mxfp8|fp8|bf16|fp16|awq|gptq|int[48]|i?q\d(?:_[a-z0-9]+)*)(?=$|[-_.])"
)
_OTHER_NAMES = {"awq": "int4", "gptq": "int4"}


def format_of_name(name: str) -> str | None:
    """Read the weight format from the suffix of a model name; None if it has none.

    >>> format_of_name("DeepSeek-R1-NVFP4"), format_of_name("gemma-3-4b-it-Q4_K_M.gguf")
    ('nvfp4', 'q4_k_m')
    >>> format_of_name("DeepSeek-R1") is None
    True
    """
    found = _SUFFIX.findall(name.lower())
    fmt = _OTHER_NAMES.get(found[-1], found[-1]) if found else None
    return fmt if fmt in BITS else None
