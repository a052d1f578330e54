"""Fitting power curves, ramps and prefill power to measured watts and joules."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from lengthwise.errors import InputError
from lengthwise.formulations.energy.power import Activity, PowerCurve, design, limited
from lengthwise.formulations.energy.prefill_power import PrefillPower
from lengthwise.formulations.energy.ramp import PowerRamp
from lengthwise.units import FloatArray

IDLE = (0.08, 0.3)
"""Fractions of the rated power between which accelerators idle with a model loaded; serving runs
alone do not show it."""
USUAL_ERROR = 0.1
"""Relative error from which a row is trusted less (soft L1)."""


def fit_power(activity: Activity, fraction: FloatArray) -> PowerCurve:
    """Fit the power curve of one kind of processor.

    Parameters
    ----------
    activity
        How busy a processor was, n runs.
    fraction
        Measured watts of one processor over its rated watts, shape (n,).

    Returns
    -------
    PowerCurve
        Coefficients; idle within :data:`IDLE`.

    Examples
    --------
    >>> true = PowerCurve(idle=0.2, active=0.2, compute=0.5, memory=0.3, waiting=0.1)
    >>> random = np.random.default_rng(0)
    >>> at = Activity.of(busy=random.random(80), compute=random.random(80) / 2,
    ...                  memory=random.random(80), gpus=random.integers(1, 3, 80))
    >>> round(fit_power(at, true.fraction(at)).compute, 3)
    0.5
    """
    if len(fraction) < 8:
        raise InputError("a power curve needs 8 runs or more", got=str(len(fraction)))
    matrix, target = design(activity), np.log(fraction)

    def residual(x: FloatArray) -> FloatArray:
        return np.asarray(np.log(limited(matrix @ x)) - target)

    found = least_squares(
        residual, [0.2, 0.2, 0.4, 0.3, 0.1], loss="soft_l1", f_scale=USUAL_ERROR,
        bounds=([IDLE[0], 0, 0, 0, 0], [IDLE[1], 3, 3, 3, 3]),
    )  # fmt: skip
    return PowerCurve(*(float(value) for value in found.x))


def fit_ramp(seconds: FloatArray, joules: FloatArray) -> PowerRamp:
    """Fit a power ramp to the energies of phases of different lengths, by relative error.

    Examples
    --------
    >>> true, t = PowerRamp(28.0, 20.0, 1.5), np.geomspace(0.3, 300, 30)
    >>> round(fit_ramp(t, true.joules(t)).time_constant_s, 3)
    1.5
    """
    t, target = np.asarray(seconds, float), np.log(joules)
    level = float(np.max(joules / t))

    def ramp(x: FloatArray) -> PowerRamp:
        return PowerRamp(float(x[0]), float(x[0] * x[1]), float(np.exp(x[2])))

    def residual(x: FloatArray) -> FloatArray:
        return np.asarray(np.log(ramp(x).joules(t)) - target)

    found = least_squares(
        residual, [level, 0.5, 0.0], loss="soft_l1",
        f_scale=0.03, bounds=([1e-3 * level, 0.0, -5.0], [3 * level, 1.0, 5.0]),
    )  # fmt: skip
    return ramp(found.x)


def fit_prefill_power(tokens: FloatArray, watts: FloatArray) -> PrefillPower:
    """Fit the mean power of prefills: the step that explains most, then a straight line in ln n.

    Examples
    --------
    >>> true, n = PrefillPower(5.7, 800, 9.0, -50.0), np.arange(128, 4097, 128)
    >>> round(fit_prefill_power(n, true.watts(n)).slope_w, 2)
    9.0
    """
    order = np.argsort(tokens)
    n, p = np.asarray(tokens, float)[order], np.asarray(watts, float)[order]
    best, least = None, np.inf
    for cut in range(1, len(n) - 1):
        slope, offset = _line(np.log(n[cut:]), p[cut:])
        law = PrefillPower(float(np.median(p[:cut])), float(n[cut]), slope, offset)
        error = float(np.abs(np.log(law.watts(n) / p)).sum())
        if error < least:
            best, least = law, error
    if best is None:
        raise InputError("a prefill power law needs 3 prompts or more", got=str(len(n)))
    return best


def _line(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    if len(x) < 3 or np.ptp(x) == 0:
        return 0.0, float(np.median(y))
    slope = float(np.polyfit(x, y, 1)[0])
    slope = max(slope, 0.0)
    return slope, float(np.median(y - slope * x))


def leave_out(
    groups: Sequence[Hashable], fit: Callable[[Any], Callable[[Any], FloatArray]]
) -> FloatArray:
    """Predict every row by what was fitted without its group.

    Parameters
    ----------
    groups
        Group of each row, n long.
    fit
        Takes a mask of training rows, shape (n,), and gives a function from a mask to predictions.

    Returns
    -------
    ndarray, shape (n,)
        Predictions.

    Examples
    --------
    >>> y = np.array([1.0, 1.0, 3.0])
    >>> leave_out("aab", lambda train: lambda test: np.full(test.sum(), y[train].mean())).tolist()
    [3.0, 3.0, 1.0]
    """
    names = np.array([str(group) for group in groups])
    out = np.full(len(names), np.nan)
    for name in np.unique(names):
        test = names == name
        out[test] = fit(~test)(test)
    return out
