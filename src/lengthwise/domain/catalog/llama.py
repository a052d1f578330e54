"""Llama and Mistral models, and the distillations built on Llama."""

from __future__ import annotations

from lengthwise.domain.catalog.builders import CONFIG, dense, moe

LLAMA = (
    dense("llama-7b", 32, 4096, 32, 32, 128, 11008, 32000, context=2048),
    dense("llama-13b", 40, 5120, 40, 40, 128, 13824, 32000, context=2048),
    dense("llama2-7b", 32, 4096, 32, 32, 128, 11008, 32000, context=4096),
    dense("llama2-13b", 40, 5120, 40, 40, 128, 13824, 32000, context=4096),
    dense("llama2-70b", 80, 8192, 64, 8, 128, 28672, 32000, context=4096, tables=True),
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
    dense("mistral-7b", 32, 4096, 32, 8, 128, 14336, 32768, context=32768),
    dense("mistral-nemo-12b", 40, 5120, 32, 8, 128, 14336, 131072, context=131072),
    dense("mistral-small-24b", 40, 5120, 32, 8, 128, 32768, 131072, context=32768),
    moe("mixtral-8x7b", 32, 4096, 32, 8, 128, 14336, 2, 8, 32000, context=32768),
    moe("mixtral-8x22b", 56, 6144, 48, 8, 128, 16384, 2, 8, 32000, context=65536),
)
MODELS = (*LLAMA, *MISTRAL)
