"""Architecture facts of known decoder-only models, one file per family.

Full-attention layers and layers with a window are told apart; ``source`` says where an entry comes
from. The files hold plain sizes; :mod:`lengthwise.domain.catalog.builders` makes specs of them.
"""

from __future__ import annotations

from lengthwise.domain.catalog import (
    deepseek,
    glm,
    latent,
    llama,
    minimax,
    nemotron,
    older,
    qwen,
    windowed,
)
from lengthwise.domain.catalog.aliases import ALIASES
from lengthwise.domain.catalog.builders import CONFIG, PUBLISHED
from lengthwise.domain.model import ModelSpec

__all__ = ["ALIASES", "CONFIG", "MODELS", "PUBLISHED"]

MODELS: tuple[ModelSpec, ...] = (
    *llama.MODELS, *qwen.MODELS, *deepseek.MODELS, *latent.MODELS, *glm.MODELS, *windowed.MODELS,
    *minimax.MODELS, *nemotron.MODELS, *older.MODELS,
)  # fmt: skip
"""Every known model."""
