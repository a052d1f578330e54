r"""Gaussian process on log features.

    ln t ~ GP(0, s0^2 + s1^2 z.z' + s2^2 exp(-|(z - z') / l|^2 / 2) + noise^2)

z is standardised ln work. The linear part carries the trend past the data, the RBF part bends it
inside; s0, s1, s2, l, noise without unit, found by maximum marginal likelihood from fixed starting
points, within 1e-3..1e3 (l from 0.1, noise 1e-4..1). Repeats of a point are averaged first; the
fewer its repeats or the smaller its weight, the more noise a point is given. Cost grows with the
cube of the distinct points: at most ``max_points`` of them, evenly spread, are kept.

Source: Rasmussen and Williams 2006, Gaussian Processes for Machine Learning;
``GaussianProcessRegressor`` of scikit-learn.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from lengthwise.domain.work import Work
from lengthwise.formulations.features import LearnedFormulation
from lengthwise.units import FloatArray

_BLOCK = 65_536
"""Points predicted at once: bounds memory to this many times ``max_points`` numbers."""

_NOISE_LOG = 0.02
"""Timing noise of one measurement, by which weights below the largest add variance; ln s."""


class GaussianProcess(LearnedFormulation):
    """Smooth law with a linear trend on a log-log plot.

    Parameters
    ----------
    max_points
        Distinct points kept.
    n_restarts
        Random starting points of the likelihood search besides the default one.
    random_state
        Seed of the starting points.

    Attributes
    ----------
    notes_
        What the likelihood search had to say, for example hyperparameters that ended at a bound, as
        is usual with few points or a constant batch. Kept here rather than warned about.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [128, 256, 512, 1024, 2048]})
    >>> law = GaussianProcess().fit(X, 1e-4 * X["isl"])
    >>> law.predict(X.assign(isl=700)).round(3).tolist()[0]
    0.07
    """

    name: ClassVar[str] = "gaussian-process"
    equation: ClassVar[str] = "ln t ~ GP(0, constant + linear + RBF + noise) of ln work"
    citation: ClassVar[str] = "Rasmussen and Williams 2006"

    notes_: list[str]

    def __init__(
        self, *, max_points: int = 400, n_restarts: int = 1, random_state: int = 0
    ) -> None:
        self.max_points, self.n_restarts = max_points, n_restarts
        self.random_state = random_state

    def _fit_regressor(self, features: FloatArray, target: FloatArray, weight: FloatArray) -> Any:
        scaler = StandardScaler().fit(features)
        points, means, weights = _distinct(scaler.transform(features), target, weight)
        keep = np.unique(np.linspace(0, len(points) - 1, self.max_points).round().astype(int))
        points, means, weights = points[keep], means[keep], weights[keep]
        process = GaussianProcessRegressor(
            ConstantKernel(1.0, (1e-3, 1e3)) * DotProduct(1.0, (1e-3, 1e3))
            + ConstantKernel(0.1, (1e-3, 1e3)) * RBF(1.0, (1e-1, 1e3))
            + WhiteKernel(_NOISE_LOG**2, (1e-8, 1.0)),
            alpha=1e-10 + _NOISE_LOG**2 * (weights.max() / weights - 1.0),
            n_restarts_optimizer=self.n_restarts,
            random_state=self.random_state,
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            process.fit(points, means)
        self.notes_ = [str(w.message).splitlines()[0] for w in caught]
        return Pipeline([("scale", scaler), ("process", process)])

    def _predict(self, work: Work) -> FloatArray:
        blocks = [
            super(GaussianProcess, self)._predict(work.take(slice(start, start + _BLOCK)))
            for start in range(0, len(work), _BLOCK)
        ]
        return np.concatenate(blocks)


def _distinct(
    points: FloatArray, target: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Average the target over equal points; weights of equal points add up."""
    unique, group = np.unique(points, axis=0, return_inverse=True)
    total = np.bincount(group.ravel(), weights=weight).astype(float)
    mean = np.bincount(group.ravel(), weights=weight * target) / total
    return unique, mean.astype(float), total
