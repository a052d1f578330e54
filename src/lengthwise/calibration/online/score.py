"""The error that is told: of the mean that was served, before its rows were learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.calibration.online.packing import pack, unpack
from lengthwise.units import FloatArray

RECENT, FEWEST = 300, 30
"""Rows over which errors are told, and how many there have to be."""
LARGEST = 100.0
"""Relative errors count up to this in the mean of all rows."""


class Score:
    """Relative errors of what was served.

    Attributes
    ----------
    believed, every
        Absolute relative error of the latest rows that were believed, and of all rows.

    Examples
    --------
    >>> score = Score()
    >>> score.add(np.zeros(40), np.log(np.r_[np.full(39, 1.1), 1e4]), np.arange(40) == 39)
    >>> round(score.robust, 3), round(score.ordinary, 2)
    (0.091, 0.11)
    """

    def __init__(self) -> None:
        self.believed, self.every = np.empty(0), np.empty(0)

    def add(self, log_served: FloatArray, log_y: FloatArray, far: Any) -> None:
        """Add rows, shape (m,) each; ``far`` ones were not believed."""
        error = np.minimum(np.abs(np.expm1(np.minimum(log_served - log_y, 50.0))), LARGEST)
        self.every = np.append(self.every, error)[-RECENT:]
        self.believed = np.append(self.believed, error if far is None else error[~far])[-RECENT:]

    @property
    def robust(self) -> float | None:
        """Median over the latest rows that were believed."""
        return float(np.median(self.believed)) if len(self.believed) >= FEWEST else None

    @property
    def ordinary(self) -> float | None:
        """Mean over all of the latest rows, whether or not they were believed."""
        return float(self.every.mean()) if len(self.every) >= FEWEST else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"believed": pack(self.believed), "every": pack(self.every)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Score:
        """Read :meth:`to_dict` back."""
        score = cls()
        score.believed, score.every = unpack(data["believed"]), unpack(data["every"])
        return score
