"""Predict many points of one law at full speed: blocks that stay in the processor's cache."""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.calibration.phase_law import SAME, PhaseLaw
from lengthwise.domain.work import Work
from lengthwise.errors import ColumnError
from lengthwise.formulations.base import Formulation
from lengthwise.prediction.chunked import prefill_seconds
from lengthwise.units import MS_PER_S, FloatArray

BLOCK = 16_384
"""Points per block: half a dozen arrays of doubles fit a second-level cache of 1 MiB."""


def predict_all(
    law: PhaseLaw, length: Any, batch_size: Any = 1.0, cached_tokens: Any = 0.0
) -> FloatArray:
    """Predict steps, and prompts longer than the chunk a law was measured in, milliseconds.

    Parameters
    ----------
    law
        A law of ``prefill`` or ``decode``.
    length
        ``isl`` or ``context_len``, tokens.
    batch_size, cached_tokens
        Numbers or arrays; all broadcast.

    Returns
    -------
    array of the broadcast shape.
    """
    times = predict_blocks(law.law, law.phase, length, batch_size, cached_tokens)
    if law.domain.chunk is None:
        return times
    shapes = (np.asarray(v, dtype=float) for v in (length, batch_size, cached_tokens))
    context, batch, cached = np.broadcast_arrays(*shapes)
    rows = context - cached > law.domain.chunk * SAME
    if rows.any():
        work = Work.of("prefill", query_len=(context - cached)[rows], context_len=context[rows],
                       batch_size=batch[rows])  # fmt: skip
        times[rows] = MS_PER_S * prefill_seconds(law, work, np.full(len(work), np.nan))
    return times


def predict_blocks(
    law: Formulation, phase: str, length: Any, batch_size: Any = 1.0, cached_tokens: Any = 0.0
) -> FloatArray:
    """Predict steps of equal sequences, shape (n,), milliseconds.

    Parameters
    ----------
    law
        A fitted formulation.
    phase
        ``prefill`` or ``decode``.
    length
        ``isl`` or ``context_len``, shape (n,), tokens.
    batch_size, cached_tokens
        Numbers or arrays of shape (n,).
    """
    length, batch, cached = (
        np.asarray(v, dtype=float) for v in (length, batch_size, cached_tokens)
    )
    shape = np.broadcast_shapes(length.shape, batch.shape, cached.shape)
    n = int(np.prod(shape, dtype=np.int64))
    check_arrays(length, batch, cached)
    columns = [_columns(v, shape) for v in (length, batch, cached)]
    out = np.empty(n)
    has_prefix = phase == "prefill" and bool(cached.any())
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        c, b, k = (v if len(v) == 1 else v[start:stop] for v in columns)
        work = _work(phase, c, b, k if has_prefix else None, stop - start)
        np.multiply(law.predict_work(work), MS_PER_S, out=out[start:stop])
    return out.reshape(shape)


def check_arrays(length: FloatArray, batch: FloatArray, cached: FloatArray) -> None:
    """Refuse lengths and batches that are not finite and positive, and prefixes that cover all."""
    for name, values, strict in (
        ("length", length, True), ("batch_size", batch, True), ("cached_tokens", cached, False),
    ):  # fmt: skip
        low = values.min(initial=1.0)  # NaN spreads to the minimum and to the maximum
        high = values.max(initial=1.0)
        if not (high < np.inf and (low > 0 or (low == 0 and not strict))):
            raise ColumnError(
                f"{name} must be finite and {'positive' if strict else 'not negative'}",
                got=f"a least value of {low:g} and a greatest of {high:g}",
                remedy="mend or drop these points",
            )  # fmt: skip
    if cached.any() and not (cached < length).all():
        raise ColumnError("cached_tokens must be less than isl", got="a prefix as long as a prompt",
                          remedy="give isl with the cached tokens included")  # fmt: skip


def _columns(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    return values.reshape(1) if values.ndim == 0 else np.broadcast_to(values, shape).reshape(-1)


def _work(phase: str, c: FloatArray, b: FloatArray, cached: FloatArray | None, n: int) -> Work:
    c = c if len(c) == n else np.full(n, c[0])
    sequences = b if len(b) == n else np.full(n, b[0])
    kv = c if len(b) == 1 and b[0] == 1.0 else b * c
    if phase == "decode":
        return Work(phase, sequences, sequences, kv, kv, c, c)
    if cached is not None:
        q = c - cached
        return Work(phase, sequences, b * q, b * (q * c - 0.5 * q * (q - 1.0)), kv, c, c)
    pairs = c + 1.0
    pairs *= kv
    pairs *= 0.5
    return Work(phase, sequences, kv, pairs, kv, c, c)
