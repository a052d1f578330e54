"""Prompts on processors of their own, beams, and the network between user and server."""

from __future__ import annotations

from typing import Any

from lengthwise.formulations.step.knobs.base import Knob, setting
from lengthwise.formulations.step.knobs.request import Request

APART = ("DistServe, arXiv 2401.09670", "Splitwise, arXiv 2311.18677", "Mooncake, arXiv 2407.00079")
EDGE = ("TPI-LLM, arXiv 2410.00531", "RefactorCoderQA", "Dedelayed")


def _network(request: Request, value: Any) -> Request:
    return request.having(network_bytes_per_s=value * 1e6 / 8)


KNOBS = (
    Knob(
        "disaggregated", "disaggregation",
        "Gives prompts processors of their own: none interrupts a token, the cache is sent over.",
        setting("separate"), "switch", default=False, sources=APART,
    ),
    Knob(
        "kv_transfer_bandwidth", "disaggregation",
        "Sets the bandwidth for the cache per processor, instead of the link between nodes.",
        setting("handover_bytes_per_s", 1e9), "number", least=1e-3, most=1e5, unit="GB/s",
        sources=APART, unset="the catalogue's",
    ),
    Knob(
        "beams", "beam search",
        "Multiplies the sequences that decode for one request.",
        setting("beams"), "count", default=1, least=1, most=64, unit="sequences",
        sources=("PagedAttention, arXiv 2309.06180",),
    ),
    Knob(
        "rtt_ms", "network",
        "Adds a round trip between user and server to the first token.",
        lambda r, v: r.having(round_trip_s=v / 1e3), "number", default=0.0, most=1e5, unit="ms",
        sources=EDGE,
    ),
    Knob(
        "token_round_trips", "network",
        "Sets the round trips each token waits for when a model is split over the network.",
        setting("token_round_trips"), "number", default=0.0, most=1000, sources=EDGE[:1],
    ),
    Knob(
        "network_mbps", "network",
        "Limits the bytes of prompt and answer per second.",
        _network, "number", least=1e-3, most=1e6, unit="Mbit/s", sources=EDGE,
        unset="unlimited",
    ),
    Knob(
        "token_bytes", "network",
        "Sets the bytes sent for one token of the answer; a streamed chunk has about 250.",
        setting("token_bytes"), "number", default=250.0, most=1e6, unit="bytes", sources=EDGE[:1],
    ),
)  # fmt: skip
