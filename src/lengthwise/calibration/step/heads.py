"""Corrections of one quantity (TTFT, TPOT, a prefill or decode step) and how sure they are.

The interval of a correction is its mean and q standard deviations, where q is such that intervals
hold the errors of left-out rows: of whole deployments for a deployment nobody measured, of single
rows for one that was (conformal on standardised errors, Papadopoulos et al. 2008).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.calibration.step.kinship import Kin, Spreads
from lengthwise.calibration.step.process import DEPLOYMENT, ENOUGH_DEPLOYMENTS, Process
from lengthwise.formulations.typed_json import read_dataclass, to_json
from lengthwise.units import FloatArray

LEVELS_KEPT = np.array([0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99])
NORMAL = np.array([0.674, 0.842, 1.036, 1.282, 1.44, 1.645, 1.96, 2.326, 2.576])
"""Two-sided quantiles of a normal distribution at these levels, for want of left-out rows."""
ENOUGH = 20
LIMIT = {"ttft": 2.0, "tpot": 1.0, "prefill": 1.0, "decode": 1.0, "mixed": 1.0}
"""Largest correction learnt from one row, natural logarithm."""
TOLERANCE = {"ttft": 0.2, "tpot": 0.1, "prefill": 0.1, "decode": 0.1, "mixed": 0.1}


@dataclass(frozen=True)
class LeftOutError:
    """Error on rows the correction did not see, percent.

    Attributes
    ----------
    by
        What was left out at a time: ``deployment``, ``row``, or ``nothing`` with too few rows.
    rows
        Rows behind the figures.
    median_percent, mape_percent
        Median and mean absolute relative error; NaN without a left-out row.
    """

    by: str
    rows: int
    median_percent: float
    mape_percent: float

    @classmethod
    def of(cls, by: str, mean: FloatArray, corrections: FloatArray) -> LeftOutError:
        """Score predicted corrections against those found."""
        miss = np.abs(np.expm1(mean - corrections))
        return cls(by, len(miss), 100.0 * float(np.median(miss)), 100.0 * float(miss.mean()))


NO_ERROR = LeftOutError("nothing", 0, float("nan"), float("nan"))


@dataclass(frozen=True)
class Head:
    """The corrections of one quantity.

    Attributes
    ----------
    process
        What was learnt.
    known, unknown
        q at ``LEVELS_KEPT`` for deployments with rows of their own, and for others.
    error
        Error on left-out rows.
    """

    process: Process
    known: FloatArray
    unknown: FloatArray
    error: LeftOutError = NO_ERROR

    @classmethod
    def fit(
        cls, name: str, kin: Kin, corrections: FloatArray, spreads: Spreads | None = None
    ) -> Head:
        """Learn from rows and calibrate the intervals on left-out ones."""
        y = np.clip(corrections, -LIMIT[name], LIMIT[name])
        return cls._calibrated(Process.fit(kin, y, spreads, TOLERANCE[name]), corrections)

    @classmethod
    def _calibrated(cls, process: Process, corrections: FloatArray) -> Head:
        deployments = process.kin.labels[DEPLOYMENT]
        if len(process.kin) < ENOUGH:
            return cls(process, NORMAL, NORMAL)
        known, error = _scores(process, "row", np.arange(len(process.kin)), corrections)
        unknown = known
        if len(set(deployments)) >= ENOUGH_DEPLOYMENTS:
            unknown, error = _scores(process, "deployment", deployments, corrections)
        return cls(process, known, np.maximum(unknown, known), error)

    def more(self, name: str, kin: Kin, corrections: FloatArray) -> Head:
        """Learn further rows; scales and calibration stay those of the many."""
        y = np.clip(corrections, -LIMIT[name], LIMIT[name])
        return Head(self.process.more(kin, y), self.known, self.unknown, self.error)

    def predict(self, kin: Kin, level: float) -> tuple[FloatArray, FloatArray]:
        """Give the correction and half the width of its interval, natural logarithms."""
        mean, variance = self.process.predict(kin)
        own = set(self.process.kin.labels[DEPLOYMENT])
        seen = np.array([label in own for label in kin.labels[DEPLOYMENT]])
        q = np.where(seen, _at(self.known, level), _at(self.unknown, level))
        return mean, q * np.sqrt(variance)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"process": self.process.to_dict(), "known": np.round(self.known, 4).tolist(),
                "unknown": np.round(self.unknown, 4).tolist(),
                "error": to_json(self.error)}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Head:
        """Read :meth:`to_dict` back."""
        error = read_dataclass(LeftOutError, data["error"], "error")
        return cls(Process.from_dict(data["process"]), np.asarray(data["known"], float),
                   np.asarray(data["unknown"], float), error)  # fmt: skip


def _scores(
    process: Process, by: str, groups: Any, corrections: FloatArray
) -> tuple[FloatArray, LeftOutError]:
    """Give standardised errors of left-out rows at the kept levels, and their plain error."""
    mean, variance = process.left_out(groups)
    plain = variance - process.noise + process.spreads.noise**2
    far = np.abs(corrections - mean) / np.sqrt(np.maximum(plain, process.spreads.noise**2))
    return np.asarray(np.quantile(far, LEVELS_KEPT)), LeftOutError.of(by, mean, corrections)


def _at(scores: FloatArray, level: float) -> float:
    """Give q at a level, between the kept ones along the normal scale, beyond them on its slope."""
    wanted = float(np.interp(level, LEVELS_KEPT, NORMAL))
    return float(np.interp(wanted, NORMAL, scores))
