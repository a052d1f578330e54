"""In which number formats a deployment keeps and multiplies the parts of a model.

Engines quantise the matrices of the blocks and leave router, tables and norms in 16 bits. What
``precision`` means therefore depends on the part: NVFP4 checkpoints of models with latent attention
keep the attention in 16 bits (nvidia/DeepSeek-R1-NVFP4 model card), MXFP4 ones all but the experts
(gpt-oss model card, arXiv 2508.10925), FP8 ones of most mixtures use scales per block of 128 x 128
(DeepSeek-V3, arXiv 2412.19437).
"""

from __future__ import annotations

from dataclasses import dataclass

from lengthwise.domain.layers import Experts, LatentAttention
from lengthwise.domain.model import ModelSpec
from lengthwise.errors import InputError

_KERNEL = {
    "bf16": "bfloat16", "fp16": "bfloat16", "fp32": "bfloat16", "fp8": "fp8",
    "fp8_block": "fp8_block", "mxfp8": "fp8", "int8": "fp8", "nvfp4": "nvfp4", "fp4": "nvfp4",
    "mxfp4": "w4a16_mxfp4", "int4": "int4_wo",
}  # fmt: skip
"""Weight format to the name of the kernels that multiply it."""

PRECISIONS = ("auto", "bf16", "fp16", "fp8", "fp8_block", "fp4", "nvfp4", "mxfp4", "int8", "int4")
_KV_BITS = {"bf16": 16.0, "fp16": 16.0, "fp8": 8.0, "int8": 8.0, "fp4": 4.25, "int4": 4.25}


@dataclass(frozen=True)
class Formats:
    """Kernel format of each part, and bits of a cached value.

    Examples
    --------
    >>> from lengthwise.domain.model import find_model
    >>> formats = Formats.of(find_model("gpt-oss-120b"), "auto")
    >>> formats.attention, formats.experts, formats.kv_bits
    ('bfloat16', 'w4a16_mxfp4', 16.0)
    """

    attention: str = "bfloat16"
    dense: str = "bfloat16"
    shared: str = "bfloat16"
    experts: str = "bfloat16"
    kv_bits: float = 16.0

    @classmethod
    def of(cls, model: ModelSpec, precision: str, kv_precision: str | None = None) -> Formats:
        """Decide the formats of a model served in ``precision``; ``auto``: as published."""
        asked = precision.lower().replace("-", "_")
        if asked not in PRECISIONS:
            raise InputError(f"the precision must be one of {', '.join(PRECISIONS)}",
                             got=repr(precision))  # fmt: skip
        parts = {part: _format(model, part, asked)
                 for part in ("attention", "dense", "shared", "experts")}  # fmt: skip
        return cls(**parts, kv_bits=kv_bits(kv_precision, asked))


def kv_bits(kv_precision: str | None, precision: str) -> float:
    """Give the bits of a cached value.

    Unless said, 8 bits where the weights have 8 or fewer: TensorRT-LLM does so by itself with
    quantised checkpoints, and deployments of vLLM and SGLang commonly ask for it.

    >>> kv_bits(None, "fp8"), kv_bits("fp8", "bf16"), kv_bits(None, "auto")
    (8.0, 8.0, 16.0)
    """
    if kv_precision is None or kv_precision == "auto":
        return 8.0 if precision in ("fp8", "fp8_block", "fp4", "nvfp4", "int8") else 16.0
    if kv_precision not in _KV_BITS:
        raise InputError(f"the precision of the cache must be one of {', '.join(_KV_BITS)}",
                         got=repr(kv_precision))  # fmt: skip
    return _KV_BITS[kv_precision]


def _format(model: ModelSpec, part: str, precision: str) -> str:
    if precision == "auto":
        return _KERNEL.get(model.format_of(part), "bfloat16")
    if model.weight_format == "mxfp4" and precision in ("fp4", "fp8", "mxfp4", "nvfp4"):
        return "w4a16_mxfp4" if part == "experts" else "bfloat16"
    if precision == "mxfp4":
        return "w4a16_mxfp4"
    if precision in ("fp4", "nvfp4"):
        latent = any(isinstance(block.mixer, LatentAttention) for block in model.blocks)
        return "bfloat16" if latent and part in ("attention", "shared") else "nvfp4"
    if precision == "fp8":
        routed = any(isinstance(block.ffn, Experts) for block in model.blocks)
        return "fp8_block" if routed else "fp8"
    return _KERNEL[precision]


def stored(model: ModelSpec, precision: str) -> str | None:
    """Give the format of the weights in memory; None: as published.

    >>> from lengthwise.domain.model import find_model
    >>> stored(find_model("gpt-oss-120b"), "fp4"), stored(find_model("llama3.1-8b"), "fp4")
    (None, 'nvfp4')
    """
    if precision == "auto" or (model.weight_format == "mxfp4" and precision in ("fp4", "mxfp4")):
        return None
    return {"fp4": "nvfp4"}.get(precision, precision)
