"""Events that are slow for what they are: warm-up that nobody marked, and stalls.

Each time is held against our law, which knows phase, length and batch and is fitted to medians. An
event is slow when it exceeds its like by more than six robust standard deviations of the phase, and
by half at least. Slow events at the very beginning are warm-up, whatever the table says.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.errors import FitWarning, LengthwiseError
from lengthwise.evaluation.estimator import law_set
from lengthwise.evaluation.per_token.predictors import OWN

BoolArray = npt.NDArray[np.bool_]

MANY_DEVIATIONS = 6.0
LEAST_RATIO = 1.5
MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class SlowEvents:
    """Slow events of a table.

    Attributes
    ----------
    mask
        Which events, shape (n,).
    unmarked
        How many of them the table does not mark as warm-up.
    leading
        Unmarked slow events in the opening stretch, in time, of which at least half are slow.
    first_decode
        Unmarked slow events that are the first decode step of a request.
    reason
        Why nothing could be said; empty otherwise.
    """

    mask: BoolArray
    unmarked: int
    leading: int
    first_decode: int
    reason: str = ""


def slow_events(frame: pd.DataFrame) -> SlowEvents:
    """Find slow events.

    Examples
    --------
    >>> context = np.arange(100.0, 200.0)
    >>> frame = pd.DataFrame({"phase": "decode", "context_len": context, "isl": 99.0,
    ...                       "latency_ms": 10 + context / 100, "warmup": False,
    ...                       "first_decode": context == 100})
    >>> frame.loc[[0, 1], "latency_ms"] = 90.0
    >>> found = slow_events(frame)
    >>> int(found.mask.sum()), found.leading, found.first_decode
    (2, 2, 1)
    """
    none = np.zeros(len(frame), dtype=bool)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)
            law = law_set(OWN, intervals=False).fit(frame)
        predicted = law.predict(frame.drop(columns="latency_ms"))
    except LengthwiseError as error:
        return SlowEvents(none, 0, 0, 0, str(error))
    excess = np.log(frame["latency_ms"].to_numpy(float) / predicted)
    mask = none.copy()
    for phase in frame["phase"].unique():
        mine = (frame["phase"] == phase).to_numpy()
        centred = excess[mine] - np.median(excess[mine])
        spread = MAD_TO_SD * float(np.median(np.abs(centred)))
        mask[mine] = centred > max(np.log(LEAST_RATIO), MANY_DEVIATIONS * spread)
    unmarked = mask & ~frame["warmup"].to_numpy(bool)
    return SlowEvents(
        mask, int(unmarked.sum()), _leading(frame, mask, unmarked),
        int((unmarked & frame["first_decode"].to_numpy(bool)).sum()),
    )  # fmt: skip


def _leading(frame: pd.DataFrame, mask: BoolArray, unmarked: BoolArray) -> int:
    """Unmarked slow events within the longest opening stretch of which half are slow."""
    order = np.arange(len(frame))
    if "timestamp" in frame and frame["timestamp"].notna().all():
        order = np.argsort(frame["timestamp"].to_numpy(float), kind="stable")
    share = np.cumsum(mask[order]) / np.arange(1, len(frame) + 1)
    half = np.flatnonzero((share >= 0.5) & mask[order])
    return int(unmarked[order][: half[-1] + 1].sum()) if len(half) else 0
