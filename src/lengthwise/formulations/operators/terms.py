"""Sums of physical terms: what every operator curve is made of.

    T(x) = sum over j of  c_j * phi_j(x),     c_j >= 0

Each term ``phi_j`` is continuous and never falls when lengths, sequences or heads grow, and the
coefficients are not negative, so that the sum has both properties whatever the fit finds.
A **cell** is one set of coefficients: kernels differ by head size and kind of call, so a curve
holds a few cells and mixes the two neighbouring head sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lengthwise.errors import InputError

Array = NDArray[np.float64]
Sizes = TypeVar("Sizes")
Terms = Mapping[str, Callable[[Sizes], Array]]


def rise(x: Array, start: float, end: float) -> Array:
    """Rise from 0 at ``start`` to 1 at ``end``; no unit.

    >>> rise(np.array([1.0, 2.0, 9.0]), 1.0, 3.0).tolist()
    [0.0, 0.5, 1.0]
    """
    return np.asarray(np.clip((x - start) / (end - start), 0.0, 1.0))


def above(x: Array, start: float | Array) -> Array:
    """Keep what of ``x`` lies above ``start``.

    >>> above(np.array([1.0, 5.0]), 2.0).tolist()
    [0.0, 3.0]
    """
    return np.asarray(np.maximum(x - start, 0.0))


def either(a: Array, b: Array | float, sharpness: int = 2) -> Array:
    """Take a smooth maximum, (a^k + b^k)^(1/k), for k = 2 or 6.

    >>> float(either(np.array([3.0]), 4.0)[0])
    5.0
    """
    top = np.maximum(np.maximum(a, b), 1e-300)
    square = (a / top) ** 2 + (b / top) ** 2 if sharpness == 2 else None
    if square is not None:
        return np.asarray(top * np.sqrt(square))
    return np.asarray(top * np.cbrt(np.sqrt((a / top) ** 6 + (b / top) ** 6)))


@dataclass(frozen=True)
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
    """

    kind: str
    head_dim: int
    coefficients: Mapping[str, float] = field(hash=False)

    def __post_init__(self) -> None:
        for name, value in self.coefficients.items():
            if not (np.isfinite(value) and value >= 0):
                raise InputError("coefficients of a curve are finite and at least 0",
                                 got=f"{name} = {value}")  # fmt: skip

    def total(self, terms: Terms[Sizes], sizes: Sizes) -> Array:
        """Sum the terms with their weights, seconds, shape (n,)."""
        unknown = self.coefficients.keys() - terms.keys()
        if unknown:
            raise InputError("a curve may only name known terms", got=", ".join(sorted(unknown)))
        parts = [c * terms[name](sizes) for name, c in self.coefficients.items()]
        return np.asarray(np.sum(np.broadcast_arrays(*parts), axis=0), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Write plain JSON, coefficients to four digits."""
        rounded = {k: float(f"{v:.4g}") for k, v in self.coefficients.items() if v > 0}
        return {"kind": self.kind, "head_dim": self.head_dim, "coefficients": rounded}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Cell:
        """Read :meth:`to_dict` back."""
        numbers = {str(k): float(v) for k, v in record["coefficients"].items()}
        return cls(str(record["kind"]), int(record["head_dim"]), numbers)


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
