"""Models with multi-head latent attention: DeepSeek, Kimi, GLM."""

from __future__ import annotations

from lengthwise.domain.catalog.builders import CONFIG, PUBLISHED, latent_moe
from lengthwise.domain.model import ModelSpec


def _deepseek(name: str, source: str = CONFIG) -> ModelSpec:
    return latent_moe(
        name, 61, 7168, 128, (1536, 512), (128, 64, 128), (3, 18432, 2048), 8, 256, 129280,
        context=163840, weights="fp8_block", source=source,
    )  # fmt: skip


MODELS = (
    _deepseek("deepseek-v3"),
    _deepseek("deepseek-v3.1", PUBLISHED),
    _deepseek("deepseek-r1"),
    latent_moe("glm-4.7-flash", 47, 2048, 20, (768, 512), (192, 64, 256), (1, 10240, 1536), 4, 64,
               154880, source=PUBLISHED),
)  # fmt: skip
