"""The physical terms of the online law: y = sum_k exp(theta_k) x_k, every x_k >= 0.

TTFT of a request that reaches a pod, seconds::

    start + c n                      reading the request, tokenising n prompt tokens
    + e u/(u + 48)                   a prompt too short to fill the kernels
    + a u + a' h(u, 128) + a" h(u, 512)      prefill of u uncached tokens, h(u, k) = |(u, k)| - k:
    + b u (n - u/2)                          flat while a step is not full; attention pairs
    + c P + d P^1.5                  P prompt tokens ahead of it, long ones out of proportion
    + w W + f W g(kv)                W requests that wait, for a turn and, when KV is full, for room
    + t min(R, 1) + h P/(P + 4096)           the step that is under way
    + r R + k kv + s (u + P) R + m (u + P) kv      steps shared with R running requests

TPOT, seconds per token::

    step + r R + k kv + l n + m R kv + q R^2       overhead, batch, KV read, own context, crowding
    + c P + h P/(P + 4096) + w W + j W/(W + 4)     prompts that others put between the steps
    + d D                                          D tokens in memory that are being decoded

Coefficients are exponentials, hence positive, and no term falls when a prompt or the load grows:
so neither does the sum, also far outside the data. Priors are those of an 8 B model on a data
centre GPU; a spread of 1 is a factor of 2.7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.formulations.online.rows import RouterRows
from lengthwise.units import FloatArray

TARGETS = ("ttft", "tpot")
CHUNK = 4096.0
"""Prompt tokens in flight at which steps are about half full of prompts."""
SHARED = 1.0
"""Standard deviation of the log factor that terms share."""
SHORT = 48.0
"""Prompt tokens that half fill the kernels: shorter prompts take less, longer ones no more."""
KNEES = (128.0, 512.0)
"""Prompt tokens at which prefill begins to fill a step."""
ROOM = 0.7
"""Share of KV memory from which waiting requests begin to wait for room."""


@dataclass(frozen=True)
class Term:
    """One physical term.

    Attributes
    ----------
    name, unit
        What it is, and the unit of its coefficient.
    prior
        Typical coefficient.
    spread
        Standard deviation of the logarithm of the coefficient, beside what all terms share.
    prompt
        Whether it is work on prompt tokens: such terms share a second factor.
    """

    name: str
    unit: str
    prior: float
    spread: float
    prompt: bool = False


TTFT = (
    Term("start", "s", 1.5e-2, 0.7),
    Term("tokenising", "s/token", 1e-6, 1.0),
    Term("short prompt", "s", 5e-3, 1.0),
    Term("prefill", "s/token", 6e-5, 0.5, True),
    Term("prefill beyond 128", "s/token", 1e-5, 1.0, True),
    Term("prefill beyond 512", "s/token", 1e-5, 1.0, True),
    Term("attention", "s/pair", 1.5e-9, 0.8, True),
    Term("prompts ahead", "s/token", 4e-5, 0.7, True),
    Term("long prompts ahead", "s/token^1.5", 1e-7, 1.0, True),
    Term("waiting", "s/request", 3e-2, 1.7),
    Term("waiting for room", "s/request", 5e-2, 1.7),
    Term("turn", "s", 5e-3, 1.0),
    Term("chunk ahead", "s", 1e-2, 1.2, True),
    Term("running", "s/request", 2e-4, 1.5),
    Term("cache read", "s", 1e-2, 1.5),
    Term("prefill beside decode", "s/(token request)", 1e-7, 1.2, True),
    Term("prefill beside cache read", "s/token", 5e-6, 1.2, True),
    Term("encoder", "s/token", 1e-4, 1.0, True),
)
TPOT = (
    Term("step", "s", 1e-2, 0.5),
    Term("running", "s/request", 1.5e-4, 1.0),
    Term("cache read", "s", 8e-3, 1.0),
    Term("own context", "s/token", 7e-8, 0.8),
    Term("running beside cache read", "s/request", 5e-5, 1.5),
    Term("crowding", "s/request^2", 5e-7, 1.5),
    Term("prompts in flight", "s/token", 2e-7, 1.2, True),
    Term("prompts in steps", "s", 5e-3, 1.2, True),
    Term("waiting", "s/request", 1e-4, 1.5),
    Term("queue", "s", 3e-3, 1.5),
    Term("decode tokens in flight", "s/token", 1e-7, 1.5),
)
TERMS: dict[str, tuple[Term, ...]] = {"ttft": TTFT, "tpot": TPOT}


def prior(target: str) -> tuple[FloatArray, FloatArray]:
    """Give mean (k,) and covariance (k, k) of the log coefficients.

    A slow machine is slow in everything, and a large model has long prefills of every kind: all
    terms share one factor, those of prompts another.

    >>> mean, covariance = prior("tpot")
    >>> float(np.exp(mean[0]).round(3)), covariance.shape
    (0.01, (11, 11))
    """
    terms = TERMS[target]
    prompt = np.array([SHARED if t.prompt else 0.0 for t in terms])
    covariance = np.diag([t.spread**2 for t in terms]) + SHARED**2 + np.outer(prompt, prompt)
    return np.log([t.prior for t in terms]), covariance


def matrix(target: str, rows: RouterRows) -> FloatArray:
    """Evaluate the terms, shape (n, k).

    >>> rows = RouterRows.of({"input_tokens": [1000], "cached_share": [0.5]})
    >>> matrix("ttft", rows)[0, [0, 1, 3, 6]].tolist()
    [1.0, 1000.0, 500.0, 375000.0]
    """
    return ttft_matrix(rows) if target == "ttft" else tpot_matrix(rows)


def ttft_matrix(rows: RouterRows) -> FloatArray:
    """Evaluate the terms of TTFT, shape (n, 18)."""
    x = np.empty((len(TTFT), len(rows)))
    n, ahead, running, kv = rows.input_tokens, rows.prefill_in_flight, rows.running, rows.kv_share
    uncached = np.multiply(n, 1.0 - rows.cached_share, out=x[3])
    x[0] = 1.0
    x[1] = n
    np.divide(uncached, uncached + SHORT, out=x[2])
    np.subtract(np.hypot(uncached, KNEES[0]), KNEES[0], out=x[4])
    np.subtract(np.hypot(uncached, KNEES[1]), KNEES[1], out=x[5])
    np.multiply(uncached, n - 0.5 * uncached, out=x[6])
    x[7] = ahead
    np.multiply(ahead, np.sqrt(ahead), out=x[8])
    x[9] = rows.waiting
    np.multiply(rows.waiting, np.maximum(kv - ROOM, 0.0) / (1.0 - ROOM), out=x[10])
    np.minimum(running, 1.0, out=x[11])
    np.divide(ahead, ahead + CHUNK, out=x[12])
    x[13] = running
    x[14] = kv
    work = uncached + ahead
    np.multiply(work, running, out=x[15])
    np.multiply(work, kv, out=x[16])
    np.maximum(rows.encoder_tokens - rows.encoder_matched, 0.0, out=x[17])
    return x.T


def tpot_matrix(rows: RouterRows) -> FloatArray:
    """Evaluate the terms of TPOT, shape (n, 11)."""
    x = np.empty((len(TPOT), len(rows)))
    ahead, running, waiting = rows.prefill_in_flight, rows.running, rows.waiting
    x[0] = 1.0
    x[1] = running
    x[2] = rows.kv_share
    np.add(rows.input_tokens, rows.generated, out=x[3])
    np.multiply(running, rows.kv_share, out=x[4])
    np.multiply(running, running, out=x[5])
    x[6] = ahead
    np.divide(ahead, ahead + CHUNK, out=x[7])
    x[8] = waiting
    np.divide(waiting, waiting + 4.0, out=x[9])
    x[10] = rows.decode_in_flight
    return x.T
