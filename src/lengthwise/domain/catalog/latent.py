"""Models of others with multi-head latent attention: GLM and Kimi."""

from __future__ import annotations

from lengthwise.domain.blocks import kimi_delta, latent
from lengthwise.domain.catalog.builders import PUBLISHED, latent_moe, model
from lengthwise.domain.layers import Experts, FeedForward, Layer
from lengthwise.domain.model import ModelSpec


def _glm5(name: str, context: int, borrowing: int = 0) -> ModelSpec:
    return latent_moe(
        name, 78, 6144, 64, (2048, 512), (192, 64, 256), (3, 12288, 2048), 8, 256, 154880,
        index=(32, 128, 2048), borrowing=borrowing, context=context, draft=1,
    )  # fmt: skip


GLM = (
    latent_moe("glm-4.7-flash", 47, 2048, 20, (768, 512), (192, 64, 256), (1, 10240, 1536), 4, 64,
               154880, source=PUBLISHED),
    _glm5("glm-5", 202752),
    _glm5("glm-5.1", 202752),
    _glm5("glm-5.2", 1048576, borrowing=57),
)  # fmt: skip

_ONLY_EXPERTS = (("attention", "bf16"), ("dense", "bf16"), ("shared", "bf16"))


def _kimi2(name: str, context: int, weights: str, vision: float) -> ModelSpec:
    return latent_moe(
        name, 61, 7168, 64, (1536, 512), (128, 64, 128), (1, 18432, 2048), 8, 384, 163840,
        context=context, weights=weights, parts=_ONLY_EXPERTS if vision else (), other=vision,
    )  # fmt: skip


def _kimi3() -> ModelSpec:
    """Write Kimi K3: 69 layers of delta attention, 24 of gated latent attention, latent experts."""
    linear = kimi_delta(7168, 96, 128, full_gate=True)
    full = latent(7168, 96, (1536, 512), (128, 64, 128), gate=96 * 128)
    experts = Experts(3072, True, 896, 16, 2 * 3072, latent=3584)
    blocks = (
        Layer(1, linear, FeedForward(33792)), Layer(68, linear, experts), Layer(24, full, experts),
    )  # fmt: skip
    parts = (*_ONLY_EXPERTS[:2], ("recurrence", "bf16"), _ONLY_EXPERTS[2])
    return model("kimi-k3", 7168, 163840, blocks, context=1048576, weights="mxfp4", parts=parts,
                 other=0.449e9)  # fmt: skip


KIMI = (
    _kimi2("kimi-k2", 131072, "fp8_block", 0.0),
    *(_kimi2(f"kimi-k2.{version}", 262144, "int4_g32", 0.471e9) for version in "567"),
    _kimi3(),
)
MODELS = (*GLM, *KIMI)
