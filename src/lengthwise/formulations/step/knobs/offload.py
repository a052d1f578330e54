"""Weights or cache in slower memory, fetched over a link in every step."""

from __future__ import annotations

from typing import Any

from lengthwise.formulations.step.knobs.base import Knob, setting
from lengthwise.formulations.step.knobs.request import Request

DISK_BYTES_PER_S = 7e9
"""Sequential reading from a PCIe 4.0 NVMe drive, as datasheets give it."""
OFFLOAD = ("FlexGen, arXiv 2303.06865", "DeepSpeed Inference, arXiv 2207.00032",
           "TPI-LLM, arXiv 2410.00531", "LeoAM", "EnergonAI")  # fmt: skip


def _tier(request: Request, value: Any) -> Request:
    return request.having(away_bytes_per_s=DISK_BYTES_PER_S if value == "disk" else None)


KNOBS = (
    Knob(
        "offload_weights", "offloading",
        "Sets the share of the weights outside the processor's memory, fetched in every step.",
        setting("weights_away"), "share", default=0.0, most=1.0, sources=OFFLOAD,
    ),
    Knob(
        "offload_kv", "offloading",
        "Sets the share of the cache outside the processor's memory, fetched when it is read.",
        setting("cache_away"), "share", default=0.0, most=0.99, sources=OFFLOAD,
    ),
    Knob(
        "offload_tier", "offloading",
        "Chooses where that is: the host's memory or a disk (7 GB/s).",
        _tier, "choice", default="host", choices=("host", "disk"), sources=OFFLOAD[:2],
    ),
    Knob(
        "offload_bandwidth", "offloading",
        "Sets the bandwidth to there, instead of the catalogue's.",
        setting("away_bytes_per_s", 1e9), "number", least=1e-3, most=1e4, unit="GB/s",
        sources=OFFLOAD[:2], unset="the catalogue's",
    ),
    Knob(
        "offload_overlap", "offloading",
        "Lets transfers hide behind the work of the step.",
        setting("overlap"), "switch", default=True, sources=OFFLOAD[:1],
    ),
)  # fmt: skip
