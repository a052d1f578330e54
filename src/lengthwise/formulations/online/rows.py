"""What a router knows about a request and a pod when it asks for a prediction.

Ten numbers and two labels per row. A column that a caller does not have is zero (nothing waits,
nothing is cached) or "" (pod not known): a law must not break because a router sends less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lengthwise.errors import InputError
from lengthwise.units import FloatArray

NUMBERS = (
    "input_tokens", "cached_share", "kv_share", "waiting", "running", "generated",
    "prefill_in_flight", "decode_in_flight", "encoder_tokens", "encoder_matched",
)  # fmt: skip
LABELS = ("pod_type", "pod")
SHARES = slice(1, 3)
"""Where the two shares stand among the numbers."""
LARGEST = 1e12
"""No count of tokens or requests is larger; beyond it float64 loses whole numbers in products."""


@dataclass(frozen=True)
class RouterRows:
    """Rows to predict or to learn from; arrays of shape (n,).

    Attributes
    ----------
    input_tokens
        Tokens of the prompt.
    cached_share
        Share of the prompt that the pod already holds, 0 to 1.
    kv_share
        Share of the pod's KV memory in use, 0 to 1.
    waiting, running
        Requests that wait at the pod and requests it works on.
    generated
        Tokens of this request generated so far.
    prefill_in_flight, decode_in_flight
        Tokens of prompts not yet read, and of answers not yet written, on the pod.
    encoder_tokens, encoder_matched
        Multimodal input, and how much of it the pod holds.
    pod_type, pod
        Labels, "" where not known; object arrays of str.

    Examples
    --------
    >>> rows = RouterRows.of({"input_tokens": [512, 4096], "waiting": [0, 3]})
    >>> len(rows), float(rows.waiting[1]), rows.take([1]).input_tokens
    (2, 3.0, array([4096.]))
    """

    input_tokens: FloatArray
    cached_share: FloatArray
    kv_share: FloatArray
    waiting: FloatArray
    running: FloatArray
    generated: FloatArray
    prefill_in_flight: FloatArray
    decode_in_flight: FloatArray
    encoder_tokens: FloatArray
    encoder_matched: FloatArray
    pod_type: Any
    pod: Any

    @classmethod
    def of(cls, columns: Mapping[str, ArrayLike]) -> RouterRows:
        """Gather columns; those missing are zero or "", unknown names are ignored.

        Raises
        ------
        InputError
            Lengths differ, a number is negative, not finite or huge, or a share is above 1.
        """
        n = _length(columns)
        numbers = np.zeros((len(NUMBERS), n))
        for i, name in enumerate(NUMBERS):
            if name in columns:
                _fill(numbers[i], name, columns[name])
        if n and not (numbers.min() >= 0 and numbers.max() <= LARGEST):
            _refuse(numbers, LARGEST, slice(None))
        if n and numbers[SHARES].max() > 1:
            _refuse(numbers, 1.0, SHARES)
        return cls(*numbers, *(_labels(columns.get(name), n, name) for name in LABELS))

    def __len__(self) -> int:
        return len(self.input_tokens)

    def take(self, index: Any) -> RouterRows:
        """Select rows by a mask, a slice or positions."""
        return RouterRows(*(getattr(self, name)[index] for name in (*NUMBERS, *LABELS)))


def joined(parts: list[RouterRows]) -> RouterRows:
    """Put rows after one another.

    >>> one = RouterRows.of({"input_tokens": [1, 2]})
    >>> len(joined([one, one]))
    4
    """
    names = (*NUMBERS, *LABELS)
    return RouterRows(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def _length(columns: Mapping[str, ArrayLike]) -> int:
    for name in (*NUMBERS, *LABELS):
        value = columns.get(name)
        if value is not None and not isinstance(value, str) and isinstance(value, Sized):
            return len(value)
    raise InputError(
        "rows need at least one column that is a list",
        got=f"columns {sorted(map(str, columns))}",
        remedy="give input_tokens as a list of whole numbers",
    )


def _fill(row: FloatArray, name: str, column: ArrayLike) -> None:
    try:
        values = np.asarray(column, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{name} must be numbers", got=str(error), remedy="send plain numbers"
        ) from None
    if values.ndim > 1 or (values.ndim == 1 and len(values) != len(row)):
        raise InputError(
            "all columns must have one length",
            got=f"{name} of shape {values.shape} beside {len(row)} rows",
            remedy="send one value per row",
        )
    row[:] = values


def _labels(column: Any, n: int, name: str) -> Any:
    if column is None:
        return np.full(n, "", dtype=object)
    if isinstance(column, np.ndarray) and column.dtype == object and column.shape == (n,):
        return column
    labels = np.empty(n, dtype=object)
    values = [column] * n if isinstance(column, str) else list(column)
    if len(values) != n:
        raise InputError(
            "all columns must have one length",
            got=f"{name} of length {len(values)} beside {n} rows",
            remedy="send one value per row",
        )
    labels[:] = ["" if value is None else str(value) for value in values]
    return labels


def _refuse(numbers: FloatArray, largest: float, where: slice) -> None:
    for name, row in zip(NUMBERS[where], numbers[where], strict=True):
        bad = ~((row >= 0) & (row <= largest))
        if bad.any():
            at = int(bad.argmax())
            raise InputError(
                f"{name} must lie between 0 and {largest:g}",
                got=f"{row[at]:g} in row {at}",
                remedy="leave such rows out",
            )
