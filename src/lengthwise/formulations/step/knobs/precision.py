"""Fewer bits: narrower weights, inputs and cached values move less and may multiply faster."""

from __future__ import annotations

from lengthwise.formulations.step.knobs.base import Knob, setting

SMOOTH = "SmoothQuant, arXiv 2211.10438"
QSERVE = "QServe, arXiv 2405.04532"
AWQ = "AWQ, arXiv 2306.00978"

KNOBS = (
    Knob(
        "weight_bits", "weight format",
        "Sets the bits of a weight in memory, and with them the bytes each step reads.",
        setting("weight_bits"), "choice", choices=(16, 8, 4), unit="bits",
        sources=(AWQ, "GPTQ, arXiv 2210.17323", QSERVE),
    ),
    Knob(
        "activation_bits", "weight format",
        "Sets the bits of the inputs of products, and with them the arithmetic unit that is used.",
        setting("activation_bits"), "choice", choices=(16, 8, 4), unit="bits",
        sources=(SMOOTH, QSERVE),
    ),
    Knob(
        "dequantise_overhead", "weight format",
        "Adds the arithmetic of widening weights, as a share of the products of narrow weights.",
        setting("dequantise"), "share", default=0.0, most=2.0,
        sources=(f"{QSERVE} (20 to 90 % of the product)",),
    ),
    Knob(
        "kv_bits", "cache format",
        "Sets the bits of a cached value, and with them the cache read per token and the room.",
        setting("kv_bits"), "choice", choices=(16, 8, 4, 3, 2), unit="bits",
        sources=("KIVI, arXiv 2402.02750", "KVQuant, arXiv 2401.18079", QSERVE),
    ),
)  # fmt: skip
