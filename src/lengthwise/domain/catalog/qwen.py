"""Qwen models, and the distillations built on them."""

from __future__ import annotations

from lengthwise.domain.blocks import attention, gated_delta
from lengthwise.domain.catalog.builders import CONFIG, PUBLISHED, dense, model, moe
from lengthwise.domain.layers import Experts, FeedForward, Layer
from lengthwise.domain.model import ModelSpec

_SMALL, _LARGE = 151936, 152064
QWEN2 = (
    dense("qwen1.5-7b", 32, 4096, 32, 32, 128, 11008, _SMALL, context=32768),
    *(
        dense(f"{family}-{size}", *shape, tied=tied, context=32768)
        for family in ("qwen2", "qwen2.5")
        for size, tied, shape in (
            ("0.5b", True, (24, 896, 14, 2, 64, 4864, _SMALL)),
            ("1.5b", True, (28, 1536, 12, 2, 128, 8960, _SMALL)),
            ("7b", False, (28, 3584, 28, 4, 128, 18944, _LARGE)),
            ("72b", False, (80, 8192, 64, 8, 128, 29568, _LARGE)),
        )
    ),
    dense("qwen2.5-3b", 36, 2048, 16, 2, 128, 11008, _SMALL, tied=True, context=32768),
    dense("qwen2.5-14b", 48, 5120, 40, 8, 128, 13824, _LARGE, context=32768),
    dense("qwen2.5-32b", 64, 5120, 40, 8, 128, 27648, _LARGE, context=32768),
    dense("deepseek-r1-distill-qwen-1.5b", 28, 1536, 12, 2, 128, 8960, _SMALL, context=131072),
    dense("deepseek-r1-distill-qwen-7b", 28, 3584, 28, 4, 128, 18944, _LARGE, context=131072),
    dense("deepseek-r1-distill-qwen-14b", 48, 5120, 40, 8, 128, 13824, _LARGE, context=131072),
    dense("deepseek-r1-distill-qwen-32b", 64, 5120, 40, 8, 128, 27648, _LARGE, context=131072),
)
QWEN3 = (
    dense("qwen3-0.6b", 28, 1024, 16, 8, 128, 3072, _SMALL, tied=True, context=40960,
          source=CONFIG),
    dense("qwen3-1.7b", 28, 2048, 16, 8, 128, 6144, _SMALL, tied=True, context=40960,
          source=CONFIG),
    dense("qwen3-4b", 36, 2560, 32, 8, 128, 9728, _SMALL, tied=True, context=40960),
    dense("qwen3-8b", 36, 4096, 32, 8, 128, 12288, _SMALL, context=40960, source=CONFIG),
    dense("qwen3-14b", 40, 5120, 40, 8, 128, 17408, _SMALL, context=40960),
    dense("qwen3-32b", 64, 5120, 64, 8, 128, 25600, _SMALL, context=40960, source=CONFIG),
    moe("qwen3-30b-a3b", 48, 2048, 32, 4, 128, 768, 8, 128, _SMALL, context=40960),
    moe("qwen3-235b-a22b", 94, 4096, 64, 4, 128, 1536, 8, 128, _SMALL, context=40960),
    moe("qwen3-coder-480b-a35b", 62, 6144, 96, 8, 128, 2560, 8, 160, _SMALL, context=262144),
)  # fmt: skip
_LONG = 262144
QWEN3_VL = (
    dense("qwen3-vl-2b", 28, 2048, 16, 8, 128, 6144, _SMALL, tied=True, context=_LONG,
          other=0.407e9, source=CONFIG),
    dense("qwen3-vl-4b", 36, 2560, 32, 8, 128, 9728, _SMALL, tied=True, context=_LONG,
          other=0.415e9, source=CONFIG),
    dense("qwen3-vl-8b", 36, 4096, 32, 8, 128, 12288, _SMALL, context=_LONG, other=0.576e9,
          source=CONFIG),
    dense("qwen3-vl-32b", 64, 5120, 64, 8, 128, 25600, _SMALL, context=_LONG, other=0.596e9,
          source=CONFIG),
    moe("qwen3-vl-30b-a3b", 48, 2048, 32, 4, 128, 768, 8, 128, _SMALL, context=_LONG,
        other=0.538e9),
    moe("qwen3-vl-235b-a22b", 94, 4096, 64, 4, 128, 1536, 8, 128, _SMALL, context=_LONG,
        other=0.577e9),
)  # fmt: skip


def _qwen35(
    name: str, layers: int, hidden: int, heads: tuple[int, int], states: int,
    ffn: FeedForward | Experts, vision: float, vocab: int = 248320, source: str = CONFIG,
) -> ModelSpec:  # fmt: skip
    """Write Qwen3.5: three layers of the gated delta rule, then one of gated attention.

    Qwen3-Next is alike, with another vocabulary.
    """
    query_heads, kv_heads = heads
    full = attention(hidden, query_heads, kv_heads, 256, gate=query_heads * 256)
    linear = gated_delta(hidden, 16, states, 128, 128)
    blocks = (Layer(layers - layers // 4, linear, ffn), Layer(layers // 4, full, ffn))
    return model(
        name, hidden, vocab, blocks, context=_LONG, other=vision, draft=1, source=source
    )  # fmt: skip


QWEN35 = (
    _qwen35("qwen3-next-80b-a3b", 48, 2048, (16, 2), 32, Experts(512, True, 512, 10, 512), 0.0,
            _SMALL, PUBLISHED),
    _qwen35("qwen3.5-27b", 64, 5120, (24, 4), 48, FeedForward(17408), 0.461e9),
    _qwen35("qwen3.5-35b-a3b", 40, 2048, (16, 2), 32, Experts(512, True, 256, 8, 512), 0.446e9),
    _qwen35("qwen3.5-122b-a10b", 48, 3072, (32, 2), 64, Experts(1024, True, 256, 8, 1024), 0.451e9),
    _qwen35("qwen3.5-397b-a17b", 60, 4096, (32, 2), 64, Experts(1024, True, 512, 10, 1024),
            0.456e9),
)  # fmt: skip
MODELS = (*QWEN2, *QWEN3, *QWEN3_VL, *QWEN35)
