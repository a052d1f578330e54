"""Least squares as the published fits use it: plain or relative, weighted, bounded or not."""

from __future__ import annotations

import numpy as np

from lengthwise.units import FloatArray


def solve(
    design: FloatArray, target: FloatArray, weight: FloatArray, *, relative: bool = False
) -> FloatArray:
    """Minimise sum w (design @ coef - target)^2, or its relative form with rows divided by target.

    Columns are scaled to a maximum of one first: tokens squared beside a constant would otherwise
    cost half the digits. Where the data do not determine all coefficients, the solution of least
    norm in the scaled columns is taken.

    Parameters
    ----------
    design
        Shape (n, k).
    target
        Shape (n,), positive when ``relative``.
    weight
        Shape (n,), not negative.

    Returns
    -------
    array of shape (k,).

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> solve(np.column_stack([np.ones(3), x]), 5 + 2 * x, np.ones(3)).round(6).tolist()
    [5.0, 2.0]
    """
    scale = np.abs(design).max(axis=0)
    scale[scale == 0] = 1.0
    # A common factor of the targets is taken out, so that a change of unit rounds nothing.
    unit = target.max()
    row = np.sqrt(weight) * (unit / target if relative else 1.0)
    coef, *_ = np.linalg.lstsq(design / scale * row[:, None], target / unit * row, rcond=1e-12)
    return np.asarray(coef * unit / scale)


def solve_nonnegative(
    design: FloatArray, target: FloatArray, weight: FloatArray, *, relative: bool = False
) -> tuple[FloatArray, float]:
    """Minimise the sum of :func:`solve` over coefficients that are not negative.

    Parameters
    ----------
    design
        Shape (n, k), not negative.
    target
        Shape (n,), positive.
    weight
        Shape (n,), not negative.

    Returns
    -------
    coefficients of shape (k,), and the root of the sum: of relative residuals, or of residuals in
    units of the largest target.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> coef, misfit = solve_nonnegative(np.column_stack([np.ones(3), x]), 2 * x - 1, np.ones(3))
    >>> coef.round(3).tolist(), round(misfit, 3)
    ([0.0, 1.571], 0.131)
    """
    from scipy.optimize import nnls

    scale = design.max(axis=0)
    scale[scale == 0] = 1.0
    row = np.sqrt(weight) / (target if relative else target.max())
    coef, misfit = nnls(design / scale * row[:, None], row * target)
    return np.asarray(coef / scale), float(misfit)


def ceil_to(tokens: FloatArray, multiple: int) -> FloatArray:
    """Round up to the next multiple, as kernels that work in tiles do.

    >>> ceil_to(np.array([1.0, 128.0, 129.0]), 128).tolist()
    [128.0, 128.0, 256.0]
    """
    return np.asarray(np.ceil(tokens / multiple) * multiple)
