r"""Requests under load: continuous batching in a closed loop, as a steady state.

C clients keep C requests in flight; the server runs B <= C of them (what fits in its memory). A
request needs its prompt prefilled (P seconds) and osl - 1 decode steps (D seconds each at batch B).
While it decodes, each of the others finishes and is replaced once per osl steps or so, so that

    TPOT = D + m (B - 1) / osl * P             m: part of the prompts that fall between tokens
    TTFT = h + P (1 + b (B - 1) / 2) + a D + Q     b: part of the prompts that arrive together
    Q    = (C - B) / B * (P + (osl - 1) TPOT)  waiting for a place (Little 1961)

m and b are properties of engine and load: requests that start together and have equal lengths stay
in step, so their prompts queue (b) instead of interrupting tokens (m); random lengths desynchronise
them. Both are fitted. Compare the mean-field batching of AIConfigurator and the fixed point of
Vidur's capacity search (arXiv 2405.05465).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.units import FloatArray

SHARP = 8.0
"""How sudden the memory is full."""


@dataclass(frozen=True)
class Interference:
    """How requests in flight get into each other's way.

    Attributes
    ----------
    between
        m, share of other prompts that interrupt decoding, 0 to 1.
    together
        b, share of other prompts that are in the queue when one arrives, 0 to 1. Until it is
        fitted a tenth: a run of ten times as many requests as are in flight starts with one burst.
    wait
        a, decode steps before a prompt starts.
    overhead_s
        h, seconds a request takes outside the steps: HTTP, tokeniser, scheduler. Until it is
        fitted, what BLIS published for vLLM (inference-sim, 15.6 ms).
    room
        Requests that fit in memory, as a multiple of what the specifications say.
    launch_s
        Seconds the host needs to launch one layer. It hides behind kernels that take longer; a
        captured graph launches a layer in a few microseconds, an eager one in a few hundred (SKIP,
        launch-bound regime).
    """

    between: float = 0.5
    together: float = 0.1
    wait: float = 1.0
    overhead_s: float = 15.6e-3
    room: float = 1.0
    launch_s: float = 8e-6


@dataclass(frozen=True)
class Load:
    """Requests in flight, arrays of shape (n,).

    Attributes
    ----------
    in_flight
        C, requests the clients keep in flight.
    running
        B, requests the server runs at once.
    osl
        Output tokens of a request.
    """

    in_flight: FloatArray
    running: FloatArray
    osl: FloatArray

    @classmethod
    def of(
        cls, in_flight: FloatArray, capacity: FloatArray, osl: FloatArray, copies: Any = 1
    ) -> Load:
        """Give the load of one of ``copies`` data-parallel copies, which take prompts side by side.

        >>> Load.of(np.array([64.0]), np.array([1e9]), np.array([100.0]), 8).running.round(3)
        array([8.])
        """
        each = np.maximum(np.asarray(in_flight, float) / copies, 1.0)
        return cls(each, running_of(each, np.asarray(capacity, float) / copies), osl)


def running_of(in_flight: FloatArray, capacity: FloatArray) -> FloatArray:
    """Give the requests the server runs at once: those in flight, as far as they fit; shape (n,).

    A smooth minimum, since lengths vary and the cache fills at times before it does on average.

    >>> running_of(np.array([8.0, 64.0]), np.array([100.0, 32.0])).round(1)
    array([ 8., 32.])
    """
    share = in_flight / capacity
    return np.asarray(np.maximum(in_flight * (1.0 + share**SHARP) ** (-1.0 / SHARP), 1.0))


def per_token_seconds(
    load: Load, decode_s: FloatArray, prompt_s: FloatArray, between: FloatArray | float
) -> FloatArray:
    """Mean time per output token after the first, seconds, shape (n,).

    >>> load = Load(np.array([17.0]), np.array([17.0]), np.array([160.0]))
    >>> float(per_token_seconds(load, np.array([0.01]), np.array([0.05]), 0.6)[0].round(6))
    0.013
    """
    others = np.maximum(load.running - 1.0, 0.0) / np.maximum(load.osl, 1.0)
    return np.asarray(decode_s + between * others * prompt_s)


def first_token_seconds(
    load: Load, decode_s: FloatArray, prompt_s: FloatArray, tpot_s: FloatArray,
    together: FloatArray | float, wait: FloatArray | float, overhead_s: FloatArray | float = 0.0,
) -> FloatArray:  # fmt: skip
    """Mean time to the first token, seconds, shape (n,).

    >>> one = np.array([1.0])
    >>> alone = Load(one, one, np.array([100.0]))
    >>> float(first_token_seconds(alone, 0.01 * one, 0.05 * one, 0.01 * one, 0.3, 1.0)[0])
    0.060000000000000005
    """
    burst = 1.0 + together * np.maximum(load.running - 1.0, 0.0) / 2.0
    service = prompt_s + np.maximum(load.osl - 1.0, 0.0) * tpot_s
    queue = np.maximum(load.in_flight / load.running - 1.0, 0.0) * service
    return np.asarray(overhead_s + prompt_s * burst + wait * decode_s + queue)
