"""Less of the model: layers left out, rows and columns taken out of its matrices."""

from __future__ import annotations

from lengthwise.formulations.step.knobs.base import Knob, setting

EXIT = ("CALM, arXiv 2207.07061", "LayerSkip, arXiv 2404.16710", "FREE", "FiRST")

KNOBS = (
    Knob(
        "early_exit", "early exit",
        "Sets the share of the layers that generated tokens pass; prompts pass all.",
        setting("decode_layers"), "share", default=1.0, least=0.05, most=1.0, sources=EXIT,
    ),
    Knob(
        "active_layers", "layer skipping",
        "Sets the share of the layers that all tokens pass; the others stay in memory.",
        setting("layers"), "share", default=1.0, least=0.05, most=1.0,
        sources=("ShortGPT, arXiv 2403.03853", "FiRST", EXIT[1]),
    ),
    Knob(
        "pruned", "pruning",
        "Sets the share of rows or columns taken out of every matrix of the blocks.",
        setting("pruned"), "share", default=0.0, most=0.9,
        sources=("LLM-Pruner, arXiv 2305.11627", "SliceGPT, arXiv 2401.15024",
                 "Deja Vu, arXiv 2310.17157"),
    ),
)  # fmt: skip
