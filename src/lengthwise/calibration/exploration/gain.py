"""What one more reading would leave of a variance (Rasmussen and Williams 2006, 2.2)."""

from __future__ import annotations

import numpy as np

from lengthwise.units import FloatArray


def variance_after(variance: FloatArray, across: FloatArray, reading: FloatArray) -> FloatArray:
    """Give the variance of ln t that is left after a reading.

    Parameters
    ----------
    variance
        Before it, broadcast with ``across``.
    across
        Covariance between what is asked about and what is read.
    reading
        Variance of the reading, its noise included.

    Examples
    --------
    >>> float(variance_after(np.array(0.5), np.array(0.25), np.array(0.25)))
    0.25
    """
    return np.asarray(np.maximum(variance - across**2 / reading, 0.0))
