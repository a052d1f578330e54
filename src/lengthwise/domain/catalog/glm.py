"""GLM-4 models: grouped attention with few key and value heads, dense or with many experts."""

from __future__ import annotations

from lengthwise.domain.blocks import attention
from lengthwise.domain.catalog.builders import PUBLISHED, dense, model
from lengthwise.domain.layers import Experts, FeedForward, Layer
from lengthwise.domain.model import ModelSpec


def _experts(
    name: str, hidden: int, first: tuple[int, int], layers: int, experts: Experts, context: int
) -> ModelSpec:
    """Write GLM-4.5; ``first`` are the dense layers and their inner size."""
    mixer = attention(hidden, 96, 8, 128)
    count, inner = first
    blocks = Layer(count, mixer, FeedForward(inner)), Layer(layers - count, mixer, experts)
    return model(name, hidden, 151552, blocks, context=context, draft=1, source=PUBLISHED)


_LARGE = Experts(1536, True, 160, 8, 1536)
MODELS = (
    dense("glm-4-32b", 61, 6144, 48, 2, 128, 23040, 151552, context=32768),
    _experts("glm-4.5-air", 4096, (1, 10944), 46, Experts(1408, True, 128, 8, 1408), 131072),
    _experts("glm-4.5", 5120, (3, 12288), 92, _LARGE, 131072),
    _experts("glm-4.6", 5120, (3, 12288), 92, _LARGE, 202752),
)
