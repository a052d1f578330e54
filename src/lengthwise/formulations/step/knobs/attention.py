"""Which query-key pairs attention computes, and what it writes to memory on the way."""

from __future__ import annotations

from typing import Any

from lengthwise.formulations.step.knobs.base import Knob, setting
from lengthwise.formulations.step.knobs.request import Request


def _kernel(request: Request, value: Any) -> Request:
    return request.having(eager=value == "eager")


SPARSE = (
    "MInference, arXiv 2407.02490", "SampleAttention, arXiv 2406.15486", "Kascade", "SALE",
    "CritiPrefill",
)  # fmt: skip

KNOBS = (
    Knob(
        "attention", "attention",
        "Decides whether scores stay on the chip (flash) or are written to memory (eager).",
        _kernel, "choice", default="flash", choices=("flash", "eager"),
        sources=("FlashAttention, arXiv 2205.14135", "FlashAttention-2, arXiv 2307.08691"),
    ),
    Knob(
        "prefill_density", "sparse attention",
        "Sets the share of the query-key pairs of a prompt that are computed.",
        setting("pairs"), "share", default=1.0, least=0.005, most=1.0, sources=SPARSE,
    ),
    Knob(
        "prefill_index_cost", "sparse attention",
        "Adds the choice of those pairs, as a share of computing all of them.",
        setting("pairs_index"), "share", default=0.0, most=1.0, sources=SPARSE[:2],
    ),
    Knob(
        "sliding_window", "sliding window",
        "Limits the tokens a query sees, and the cache kept, in layers that see all.",
        setting("window"), "count", least=16, most=1e7, unit="tokens",
        sources=("Mistral 7B, arXiv 2310.06825", "StreamingLLM, arXiv 2309.17453"),
        unset="the model's own",
    ),
)  # fmt: skip
