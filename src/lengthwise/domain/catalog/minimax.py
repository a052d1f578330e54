"""MiniMax models: grouped attention and many small experts; M3 attends to chosen blocks."""

from __future__ import annotations

from lengthwise.domain.blocks import attention
from lengthwise.domain.catalog.builders import model, moe
from lengthwise.domain.layers import Experts, FeedForward, Layer
from lengthwise.domain.model import ModelSpec


def _m3() -> ModelSpec:
    full = attention(6144, 64, 4, 128)
    sparse = attention(6144, 64, 4, 128, selected=16 * 128, index_heads=4, index_dim=128)
    experts = Experts(3072, True, 128, 4, 3072)
    blocks = Layer(3, full, FeedForward(12288)), Layer(57, sparse, experts)
    return model("minimax-m3", 6144, 200064, blocks, context=1048576, draft=1)


MODELS = (
    *(
        moe(f"minimax-m2.{version}", 62, 3072, 48, 8, 128, 1536, 8, 256, 200064, context=context,
            weights="fp8_block", draft=3)
        for version, context in (("5", 196608), ("7", 204800))
    ),
    _m3(),
)  # fmt: skip
