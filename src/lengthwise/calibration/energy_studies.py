"""Power and energy of runs that a curve was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lengthwise.calibration.energy_fit import (
    fit_power,
    fit_prefill_power,
    fit_ramp,
    leave_out,
)
from lengthwise.calibration.energy_rows import EnergyRows, chosen
from lengthwise.formulations.energy.power import PowerCurve
from lengthwise.units import FloatArray

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 5
"""EdgeReasoning's runs are held out in turn, every fifth in order of length."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions for runs whose model, or hardware, was left out, shape (n,).

    Attributes
    ----------
    watts
        Power of one processor at the measured token rate, W.
    watts_zero_shot
        The same at the step model's rate.
    joules, joules_zero_shot
        Energy of an output token at the measured rate, and at the step model's, J.
    watts_share, joules_share
        The baseline: the usual fraction of the rated power in the training rows, at the measured
        rate.
    """

    watts: FloatArray
    watts_zero_shot: FloatArray
    joules: FloatArray
    joules_zero_shot: FloatArray
    watts_share: FloatArray
    joules_share: FloatArray


def by_model(rows: EnergyRows) -> Predicted:
    """Predict each model's runs by what the others showed on the same hardware."""
    hardware = rows.table["hardware"].to_numpy()
    out = np.empty((3, len(rows.watts)))
    for name in np.unique(hardware):
        at = hardware == name
        families = [f for f, used in zip(rows.family, at, strict=True) if used]
        for row, kind in enumerate(("measured", "predicted", "share")):
            out[row, at] = leave_out(families, _Fitting(rows, at, kind))
    return _priced(rows, out)


def by_hardware(rows: EnergyRows) -> Predicted:
    """Predict each processor's runs by what the others showed, in fractions of rated power."""
    everything = np.ones(len(rows.watts), bool)
    hardware = list(rows.table["hardware"])
    out = np.array([leave_out(hardware, _Fitting(rows, everything, kind))
                    for kind in ("measured", "predicted", "share")])  # fmt: skip
    return _priced(rows, out)


class _Fitting:
    """Fit on a mask of some rows and predict another, as fractions of the rated power."""

    def __init__(self, rows: EnergyRows, at: FloatArray, kind: str) -> None:
        self.seen = chosen(rows.activity, at)
        self.asked = self.seen if kind == "measured" else chosen(rows.predicted_activity, at)
        self.fraction = (rows.watts / rows.rated_w)[at]
        self.kind = kind

    def __call__(self, train: FloatArray) -> _Answer:
        if self.kind == "share":
            usual = float(np.median(self.fraction[train]))
            return _Answer(self, PowerCurve(usual, 0.0, 0.0, 0.0), flat=True)
        return _Answer(self, fit_power(chosen(self.seen, train), self.fraction[train]))


@dataclass(frozen=True, eq=False)
class _Answer:
    fitting: _Fitting
    curve: PowerCurve
    flat: bool = False

    def __call__(self, test: FloatArray) -> FloatArray:
        if self.flat:
            return np.full(int(np.sum(test)), self.curve.idle)
        return self.curve.fraction(chosen(self.fitting.asked, test))


def _priced(rows: EnergyRows, fractions: FloatArray) -> Predicted:
    watts, zero, share = fractions * rows.rated_w
    per_token = rows.gpus / rows.tokens_per_s
    per_predicted = rows.gpus / rows.predicted_tokens_per_s
    return Predicted(watts, zero, watts * per_token, zero * per_predicted, share, share * per_token)


def ramp_held_out(decode: pd.DataFrame) -> FloatArray:
    """Joules of each decode of one model, by a ramp fitted to the other folds, shape (n,)."""
    t, joules = decode["decode_time_s"].to_numpy(float), decode["decode_energy_j"].to_numpy(float)

    def fit(train: FloatArray) -> _Held:
        ramp = fit_ramp(t[train], joules[train])
        return _Held(ramp.joules(t))

    return leave_out(_folds(t), fit)


def prefill_held_out(prefill: pd.DataFrame) -> FloatArray:
    """Watts of each prefill of one model, by a law fitted to the other folds, shape (n,)."""
    n, watts = prefill["isl"].to_numpy(float), prefill["power_w"].to_numpy(float)

    def fit(train: FloatArray) -> _Held:
        return _Held(fit_prefill_power(n[train], watts[train]).watts(n))

    return leave_out(_folds(n), fit)


@dataclass(frozen=True, eq=False)
class _Held:
    values: FloatArray

    def __call__(self, test: FloatArray) -> FloatArray:
        return np.asarray(self.values[test])


def _folds(size: FloatArray) -> list[int]:
    order = np.argsort(size, kind="stable")
    fold = np.empty(len(size), int)
    fold[order] = np.arange(len(size)) % FOLDS
    return [int(k) for k in fold]


def errors(predicted: FloatArray, measured: FloatArray) -> dict[str, float]:
    """Summarise relative errors, in percent.

    >>> errors(np.array([1.1, 2.0]), np.array([1.0, 2.0]))["mape_percent"]
    5.0
    """
    off = 100.0 * np.abs(predicted / measured - 1.0)
    return {"rows": float(len(off)), "mape_percent": round(float(np.mean(off)), 2),
            "median_percent": round(float(np.median(off)), 2),
            "p90_percent": round(float(np.quantile(off, 0.9)), 2)}  # fmt: skip


def spread(predicted: FloatArray, measured: FloatArray) -> list[float]:
    """Measured over predicted, 5th and 95th percentile.

    >>> spread(np.ones(3), np.array([0.5, 1.0, 2.0]))
    [0.55, 1.9]
    """
    return [round(float(q), 3) for q in np.quantile(measured / predicted, [0.05, 0.95])]
