"""Cells: one set of coefficients each, for one kind of call at one head size.

Kernels differ by head size and kind of call (windowed or not, grouped or not), so a curve holds a
few cells and mixes the two neighbouring head sizes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lengthwise.errors import InputError
from lengthwise.formulations.operators.correction import Correction
from lengthwise.formulations.operators.terms import Array, Sizes, Terms


@dataclass(frozen=True, eq=False)
class Cell:
    """Coefficients for one kind of call at one head size.

    Attributes
    ----------
    kind
        Which calls the cell is for, such as ``full`` or ``window``.
    head_dim
        Values per head (the key side of a query).
    coefficients
        By name of the term, at least 0.
    window
        Window the cell was measured with; None: none.
    correction
        What the base terms miss, over items and length; None: nothing.
    """

    kind: str
    head_dim: int
    coefficients: Mapping[str, float] = field(hash=False)
    correction: Correction | None = None
    window: int | None = None

    def __post_init__(self) -> None:
        for name, value in self.coefficients.items():
            if not (np.isfinite(value) and value >= 0):
                raise InputError("coefficients of a curve are finite and at least 0",
                                 got=f"{name} = {value}")  # fmt: skip

    def check(self, terms: Iterable[str]) -> None:
        """Refuse coefficients of terms that nobody knows."""
        unknown = self.coefficients.keys() - set(terms)
        if unknown:
            raise InputError("a curve may only name known terms", got=", ".join(sorted(unknown)))

    def total(self, terms: Terms[Sizes], sizes: Sizes) -> Array:
        """Sum those of the terms that the cell has, with their weights; seconds, shape (n,)."""
        parts = [c * terms[name](sizes) for name, c in self.coefficients.items() if name in terms]
        return np.asarray(sum(parts), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Write plain JSON, coefficients to four digits."""
        rounded = {k: float(f"{v:.4g}") for k, v in self.coefficients.items() if v > 0}
        record: dict[str, Any] = {"kind": self.kind, "head_dim": self.head_dim}
        record |= {"window": self.window} if self.window else {}
        record |= {"coefficients": rounded}
        return record | ({"correction": self.correction.to_list()} if self.correction else {})

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Cell:
        """Read :meth:`to_dict` back."""
        numbers = {str(k): float(v) for k, v in record["coefficients"].items()}
        rows = record.get("correction")
        correction = None if rows is None else Correction.from_list(rows)
        return cls(str(record["kind"]), int(record["head_dim"]), numbers, correction,
                   record.get("window"))  # fmt: skip


def neighbours(
    cells: Iterable[Cell], kinds: tuple[str, ...], head_dim: float
) -> list[tuple[Cell, float]]:
    """Find the cells on either side of a head size, with their shares: the first kind that has any.

    >>> [(c.head_dim, share) for c, share in neighbours(
    ...     [Cell("full", 64, {}), Cell("full", 128, {})], ("window", "full"), 96)]
    [(64, 0.5), (128, 0.5)]
    """
    held = list(cells)
    for kind in kinds:
        found = sorted((c for c in held if c.kind == kind), key=lambda c: c.head_dim)
        if found:
            break
    else:
        raise InputError("a curve needs cells for its calls", got="none of " + ", ".join(kinds))
    above_ = next((c for c in found if c.head_dim >= head_dim), found[-1])
    below = next((c for c in reversed(found) if c.head_dim <= head_dim), found[0])
    if above_ is below or above_.head_dim == below.head_dim:
        return [(above_, 1.0)]
    if above_.head_dim < head_dim or below.head_dim > head_dim:
        return [(above_ if above_.head_dim < head_dim else below, 1.0)]
    share = (head_dim - below.head_dim) / (above_.head_dim - below.head_dim)
    return [(below, 1.0 - share), (above_, share)]
