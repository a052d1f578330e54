"""Adapters that are not merged: two thin products beside every matrix."""

from __future__ import annotations

from lengthwise.formulations.step.knobs.base import Knob, setting

LORA = ("LoRA, arXiv 2106.09685", "S-LoRA, arXiv 2311.03285", "Punica, arXiv 2310.18547")

KNOBS = (
    Knob(
        "lora_rank", "LoRA",
        "Adds two products of this rank to every matrix outside routed experts.",
        setting("lora_rank"), "count", default=0, most=1024, unit="rank", sources=LORA,
    ),
    Knob(
        "lora_adapters", "LoRA",
        "Sets how many different adapters a step reads, at most one per sequence.",
        setting("adapters"), "count", default=1, least=1, most=4096, unit="adapters",
        sources=LORA[1:],
    ),
)  # fmt: skip
