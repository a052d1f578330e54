"""What the learned baselines see: logarithms of the work of a step, and of its time.

The work of the phase (tokens, query-key pairs, sequences), the log target and the order of rows are
the same for all of them, so that they differ in nothing but the learner.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.units import FloatArray

FEATURES: dict[str, tuple[str, ...]] = {
    "prefill": ("new_tokens", "context_len", "sequences", "attention_pairs"),
    "decode": ("kv_tokens", "context_len", "sequences"),
    "mixed": ("new_tokens", "kv_tokens", "sequences", "attention_pairs"),
}
"""Fields of :class:`~lengthwise.domain.work.Work` a learner sees, by phase."""

_LOG_LIMIT = 60.0
"""exp(60) s is past any time and far from overflow."""

_DECIMALS = 10


def log_features(work: Work) -> FloatArray:
    """Take the logarithm of the features of the phase.

    Returns
    -------
    array of shape (n, k), ln of tokens, tokens squared or sequences.

    Examples
    --------
    >>> work = Work.of("decode", query_len=1, context_len=[100.0], batch_size=10)
    >>> np.exp(log_features(work)).round(6).tolist()
    [[1000.0, 100.0, 10.0]]
    """
    columns: list[FloatArray] = [getattr(work, name) for name in FEATURES[work.phase]]
    return np.log(np.column_stack(columns))


class LearnedFormulation(Formulation):
    """Base of the learned baselines: ln t = f(ln work), with f from scikit-learn or alike.

    Rows are put into one order and log times are centred and rounded to 1e-10, so that neither the
    order of the table nor the unit of time decides ties.
    """

    offset_: float
    regressor_: Any

    def _regressor(self) -> Any:
        """Construct the unfitted learner."""
        raise NotImplementedError

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        features, target = log_features(work), np.log(y_s)
        order = np.lexsort([weight, target, *features.T])
        features, target, weight = features[order], target[order], weight[order]
        self.offset_ = float(np.average(target, weights=weight))
        target = np.round(target - self.offset_, _DECIMALS)
        self.regressor_ = self._fit_regressor(features, target, weight / weight.mean())

    def _fit_regressor(self, features: FloatArray, target: FloatArray, weight: FloatArray) -> Any:
        from sklearn import config_context

        # Checked already; with a few points the checks of every tree cost more than the trees.
        with config_context(assume_finite=True, skip_parameter_validation=True):
            return self._regressor().fit(features, target, sample_weight=weight)

    def _predict(self, work: Work) -> FloatArray:
        log_s = np.asarray(self.regressor_.predict(log_features(work)), dtype=float)
        return np.exp(np.clip(log_s + self.offset_, -_LOG_LIMIT, _LOG_LIMIT))
