"""TTFT, TPOT and E2E of a request with techniques switched on, part by part.

    TPOT = (decode step + guessing) / tokens per step + prompts of others in between
    TTFT = overhead + prompt + prompts of others before it + waiting + cache sent over + network
    E2E  = TTFT + (osl - 1) TPOT

(see :mod:`lengthwise.formulations.step.serving` for the load).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lengthwise.domain.memory import MemoryUse, memory_use
from lengthwise.formulations.step.knobs.deploy import deployed
from lengthwise.formulations.step.knobs.request import Physics, Request
from lengthwise.formulations.step.knobs.speculation import expected_tokens
from lengthwise.formulations.step.knobs.steps import Work, decode_work, prompt_work
from lengthwise.formulations.step.serving import (
    Interference,
    Load,
    first_token_seconds,
    per_token_seconds,
    running_of,
)

PROMPT_BYTES = 4.0
"""Bytes of text of one token on its way to the server."""
UTILISATION = 0.9


@dataclass(frozen=True)
class RequestTimes:
    """What a request takes, and of which parts that consists; seconds.

    Attributes
    ----------
    ttft_s, tpot_s, e2e_s
        Times of the request.
    ttft_parts, tpot_parts
        What they are made of, by name; they add up.
    decode, prompt
        One decode step, and the steps of one prompt.
    tokens_per_step
        Tokens a decode step yields for a sequence.
    running, capacity
        Requests the server runs at once, and the most that fit in memory, both on average.
    pause_s
        Longest gap between two tokens: a step of somebody else's prompt in between.
    """

    ttft_s: float
    tpot_s: float
    e2e_s: float
    ttft_parts: Mapping[str, float]
    tpot_parts: Mapping[str, float]
    decode: Work
    prompt: Work
    tokens_per_step: float
    running: float
    capacity: float
    pause_s: float

    @property
    def max_concurrency(self) -> float:
        """Whole requests that fit in memory; infinite without a limit."""
        return float(np.floor(self.capacity))


def request_times(request: Request) -> RequestTimes:
    """Time a request.

    Parameters
    ----------
    request
        Deployment, lengths, load and techniques.

    Returns
    -------
    RequestTimes
        Seconds, with their parts.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> from lengthwise.formulations.step.step_model import StepModel
    >>> step = StepModel.of(find_model("llama3.1-8b"), find_hardware("h100_sxm"), precision="bf16")
    >>> plain = request_times(Request(step, isl=8192, osl=512, concurrency=16))
    >>> half = request_times(Request(step, isl=8192, osl=512, concurrency=16).having(cached=0.5))
    >>> 0.4 < half.ttft_s / plain.ttft_s < 0.8
    True
    """
    physics = request.physics
    capacity = capacity_of(request)
    in_flight = np.array([request.concurrency])
    running = running_of(in_flight, np.array([capacity * request.interference.room]))
    decode = decode_work(request, float(running[0]))
    others = max(float(running[0]) - 1.0, 0.0)
    mixed = physics.mixed and others > 0 and not physics.separate
    prompt = prompt_work(request, others if mixed else 0.0)
    between_s = _between(request, decode, prompt, others) if mixed else prompt.seconds
    clash = _clash(request.interference, physics)
    load = Load.of(in_flight, np.array([capacity * request.interference.room]),
                   np.array([request.osl]), request.step.parallelism.dp)  # fmt: skip
    yields = expected_tokens(physics.drafts or physics.own_heads, physics.acceptance)
    step_s = decode.seconds / yields
    tpot = _only(per_token_seconds(load, _one(step_s), _one(between_s), clash.between))
    tpot_parts = {
        "decode step": step_s, "prompts in between": tpot - step_s,
        "network": _network_per_token(physics, tpot),
    }  # fmt: skip
    tpot += tpot_parts["network"]
    ttft_parts = _first(request, load, decode.seconds, prompt.seconds, tpot, clash)
    ttft = sum(ttft_parts.values())
    apart = others < 1 or physics.separate
    pause = decode.seconds if apart else _pause(prompt, decode, mixed)
    return RequestTimes(
        ttft, tpot, ttft + (request.osl - 1.0) * tpot, ttft_parts, tpot_parts, decode, prompt,
        yields, float(running[0]), capacity, pause,
    )  # fmt: skip


def capacity_of(request: Request) -> float:
    """Count the requests that fit at mean length; infinite where not even the weights fit."""
    return memory_of(request, request.context).room / request.physics.beams


def memory_of(request: Request, tokens: float, sequences: int = 1) -> MemoryUse:
    """Say what the request's deployment keeps in memory, techniques included."""
    physics = request.physics
    step = deployed(request.step, physics)
    hardware = step.hardware
    bits = step.formats.kv_bits * physics.stored * (1.0 - physics.cache_away)

    def use(memory_bytes: float) -> MemoryUse:
        place = replace(hardware, memory_bytes=memory_bytes)
        return memory_use(
            step.model, place, step.parallelism, precision=step.precision, kv_bits=bits,
            tokens_per_sequence=tokens, sequences=sequences * physics.beams,
        )  # fmt: skip

    found = use(hardware.memory_bytes)
    if not physics.weights_away:
        return found
    away = physics.weights_away * found.weights_bytes
    wider = use(hardware.memory_bytes + away / UTILISATION)
    return replace(wider, weights_bytes=found.weights_bytes - away,
                   available_bytes=found.available_bytes)  # fmt: skip


