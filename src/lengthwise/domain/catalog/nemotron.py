"""NVIDIA Nemotron hybrids: Mamba-2, attention and feed-forward layers take turns."""

from __future__ import annotations

from lengthwise.domain.blocks import attention, mamba
from lengthwise.domain.catalog.builders import model
from lengthwise.domain.layers import Experts, FeedForward, Layer
from lengthwise.domain.model import ModelSpec


def _hybrid(
    name: str, hidden: int, counts: tuple[int, int], heads: tuple[int, int, int],
    ffn: FeedForward | Experts, *, states: int = 128, bits: int = 32, context: int = 262144,
    draft: int = 0,
) -> ModelSpec:  # fmt: skip
    """Write a hybrid; ``counts`` of Mamba (and as many feed-forward) layers and of attention.

    ``heads``: those of Mamba, of queries, of keys and values.
    """
    recurrent, query, kv = heads
    many, few = counts
    blocks = (
        Layer(many, mamba(hidden, recurrent, 64, states, 8, state_bits=bits), None),
        Layer(many, None, ffn),
        Layer(few, attention(hidden, query, kv, 128), None),
    )
    return model(name, hidden, 131072, blocks, context=context, draft=draft)


_NANO = Experts(1856, False, 128, 6, 3712)
MODELS = (
    _hybrid("nemotron-h-56b", 8192, (54, 10), (256, 64, 8), FeedForward(32768, gated=False),
            states=256, bits=16, context=8192),
    _hybrid("nemotron-3-nano-30b-a3b", 2688, (23, 6), (64, 32, 2), _NANO),
    _hybrid("nemotron-3.5-lightning-30b-a3b", 2688, (23, 6), (64, 32, 2), _NANO, context=1048576,
            draft=1),
    _hybrid("nemotron-3-super-120b-a12b", 4096, (40, 8), (128, 32, 2),
            Experts(2688, False, 512, 22, 5376, latent=1024), draft=1),
    _hybrid("nemotron-3-ultra-550b-a55b", 8192, (48, 12), (256, 64, 2),
            Experts(5120, False, 512, 22, 10240, latent=2048), draft=1),
)  # fmt: skip
