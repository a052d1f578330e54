"""From rows of a measurement table to the work they cause."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lengthwise.data.schema import NEEDED
from lengthwise.domain.work import Work
from lengthwise.errors import ColumnError, InputError
from lengthwise.units import FloatArray


def work_of(points: pd.DataFrame, phase: str | None = None) -> Work:
    """Compute the work of steps from their columns.

    Parameters
    ----------
    points
        Rows of one step phase: ``isl`` (prefill), ``context_len`` (decode) or the ``sum_*``
        columns (mixed), each with ``batch_size`` (default 1) and optionally ``query_len`` and
        ``cached_tokens``. Times are not needed.
    phase
        The phase; taken from the column ``phase`` when left out.

    Raises
    ------
    ColumnError
        If a needed column is missing or holds a value that is not finite or not positive.

    Examples
    --------
    >>> points = pd.DataFrame({"isl": [512, 2048], "batch_size": [4, 1]})
    >>> work_of(points, "prefill").new_tokens.tolist()
    [2048.0, 2048.0]
    """
    phase = phase or phase_of(points)
    if phase == "mixed":
        return _mixed(points)
    batch = _column(points, "batch_size", phase, default=1.0)
    if phase == "prefill":
        isl = _column(points, "isl", phase)
        cached = _column(points, "cached_tokens", phase, default=0.0, minimum=0.0)
        query = _column(points, "query_len", phase, default=isl - cached)
        context = _column(points, "context_len", phase, default=isl)
        _check_chunk(query, context)
        base = Work.of(phase, query_len=query, context_len=context, batch_size=batch)
        return Work(phase, base.sequences, base.new_tokens, base.attention_pairs,
                    base.kv_tokens, isl, context)  # fmt: skip
    if phase == "decode":
        context = _column(points, "context_len", phase)
        query = _column(points, "query_len", phase, default=1.0)
        base = Work.of(phase, query_len=query, context_len=context, batch_size=batch)
        isl = _column(points, "isl", phase, default=context)
        return Work(phase, base.sequences, base.new_tokens, base.attention_pairs,
                    base.kv_tokens, isl, context)  # fmt: skip
    raise InputError(
        "work is defined for one step: prefill, decode or mixed",
        got=f"phase={phase!r}",
        remedy="turn requests into steps first (lengthwise.prediction.requests)",
    )


def phase_of(points: pd.DataFrame) -> str:
    """Read the one phase of ``points`` from its column ``phase``.

    >>> phase_of(pd.DataFrame({"phase": ["decode", "decode"]}))
    'decode'
    """
    if "phase" not in points:
        raise ColumnError(
            "points must say their phase", got="no column 'phase'",
            remedy="add phase='prefill' or phase='decode'",
        )  # fmt: skip
    phases = points["phase"].unique()
    if len(phases) != 1:
        raise InputError(
            "points must be of one phase", got=f"{sorted(map(str, phases))}",
            remedy="group by phase first",
        )  # fmt: skip
    return str(phases[0])


def _mixed(points: pd.DataFrame) -> Work:
    """Work of mixed steps from their sums.

    The causal triangle needs the sum of q_i^2, which the sums do not hold. One prefill chunk among
    decodes is what schedulers make, and then q_1 = T - (B - 1) and the rest are 1.
    """
    new = _column(points, "sum_query_len", "mixed")
    kv = _column(points, "sum_context_len", "mixed")
    cross = _column(points, "sum_query_x_context", "mixed")
    batch = _column(points, "batch_size", "mixed", default=1.0)
    chunk = np.maximum(new - (batch - 1.0), 1.0)
    pairs = np.maximum(cross - 0.5 * chunk * (chunk - 1.0), new)
    mean_context = kv / batch
    return Work("mixed", batch, new, pairs, kv, mean_context, mean_context)


def _column(
    points: pd.DataFrame, name: str, phase: str, default: float | FloatArray | None = None,
    minimum: float = np.finfo(float).tiny,
) -> FloatArray:  # fmt: skip
    if name not in points:
        if default is None:
            raise ColumnError(
                f"{phase} points need the columns {', '.join(NEEDED[phase][1:])}",
                got=f"no column {name!r}",
                remedy=f"add {name} or map a column to it",
            )
        return np.broadcast_to(np.asarray(default, dtype=float), len(points)).astype(float)
    try:
        values = points[name].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ColumnError(
            f"{name} must be numbers", got=str(error), remedy="convert the column to numbers"
        ) from None
    if default is not None:
        values = np.where(np.isnan(values), default, values)
    bad = ~(np.isfinite(values) & (values >= minimum))
    if bad.any():
        row = int(np.argmax(bad))
        raise ColumnError(
            f"{name} must be finite and {'not negative' if minimum == 0 else 'positive'}",
            got=f"{values[row]} in row {row} ({int(bad.sum())} such rows)",
            remedy="mend or drop these rows",
        )
    return np.asarray(values, dtype=float)


def _check_chunk(query: FloatArray, context: FloatArray) -> None:
    bad = (query > context) | (query <= 0)
    if bad.any():
        row = int(np.argmax(bad))
        raise ColumnError(
            "0 < query_len <= context_len must hold (cached_tokens must be less than isl)",
            got=f"query_len={query[row]:g}, context_len={context[row]:g} in row {row}",
            remedy="give query_len as the new tokens only, and isl with the cached ones included",
        )
