"""The figures a thesis on per-token latency gives, and the same figures of other events.

Mistral-7B-Instruct-v0.3, 8 bit (bitsandbytes), the GPU not named; 471 events, 376 to train on and
95 to test on; standardised input length and context size; scikit-learn's ridge. Its published
figures stand beside ours for reference: other model, other machine, other events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from lengthwise.evaluation import scores

FEATURES = ("context_len", "isl")


@dataclass(frozen=True)
class ThesisFigures:
    """What the thesis reports of its model.

    Attributes
    ----------
    n_events, n_train, n_test
        Token events.
    mae_ms, rmse_ms
        Errors on the test events, ms.
    intercept_ms
        Time at mean context and mean input, ms.
    context_size_ms, input_token_length_ms
        Scaled coefficients: ms per standard deviation of the feature.

    Examples
    --------
    >>> round(PUBLISHED.one_event_ms)
    1551
    """

    n_events: int
    n_train: int
    n_test: int
    mae_ms: float
    rmse_ms: float
    intercept_ms: float
    context_size_ms: float
    input_token_length_ms: float

    @property
    def one_event_ms(self) -> float:
        """Error of a single event that would explain the whole RMSE, sqrt(n_test) RMSE, ms."""
        return float(np.sqrt(self.n_test) * self.rmse_ms)


PUBLISHED = ThesisFigures(471, 376, 95, 34.0332, 159.1067, 390.9156, 48.7500, -4.2815)
"""As printed in the thesis."""


def thesis_ridge() -> Pipeline:
    """Construct the thesis's regressor: scaled features, ridge with scikit-learn's penalty of 1."""
    return make_pipeline(StandardScaler(), Ridge(alpha=1.0))


def reproduce(train: pd.DataFrame, test: pd.DataFrame) -> ThesisFigures:
    """Fit the thesis's model on train events and report it on test events.

    Examples
    --------
    >>> events = pd.DataFrame({"context_len": [10.0, 20, 30, 40], "isl": [10.0, 10, 30, 30]})
    >>> found = reproduce(events.assign(latency_ms=[10.0, 20, 30, 40]), events.assign(latency_ms=9))
    >>> found.n_events, round(found.intercept_ms, 6), found.input_token_length_ms < 5
    (8, 25.0, True)
    """
    model = thesis_ridge().fit(matrix(train), train["latency_ms"])
    ridge: Any = model[-1]
    actual, predicted = test["latency_ms"].to_numpy(float), model.predict(matrix(test))
    return ThesisFigures(
        len(train) + len(test), len(train), len(test),
        scores.mae_ms(actual, predicted), scores.rmse_ms(actual, predicted),
        float(ridge.intercept_), *(float(c) for c in ridge.coef_),
    )  # fmt: skip


def matrix(events: pd.DataFrame) -> Any:
    """Give context size and input length, shape (n, 2), tokens."""
    return events[list(FEATURES)].to_numpy(float)
