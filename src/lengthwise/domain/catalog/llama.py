"""Llama and Mistral models, and those of others built like Llama."""

from __future__ import annotations

from lengthwise.domain.blocks import attention
from lengthwise.domain.catalog.builders import CONFIG, dense, model, moe
from lengthwise.domain.layers import Experts, FeedForward, Layer
from lengthwise.domain.model import ModelSpec

LLAMA = (
    dense("llama-7b", 32, 4096, 32, 32, 128, 11008, 32000, context=2048),
    dense("llama-13b", 40, 5120, 40, 40, 128, 13824, 32000, context=2048),
    dense("llama2-7b", 32, 4096, 32, 32, 128, 11008, 32000, context=4096),
    dense("llama2-13b", 40, 5120, 40, 40, 128, 13824, 32000, context=4096),
    dense("llama2-70b", 80, 8192, 64, 8, 128, 28672, 32000, context=4096, tables=True),
    dense("codellama-34b", 48, 8192, 64, 8, 128, 22016, 32000, context=16384),
    dense("tinyllama-1.1b", 22, 2048, 32, 4, 64, 5632, 32000, context=2048),
    dense("llama3-8b", 32, 4096, 32, 8, 128, 14336, 128256, context=8192),
    dense("llama3-70b", 80, 8192, 64, 8, 128, 28672, 128256, context=8192),
    dense("llama3.1-8b", 32, 4096, 32, 8, 128, 14336, 128256, context=131072, source=CONFIG),
    dense("llama3.1-70b", 80, 8192, 64, 8, 128, 28672, 128256, context=131072, source=CONFIG),
    dense("llama3.1-405b", 126, 16384, 128, 8, 128, 53248, 128256, context=131072, source=CONFIG),
    dense("llama3.2-1b", 16, 2048, 32, 8, 64, 8192, 128256, context=131072, tied=True),
    dense("llama3.2-3b", 28, 3072, 24, 8, 128, 8192, 128256, context=131072, tied=True),
    dense("llama3.3-70b", 80, 8192, 64, 8, 128, 28672, 128256, context=131072),
    dense("deepseek-r1-distill-llama-8b", 32, 4096, 32, 8, 128, 14336, 128256, context=131072),
    dense("deepseek-r1-distill-llama-70b", 80, 8192, 64, 8, 128, 28672, 128256, context=131072),
)
MISTRAL = (
    dense(
        "mistral-7b-v0.1", 32, 4096, 32, 8, 128, 14336, 32000, full=0, window=4096, context=32768
    ),
    dense("mistral-7b", 32, 4096, 32, 8, 128, 14336, 32768, context=32768),
    dense("mistral-nemo-12b", 40, 5120, 32, 8, 128, 14336, 131072, context=131072),
    dense("mistral-small-24b", 40, 5120, 32, 8, 128, 32768, 131072, context=32768),
    dense("mistral-large-123b", 88, 12288, 96, 8, 128, 28672, 32768, context=131072),
    moe("mixtral-8x7b", 32, 4096, 32, 8, 128, 14336, 2, 8, 32000, context=32768),
    moe("mixtral-8x22b", 56, 6144, 48, 8, 128, 16384, 2, 8, 32000, context=65536),
)


def _llama4(name: str, experts: int, dense_layers: int, context: int) -> ModelSpec:
    """Write Llama 4: chunked attention but in every fourth layer, an expert beside a shared one.

    Maverick has dense layers at every second place, so all layers with full attention have experts.
    """
    local, full = (attention(5120, 40, 8, 128, window=window) for window in (8192, None))
    routed = Experts(8192, True, experts, 1, 8192)
    blocks = [Layer(36 - dense_layers, local, routed), Layer(12, full, routed)]
    if dense_layers:
        blocks.insert(0, Layer(dense_layers, local, FeedForward(16384)))
    return model(name, 5120, 202048, tuple(blocks), context=context)


LLAMA4 = (
    _llama4("llama-4-scout-17b-16e", 16, 0, 10485760),
    _llama4("llama-4-maverick-17b-128e", 128, 24, 1048576),
)
MODELS = (*LLAMA, *MISTRAL, *LLAMA4)
