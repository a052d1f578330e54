"""What a learning policy sees of a candidate: numbers without units, alike for all engines."""

from __future__ import annotations

import numpy as np

from lengthwise.calibration.exploration.campaign import Campaign
from lengthwise.units import FloatArray

NAMES = (
    "one", "ln gain", "ln cost", "ln sd", "beyond length", "beyond batch", "ln relative length",
    "ln relative batch", "measured", "repeats", "decode", "spent", "gain times spent",
    "cost times spent", "ln width",
)  # fmt: skip
FEATURES = len(NAMES)


def features(campaign: Campaign) -> FloatArray:
    """Describe the candidates, shape (m, ``FEATURES``).

    Examples
    --------
    >>> from lengthwise.calibration.exploration.points import Points
    >>> ahead = Points.of("prefill", [256, 1024, 4096])
    >>> features(Campaign(ahead, ahead, budget_s=10.0)).shape
    (3, 15)
    """
    points, law = campaign.candidates, campaign.law
    phase = points.decode.astype(int)
    one = np.ones(len(points))
    gain = np.log(np.maximum(campaign.gain / max(campaign.width, 1e-9), 1e-4))
    cost = np.clip(np.log(campaign.cost_s / max(campaign.spent_s, 0.05)), -6.0, 6.0)
    spent = np.clip(np.log(campaign.budget_s / max(campaign.spent_s, 1e-9)), 0.0, 5.0) * one
    far = np.log2(points.length / np.maximum(law.longest, 1.0)[phase])
    wide = np.log2(points.batch / np.maximum(law.largest, 1.0)[phase])
    top = _log_top(campaign)
    columns = [
        one, gain, cost, 0.5 * np.log(campaign.own_variance + 1e-6),
        np.clip(far, 0.0, 4.0), np.clip(wide, 0.0, 4.0),
        np.log2(points.length) - top[0][phase], np.log2(points.batch) - top[1][phase],
        np.minimum(campaign.counts, 1.0), campaign.counts, phase.astype(float), spent,
        gain * spent, cost * spent, np.log(campaign.width + 1e-6) * one,
    ]  # fmt: skip
    scale = np.array([1, 2, 2, 1, 2, 2, 4, 3, 1, 3, 1, 2, 6, 6, 1], dtype=float)
    return np.asarray(np.stack(columns, axis=1) / scale)


def _log_top(campaign: Campaign) -> tuple[FloatArray, FloatArray]:
    """Base-2 logarithms of the longest and the largest target, by phase; shapes (2,)."""
    points = campaign.targets
    longest, largest = np.zeros(2), np.zeros(2)
    for phase in (0, 1):
        mine = points.decode == bool(phase)
        if mine.any():
            longest[phase] = np.log2(points.length[mine].max())
            largest[phase] = np.log2(points.batch[mine].max())
    return longest, largest
