"""DeepSeek models: latent attention, with an index from V3.2 on, compressed in V4."""

from __future__ import annotations

from lengthwise.domain.blocks import compressed
from lengthwise.domain.catalog.builders import PUBLISHED, latent_moe, model
from lengthwise.domain.layers import Experts, Layer
from lengthwise.domain.model import ModelSpec

SECOND = (
    latent_moe("deepseek-v2-lite", 27, 2048, 16, (0, 512), (128, 64, 128), (1, 10944, 1408), 6, 64,
               102400, context=163840, source=PUBLISHED, shared=2),
    *(
        latent_moe(name, 60, 5120, 128, (1536, 512), (128, 64, 128), (1, 12288, 1536), 6, 160,
                   102400, context=163840, source=PUBLISHED, shared=2)
        for name in ("deepseek-v2", "deepseek-v2.5")
    ),
)  # fmt: skip


def _third(name: str, index: tuple[int, int, int] | None = None) -> ModelSpec:
    return latent_moe(
        name, 61, 7168, 128, (1536, 512), (128, 64, 128), (3, 18432, 2048), 8, 256, 129280,
        index=index, context=163840, weights="fp8_block", draft=1,
    )  # fmt: skip


def _fourth(
    name: str, hidden: int, heads: int, q_rank: int, groups: int, experts: Experts, selected: int,
    layers: tuple[tuple[int, int], ...],
) -> ModelSpec:  # fmt: skip
    """Write V4; ``layers`` are pairs of tokens per compressed entry (0: window alone) and count."""
    blocks = []
    for ratio, count in layers:
        index = (64, 128, selected) if ratio == 4 else (0, 0, 0)
        mixer = compressed(hidden, heads, 512, (q_rank, 1024), groups, 128, ratio, index)
        blocks.append(Layer(count, mixer, experts))
    return model(
        name, hidden, 129280, tuple(blocks), context=1048576, weights="fp8_block",
        parts=(("experts", "mxfp4"),), draft=1,
    )  # fmt: skip


MODELS = (
    *SECOND,
    _third("deepseek-v3"),
    _third("deepseek-v3.1"),
    _third("deepseek-r1"),
    _third("deepseek-v3.2", (64, 128, 2048)),
    _fourth("deepseek-v4-flash", 4096, 64, 1024, 8, Experts(2048, True, 256, 6, 2048), 512,
            ((0, 2), (4, 21), (128, 20))),
    _fourth("deepseek-v4-pro", 7168, 128, 1536, 16, Experts(3072, True, 384, 6, 3072), 1024,
            ((128, 31), (4, 30))),
)  # fmt: skip
