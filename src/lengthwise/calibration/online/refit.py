"""Fit the whole law again from memory: a challenger for the law in use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.calibration.online import boosting, map_fit
from lengthwise.calibration.online.map_fit import DEPENDENCE, Fitted
from lengthwise.calibration.online.memory import LOG_Y, SEQUENCE, SHIFT, Memory
from lengthwise.calibration.online.model import Model, with_level
from lengthwise.formulations.online import terms
from lengthwise.formulations.online.context import Context, Frame
from lengthwise.units import FloatArray

HALF_LIFE, YOUNG_HALF_LIFE = 30000.0, 2.0
"""Rows after which a row in memory counts half, a fifth at least; while there are few, so many
times the rows so far: the first traffic of a pod is often unlike the rest, probes and warm-ups."""
TYPE_SPREAD = 0.3
"""Standard deviation by which log coefficients of a pod type differ from the pooled ones."""
LEVEL_SD = 0.03
LEAST_OF_TYPE = 10
"""Rows of a pod type from which it gets coefficients of its own."""
MOST_BETWEEN = 1.0
"""Largest variance between pods."""
LEAST_GAIN = 0.01
"""Share of the error that a correction must take away on rows left out."""
GAMMA = {"ttft": (0.1, 0.4), "tpot": (0.27, 0.5)}
"""Bounds of the log error per doubling outside the data; whatever else runs sets TPOT."""


@dataclass(frozen=True)
class Challenger:
    """A fitted model with its residuals on rows it was not fitted to, by row of the memory."""

    model: Model
    residual: FloatArray
    log_y: FloatArray
    context: Context


def challenger(
    now: Model, memory: Memory, frame: Frame, shift: float,
    prior: tuple[FloatArray, FloatArray], sd: FloatArray, correct: bool,
) -> Challenger:  # fmt: skip
    """Fit a model to the rows in memory.

    Parameters
    ----------
    now
        The model in use: where to begin, and how many labels there are.
    shift
        Sum of the log changes found so far; older rows are moved by what came after them.
    prior
        Mean and covariance of the log coefficients before any data.
    sd
        Standard deviation of the log residual by cell: noisy cells count less.
    correct
        Whether a correction may be learnt.
    """
    context, data = memory.context(frame), memory.data
    x = terms.matrix(now.target, context.rows)
    log_y = data[LOG_Y] + shift - data[SHIFT]
    age = data[SEQUENCE].max() - data[SEQUENCE]
    half_life = min(HALF_LIFE, YOUNG_HALF_LIFE * data[SEQUENCE].max())
    weight = np.maximum(0.5 ** (age / max(half_life, 1.0)), 0.2)
    weight = weight * np.clip(np.median(sd) / sd[context.cell], 0.3, 3.0) ** 2
    model = now.copy()
    offset = now.offset.copy()
    pooled = _fit(x, log_y - offset[context.pods], weight, prior, None)
    for _ in range(2 if len(offset) > 1 else 0):
        _pods(model, log_y - np.log(x @ np.exp(pooled.theta)), weight, context, pooled.scale)
        pooled = _fit(x, log_y - model.offset[context.pods], weight, prior, pooled.theta)
    _set_types(model, pooled, x, log_y - model.offset[context.pods], weight, context)
    model.correction, model.trust = None, 1.0
    plain = log_y - model.log_median(context, x)
    residual = plain * np.sqrt(1.0 + x.shape[1] / len(plain))
    if correct and len(plain) >= boosting.LEAST_ROWS:
        corrected = plain - boosting.out_of_fold(context, plain)
        if np.abs(corrected).mean() < (1 - LEAST_GAIN) * np.abs(plain).mean():
            residual, model.correction = corrected, boosting.fit(context, plain)
    fixed = log_y - model.offset[context.pods]
    model.gamma = _gamma(x, fixed, weight, prior, context, GAMMA[now.target])
    return Challenger(model, residual, log_y, context)


def _fit(
    x: FloatArray, log_y: FloatArray, weight: FloatArray,
    prior: tuple[FloatArray, FloatArray], start: FloatArray | None,
) -> Fitted:  # fmt: skip
    return map_fit.fit(x, log_y, weight, *prior, start=start)


def _pods(
    model: Model, residual: FloatArray, weight: FloatArray, context: Context, scale: float
) -> None:
    """Offsets of pods, shrunk by how much pods differ from one another."""
    size = len(model.offset)
    precision = weight * np.minimum(1.0, 2 * scale / np.maximum(np.abs(residual), 1e-12))
    precision /= DEPENDENCE * scale**2
    total = np.bincount(context.pods, precision, size)
    mean = np.bincount(context.pods, precision * residual, size) / np.maximum(total, 1e-12)
    known = np.flatnonzero(total > 0)
    known = known[known > 0]
    if len(known) > 2:
        middle = float(np.median(mean[known]))
        noise = float(np.mean(1 / total[known]))
        model.between = max(float(np.mean((mean[known] - middle) ** 2)) - noise, 0.02**2)
        model.between = min(model.between, MOST_BETWEEN)
    if len(known):
        trust = total[known] / (total[known] + 1 / model.between)
        model.offset[known] = trust * mean[known]
        model.variance[known] = 1 / (total[known] + 1 / model.between)


def _set_types(
    model: Model, pooled: Fitted, x: FloatArray, log_y: FloatArray, weight: FloatArray,
    context: Context,
) -> None:  # fmt: skip
    k = x.shape[1]
    model.level[:] = 0.0
    model.theta[0], model.covariance[0] = pooled.theta, with_level(pooled.covariance, LEVEL_SD)
    counts = np.bincount(context.types, minlength=len(model.theta))
    several = int((counts > 0).sum()) > 1
    near = pooled.covariance + TYPE_SPREAD**2 * (0.25 * np.eye(k) + 1.0)
    for kind in range(1, len(model.theta)):
        own = pooled
        if several:
            at = context.types == kind
            few = counts[kind] < LEAST_OF_TYPE
            own = (Fitted(pooled.theta, near, pooled.scale) if few
                   else _fit(x[at], log_y[at], weight[at], (pooled.theta, near), None))  # fmt: skip
        model.theta[kind] = own.theta
        model.covariance[kind] = with_level(own.covariance, LEVEL_SD)


def _gamma(
    x: FloatArray, log_y: FloatArray, weight: FloatArray, prior: tuple[FloatArray, FloatArray],
    context: Context, bounds: tuple[float, float],
) -> float:  # fmt: skip
    """Log error per doubling: fit the short prompts, predict the long ones."""
    length = context.rows.input_tokens
    most = np.sort(length)[int(0.98 * (len(length) - 1))]
    short, long = length <= most / 4, length >= most / 2
    if most <= 0 or short.sum() < 60 or long.sum() < 20:
        return min(max(0.15, bounds[0]), bounds[1])
    fitted = _fit(x[short], log_y[short], weight[short], prior, None)
    error = log_y[long] - np.log(x[long] @ np.exp(fitted.theta))
    slope = float(np.median(error / np.log2(length[long] / (most / 4))))
    return min(max(1.5 * abs(slope), bounds[0]), bounds[1])
