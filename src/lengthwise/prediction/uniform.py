"""Tables of steps of one phase and one deployment, the usual kind: their law is found once.

They are predicted block by block, so that columns and work stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.data.load import is_loaded
from lengthwise.data.schema import DEPLOYMENT
from lengthwise.data.work import work_of
from lengthwise.domain.work import Work
from lengthwise.errors import LengthwiseError
from lengthwise.prediction.points import is_constant
from lengthwise.units import FloatArray, s_to_ms

BLOCK = 32_768
"""Rows predicted at once, few enough for a second-level cache and enough to pay for slicing."""

Seconds = Callable[[PhaseLaw, Work, npt.NDArray[np.intp]], FloatArray]
"""Predicts steps of one law from their work and positions in the table, shape (n,), seconds."""


def predict_uniform(laws: LawSet, points: pd.DataFrame, predict: Seconds) -> FloatArray | None:
    """Predict a long table of steps of one phase and one deployment.

    Parameters
    ----------
    laws
        Fitted laws.
    points
        Prepared points, n rows.
    predict
        What to do with each block.

    Returns
    -------
    array of shape (n,), milliseconds, or None: the table is short, of several kinds or under
    load, or a row cannot be answered, and the caller is to say which.
    """
    named = [name for name in ("phase", *DEPLOYMENT) if name in points]
    alike = len(points) > BLOCK and all(is_constant(points[name]) for name in named)
    if not alike or is_loaded(points).any():  # there is a law for each load
        return None
    phase = str(points["phase"].iloc[0])
    if phase == "request":
        return None
    times_ms = np.empty(len(points))
    try:
        [(_, law, _)] = laws.parts(points.iloc[:1])
        for start in range(0, len(points), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(points)))
            work = work_of(points.iloc[start : start + BLOCK], phase)
            times_ms[rows] = s_to_ms(predict(law, work, rows))
    except LengthwiseError:
        return None
    return times_ms
