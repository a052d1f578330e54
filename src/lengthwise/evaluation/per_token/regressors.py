"""Regressors on any features: the thesis's ridge, and the non-linear ones it names as future work.

The ridge learns t itself from columns as they are, as the thesis does. The non-linear regressors
learn ln t, from the logarithms of lengths and counts: times span four decades, and squared errors
in ms would show them nothing but the longest prompts. Kernel methods cost the cube of the events,
so they see at most 400, drawn at random.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from lengthwise.evaluation.per_token.features import is_text
from lengthwise.units import FloatArray

KERNEL_EVENTS = 400
LOG_COLUMNS = ("context_len", "isl", "output_index", "batch_size", "concurrency")
LARGEST_LOG_MS = 50.0
"""exp(50) ms is past any time and far from overflow."""


class Regressor:
    """A regressor on named columns of events.

    Parameters
    ----------
    learner
        Constructs the scikit-learn regressor from a seed.
    columns
        Features.
    log
        Whether it learns ln t from logarithms of lengths, rather than t from lengths.
    most
        Events it is shown at most; None shows all.
    seed
        Seed of the learner and of the draw.

    Examples
    --------
    >>> events = pd.DataFrame({"context_len": [10.0, 20, 30, 40], "latency_ms": [1.0, 2, 3, 4]})
    >>> law = Regressor(lambda seed: Ridge(alpha=0.0), ["context_len"], log=False).fit(events)
    >>> law.predict(events).round(6).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """

    def __init__(
        self, learner: Callable[[int], Any], columns: Sequence[str], *, log: bool = True,
        most: int | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        self.learner, self.columns, self.log = learner, list(columns), log
        self.most, self.seed = most, seed

    def fit(self, events: pd.DataFrame) -> Self:
        """Fit on events, times in ms."""
        if self.most is not None and len(events) > self.most:
            draw = np.random.default_rng(self.seed).choice(len(events), self.most, replace=False)
            events = events.iloc[np.sort(draw)]
        y_ms = events["latency_ms"].to_numpy(float)
        learner = self.learner(self.seed)
        self.model_: Pipeline = make_pipeline(_columns(events, self.columns, self.log), learner)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a bound of a kernel was reached
            self.model_.fit(_plain(events, self.columns), np.log(y_ms) if self.log else y_ms)
        return self

    def predict(self, events: pd.DataFrame) -> FloatArray:
        """Predict times, shape (n,), ms."""
        found = np.asarray(self.model_.predict(_plain(events, self.columns)), dtype=float)
        return np.exp(np.minimum(found, LARGEST_LOG_MS)) if self.log else found


def ridge(columns: Sequence[str], seed: int = 0) -> Regressor:
    """Construct the thesis's ridge on more columns."""
    return Regressor(lambda _: Ridge(alpha=1.0), columns, log=False, seed=seed)


def boosting(columns: Sequence[str], seed: int = 0) -> Regressor:
    """Construct gradient-boosted trees (Friedman 2001)."""
    return Regressor(_boosting, columns, seed=seed)


def forest(columns: Sequence[str], seed: int = 0) -> Regressor:
    """Construct a random forest (Breiman 2001)."""
    return Regressor(lambda s: RandomForestRegressor(100, random_state=s), columns, seed=seed)


def kernel_ridge(columns: Sequence[str], seed: int = 0) -> Regressor:
    """Construct kernel ridge regression; width and penalty by cross-validation."""
    return Regressor(_kernel_ridge, columns, most=KERNEL_EVENTS, seed=seed)


def gaussian_process(columns: Sequence[str], seed: int = 0) -> Regressor:
    """Construct a Gaussian process; widths and noise by marginal likelihood."""
    return Regressor(_gaussian_process, columns, most=KERNEL_EVENTS, seed=seed)


def _boosting(seed: int) -> Any:
    return GradientBoostingRegressor(
        n_estimators=120, learning_rate=0.1, max_depth=4, subsample=0.5, random_state=seed
    )


def _kernel_ridge(seed: int) -> Any:
    grid = {"alpha": [1e-3, 1e-2, 1e-1], "gamma": [0.03, 0.1, 0.3, 1.0]}
    return GridSearchCV(KernelRidge(kernel="rbf"), grid, cv=3)


def _gaussian_process(seed: int) -> Any:
    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * RBF(1.0, (1e-1, 1e2)) + WhiteKernel(
        0.01, (1e-6, 1.0)
    )
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)


def _columns(events: pd.DataFrame, columns: Sequence[str], log: bool) -> ColumnTransformer:
    words = [c for c in columns if is_text(events[c])]
    logs = [c for c in columns if log and c in LOG_COLUMNS]
    plain = [c for c in columns if c not in (*words, *logs)]
    return ColumnTransformer([
        ("logs", make_pipeline(_median(), FunctionTransformer(np.log1p), StandardScaler()), logs),
        ("numbers", make_pipeline(_median(), StandardScaler()), plain),
        ("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
    ])  # fmt: skip


def _median() -> SimpleImputer:
    return SimpleImputer(strategy="median", keep_empty_features=True)


def _plain(events: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({
        c: events[c].astype(str) if is_text(events[c]) else events[c].to_numpy(float)
        for c in columns
    }, index=events.index)  # fmt: skip
