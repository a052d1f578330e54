"""Models that mix layers with a sliding window and layers with full attention."""

from __future__ import annotations

from lengthwise.domain.blocks import attention
from lengthwise.domain.catalog.builders import dense, model, moe
from lengthwise.domain.layers import Experts, FeedForward, Layer
from lengthwise.domain.model import ModelSpec

_MXFP4 = (("attention", "bf16"),)
GPT_OSS = tuple(
    moe(f"gpt-oss-{size}", layers, 2880, 64, 8, 64, 2880, 4, experts, 201088, full=layers // 2,
        window=128, context=131072, weights="mxfp4", parts=_MXFP4)
    for size, layers, experts in (("20b", 24, 32), ("120b", 36, 128))
)  # fmt: skip
GEMMA = (
    *(
        dense(f"gemma-2-{size}", *shape, 256000, full=full, window=4096, tied=True, context=8192)
        for size, full, shape in (
            ("2b", 13, (26, 2304, 8, 4, 256, 9216)),
            ("9b", 21, (42, 3584, 16, 8, 256, 14336)),
            ("27b", 23, (46, 4608, 32, 16, 128, 36864)),
        )
    ),
    dense("gemma-3-1b", 26, 1152, 4, 1, 256, 6912, 262144, full=4, window=512, tied=True,
          context=32768),
    *(
        dense(f"gemma-3-{size}", *shape, 262208, full=full, window=1024, tied=True, context=131072)
        for size, full, shape in (
            ("4b", 5, (34, 2560, 8, 4, 256, 10240)),
            ("12b", 8, (48, 3840, 16, 8, 256, 15360)),
            ("27b", 10, (62, 5376, 32, 16, 128, 21504)),
        )
    ),
)  # fmt: skip


def _gemma4(
    name: str, layers: int, full: int, hidden: int, heads: tuple[int, int, int],
    ffn: FeedForward | Experts, vision: float,
) -> ModelSpec:  # fmt: skip
    """Write Gemma 4: full layers have heads of 512 whose keys are their values.

    ``heads``: queries, keys and values of local layers, keys and values of full ones.
    """
    query, local_kv, full_kv = heads
    local = attention(hidden, query, local_kv, 256, window=1024)
    wide = attention(hidden, query, full_kv, 512, keys_are_values=True)
    blocks = (Layer(layers - full, local, ffn), Layer(full, wide, ffn))
    return model(name, hidden, 262144, blocks, tied=True, context=262144, other=vision)


GEMMA4 = (
    _gemma4("gemma-4-26b-a4b", 30, 5, 2816, (16, 8, 2), Experts(704, True, 128, 8, 2112), 0.573e9),
    _gemma4("gemma-4-31b", 60, 10, 5376, (32, 16, 4), FeedForward(21504), 0.576e9),
)


def _mimo2() -> ModelSpec:
    """Write MiMo-V2-Flash: values are narrower than keys, local layers have more of both."""
    full = attention(4096, 64, 4, 192, value_dim=128)
    local = attention(4096, 64, 8, 192, value_dim=128, window=128)
    experts = Experts(2048, True, 256, 8)
    blocks = Layer(1, full, FeedForward(16384)), Layer(39, local, experts), Layer(8, full, experts)
    return model("mimo-v2-flash", 4096, 152576, blocks, context=262144, weights="fp8_block")


def _step() -> ModelSpec:
    """Write Step-3.7-Flash: more heads in local layers, one gate per head."""
    full = attention(4096, 64, 8, 128, gate=64)
    local = attention(4096, 96, 8, 128, window=512, gate=96)
    first, experts = FeedForward(11264), Experts(1280, True, 288, 8, 1280)
    blocks = (
        Layer(1, full, first), Layer(2, local, first), Layer(31, local, experts),
        Layer(11, full, experts),
    )  # fmt: skip
    return model("step-3.7-flash", 4096, 128896, blocks, context=65536, draft=3)


MODELS = (*GPT_OSS, *GEMMA, *GEMMA4, _mimo2(), _step())