def _between(request: Request, decode: Work, prompt: Work, others: float) -> float:
    """Give what a prompt adds to the steps it shares with decoding requests."""
    alone = decode_work(request, others).seconds if others >= 1 else decode.seconds
    return max(0.0, prompt.seconds - prompt.steps * alone)


def _pause(prompt: Work, decode: Work, mixed: bool) -> float:
    """Longest gap between two tokens: a step of a prompt, and one's own."""
    one = prompt.seconds / prompt.steps
    return max(decode.seconds, one) if mixed else one + decode.seconds


def _clash(usual: Interference, physics: Physics) -> Interference:
    """Interference with prompts on processors of their own: none waits for a decode step."""
    return replace(usual, between=0.0, wait=0.0) if physics.separate else usual


def _first(
    request: Request, load: Load, decode_s: float, prompt_s: float, tpot_s: float,
    clash: Interference,
) -> dict[str, float]:  # fmt: skip
    physics = request.physics

    def until(decode: float, prompt: float, per_token: float, together: float) -> float:
        return _only(first_token_seconds(load, _one(decode), _one(prompt), _one(per_token),
                                         together, clash.wait))  # fmt: skip

    own = 0.0 if physics.separate else prompt_s
    parts = {"request overhead": clash.overhead_s, "prompt": prompt_s}
    parts["other prompts"] = until(0.0, prompt_s, 0.0, clash.together) - until(
        0.0, prompt_s, 0.0, 0.0
    )
    parts["step in progress"] = until(decode_s, 0.0, 0.0, 0.0)
    parts["queue for memory"] = until(0.0, own, tpot_s, 0.0) - own
    parts["compressor"] = physics.compressor_s * request.isl if physics.prompt < 1.0 else 0.0
    parts["cache sent over"] = _handover(request)
    parts["network"] = _network_first(physics, request.isl)
    return parts


def _handover(request: Request) -> float:
    """Seconds to send the cache of a prompt from the processors that computed it."""
    if not request.physics.separate:
        return 0.0
    step = deployed(request.step, request.physics)
    link = request.physics.handover_bytes_per_s or step.hardware.internode_bytes_per_s
    cache = step.model.kv_bytes(request.tokens, step.formats.kv_bits * request.physics.stored)
    return cache / (link * step.parallelism.gpus)


def _network_first(physics: Physics, isl: float) -> float:
    sent = (isl * PROMPT_BYTES + physics.token_bytes) / physics.network_bytes_per_s
    return physics.round_trip_s * (1.0 + physics.token_round_trips) + sent


def _network_per_token(physics: Physics, tpot_s: float) -> float:
    """Round trips a token waits for; a stream's bytes flow while the next token is computed."""
    waits = physics.token_round_trips * physics.round_trip_s
    sent = physics.token_bytes / physics.network_bytes_per_s
    return waits + max(0.0, sent - tpot_s - waits)


def _one(value: float) -> Any:
    return np.array([value])


def _only(values: Any) -> float:
    return float(values[0])
