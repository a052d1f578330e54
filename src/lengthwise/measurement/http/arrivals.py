"""When the requests of an open loop arrive: drawn before the first one is sent."""

from __future__ import annotations

import numpy as np

from lengthwise.errors import InputError
from lengthwise.units import FloatArray

ARRIVALS = ("poisson", "constant", "gamma")


def arrival_times(
    n: int, request_rate: float, *, arrival: str = "poisson", burstiness: float = 1.0, seed: int = 0
) -> FloatArray:
    """Give the arrival times of ``n`` requests in seconds from the start, the first at 0.

    Parameters
    ----------
    request_rate
        Mean rate, requests/s.
    arrival
        ``constant``; ``poisson``; or ``gamma``, gaps whose shape is ``burstiness``: 1 is Poisson,
        below 1 arrivals come in bursts, above 1 they are more even.

    Examples
    --------
    >>> arrival_times(4, 10.0, arrival="constant").tolist()
    [0.0, 0.1, 0.2, 0.3]
    >>> round(float(arrival_times(10_000, 10.0, arrival="gamma", burstiness=0.5)[-1]), -1)
    1000.0
    """
    if arrival not in ARRIVALS:
        raise InputError(f"the arrival must be one of {', '.join(ARRIVALS)}", got=repr(arrival),
                         remedy="write poisson")  # fmt: skip
    if not (np.isfinite(request_rate) and request_rate > 0):
        raise InputError("a request rate must be positive", got=f"{request_rate:g} requests/s",
                         remedy="write for example 4")  # fmt: skip
    if not (np.isfinite(burstiness) and burstiness > 0):
        raise InputError("burstiness must be positive", got=f"{burstiness:g}",
                         remedy="write 1 for Poisson arrivals")  # fmt: skip
    if arrival == "constant":
        return np.arange(n) / request_rate
    shape = burstiness if arrival == "gamma" else 1.0
    gaps = np.random.default_rng(seed).gamma(shape, 1.0 / (request_rate * shape), max(n - 1, 0))
    times: FloatArray = np.concatenate([[0.0], np.cumsum(gaps)])[:n]
    return times
