"""Small made-up tables on which a formulation can be tried.

The step time behind them is affine in the work, with a little curvature for prompts, which is what
accelerators show (times in s):

    prefill, mixed   t = 0.010 + 4e-5 T + 2e-9 A
    decode           t = 0.012 + 2e-7 KV + 4e-5 B
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.data.work import work_of
from lengthwise.units import FloatArray

LENGTHS = (32, 64, 128, 384, 512, 1024, 2048, 4096)
BATCHES = {"prefill": (1, 2, 8), "decode": (1, 8, 32, 128), "mixed": (2, 8, 32)}


def points(phase: str, lengths: npt.ArrayLike, batches: npt.ArrayLike) -> pd.DataFrame:
    """Cross lengths with batch sizes.

    A mixed step holds one prompt of the given length and ``batch_size - 1`` decoding sequences that
    see as many tokens.

    Parameters
    ----------
    phase
        ``prefill``, ``decode`` or ``mixed``.
    lengths, batches
        Numbers or arrays, tokens and sequences.

    Examples
    --------
    >>> points("prefill", [128, 256], [1, 4])[["isl", "batch_size"]].values.tolist()
    [[128, 1], [128, 4], [256, 1], [256, 4]]
    """
    grid = list(itertools.product(np.atleast_1d(lengths), np.atleast_1d(batches)))
    length, batch = (np.array(column) for column in zip(*grid, strict=True))
    table = pd.DataFrame({"phase": phase, "batch_size": batch})
    if phase != "mixed":
        table["isl" if phase == "prefill" else "context_len"] = length
        return table
    table["sum_query_len"] = length + batch - 1
    table["sum_context_len"] = length * batch
    table["sum_query_x_context"] = length.astype(float) ** 2 + (batch - 1.0) * length
    return table


def times(table: pd.DataFrame, *, noise: float = 0.0, affine: bool = False) -> FloatArray:
    """Time the made-up machine.

    Parameters
    ----------
    table
        Points of one phase, shape (n, columns).
    noise
        Standard deviation of ln t; the same numbers on every call.
    affine
        Leave the curvature out.

    Returns
    -------
    array of shape (n,), seconds.

    Examples
    --------
    >>> times(points("prefill", 1000, 1), affine=True).round(6).tolist()
    [0.05]
    """
    work = work_of(table)
    if work.phase == "decode":
        exact = 0.012 + 2e-7 * work.kv_tokens + 4e-5 * work.sequences
    else:
        exact = 0.010 + 4e-5 * work.new_tokens + (0.0 if affine else 2e-9) * work.attention_pairs
    return np.asarray(exact * np.exp(noise * np.random.default_rng(0).standard_normal(len(work))))
