"""How much of the cache is kept, and how much of it a token reads."""

from __future__ import annotations

from lengthwise.formulations.step.knobs.base import Knob, setting

SELECTION = (
    "Quest, arXiv 2406.10774", "TokenSelect, arXiv 2411.02886", "Loki, arXiv 2406.02542",
    "AttentionPredictor", "Squeezed Attention",
)  # fmt: skip

KNOBS = (
    Knob(
        "kv_kept", "cache compression",
        "Sets the share of cached tokens that is kept: less is read and more requests fit.",
        setting("stored"), "share", default=1.0, least=0.005, most=1.0,
        sources=("H2O, arXiv 2306.14048", "SnapKV, arXiv 2404.14469", "TimeBill, arXiv 2512.21859"),
    ),
    Knob(
        "kv_read", "cache selection",
        "Sets the share of the kept cache that a token reads; all of it stays in memory.",
        setting("read"), "share", default=1.0, least=0.005, most=1.0, sources=SELECTION,
    ),
    Knob(
        "kv_selection_cost", "cache selection",
        "Adds the choice of what to read, as a share of reading all that is kept.",
        setting("read_index"), "share", default=0.0, most=1.0, sources=SELECTION[:3],
    ),
)  # fmt: skip
