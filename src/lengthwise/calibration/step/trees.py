"""Boosted regression trees beside the process: what many deployments have in common, in steps.

Trees find rules that a smooth covariance cannot, such as that one version of an engine differs;
they are learnt by scikit-learn (histogram gradient boosting of the absolute error, Friedman 2001)
and kept as plain arrays, so that a law file holds numbers only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.calibration.step import kinship
from lengthwise.calibration.step.kinship import Kin
from lengthwise.calibration.step.rows import Columns, Evaluated
from lengthwise.formulations.step.groups import GROUPS
from lengthwise.units import FloatArray

SEEN = ("engine", "precision", "hardware")
"""Labels trees may split on, one column for every value with ``COMMON`` rows."""
COMMON = 20
TINY = 1e-7
_PARTS = ("projections", "feed_forward", "experts", "attention_prefill", "attention_decode",
          "collectives")  # fmt: skip
WIDTH = len(kinship.SETTINGS) + len(kinship.SHARES) + 2 * len(_PARTS) + 6
"""Numbers of a row, before the columns of label values."""
SETTINGS = {"loss": "absolute_error", "max_iter": 250, "learning_rate": 0.06,
            "max_leaf_nodes": 16, "min_samples_leaf": 10, "random_state": 0}  # fmt: skip


@dataclass(frozen=True)
class Features:
    """Numbers that trees split on, shape (n, m), and the labels of the rows."""

    numbers: FloatArray
    labels: Mapping[str, Any]

    @classmethod
    def of(cls, columns: Columns, rows: Evaluated, kin: Kin, times: FloatArray) -> Features:
        """Gather settings, shares, times of operator groups, room in memory, and the version.

        Parameters
        ----------
        times
            TTFT and TPOT (or the step, twice) as the physics has them, seconds, shape (n, 2).
        """
        parts = [GROUPS.index(name) for name in _PARTS]
        full = np.minimum(np.asarray(columns["concurrency"], float) / rows.capacity, 1e3)
        numbers = np.column_stack([
            kin.settings, kin.shares, np.log(times), np.log(rows.decode.sum(axis=1)),
            np.log(rows.prompt.sum(axis=1)), np.log(rows.decode[:, parts] + TINY),
            np.log(rows.prompt[:, parts] + TINY), np.log(full + 1e-4),
            [version_number(v) for v in columns["engine_version"]],
        ])  # fmt: skip
        return cls(numbers, {name: np.asarray(columns[name]).astype(str) for name in SEEN})

    def take(self, index: Any) -> Features:
        """Select rows."""
        return Features(self.numbers[index], {k: v[index] for k, v in self.labels.items()})

    def matrix(self, values: Mapping[str, list[str]]) -> FloatArray:
        """Put numbers and one column per label value side by side, shape (n, k)."""
        flags = [self.labels[name] == value for name in SEEN for value in values[name]]
        return np.column_stack([self.numbers, *(f.astype(float) for f in flags)])


def version_number(version: str) -> float:
    """Give a version as a number that rises with it; -1 for none.

    >>> version_number("0.5.9") < version_number("0.10.0") < version_number("1.2.0rc6.post3")
    True
    """
    parts = re.findall(r"\d+", str(version))
    return sum(float(x) / 1000.0**i for i, x in enumerate(parts[:4])) if parts else -1.0


@dataclass(frozen=True)
class Trees:
    """A sum of regression trees as flat arrays.

    Attributes
    ----------
    values
        Label values with a column of their own, by label.
    base
        Value before the first tree.
    starts
        Index of each tree's root, shape (trees,).
    feature, threshold, missing_left, left, right, value
        One entry per node; a leaf has feature -1.
    """

    values: Mapping[str, list[str]]
    base: float
    starts: Any
    feature: Any
    threshold: FloatArray
    missing_left: Any
    left: Any
    right: Any
    value: FloatArray

    @classmethod
    def fit(cls, features: Features, y: FloatArray) -> Trees:
        """Learn trees for ``y`` (n,), on one thread: more spend their time waiting."""
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        values = {name: _common(features.labels[name]) for name in SEEN}
        with threadpool_limits(limits=1):
            model = HistGradientBoostingRegressor(**SETTINGS).fit(features.matrix(values), y)
        nodes = [predictor[0].nodes for predictor in model._predictors]
        starts = np.cumsum([0, *(len(n) for n in nodes[:-1])])
        shift = np.repeat(starts, [len(n) for n in nodes])
        every = np.concatenate(nodes)
        leaf = every["is_leaf"].astype(bool)
        return cls(
            values, float(model._baseline_prediction.ravel()[0]), starts,
            np.where(leaf, -1, every["feature_idx"].astype(int)),
            np.where(leaf, 0.0, every["num_threshold"]), every["missing_go_to_left"].astype(bool),
            np.where(leaf, 0, every["left"].astype(int) + shift),
            np.where(leaf, 0, every["right"].astype(int) + shift),
            np.where(leaf, every["value"], 0.0),
        )  # fmt: skip

    def predict(self, features: Features) -> FloatArray:
        """Predict rows, shape (n,)."""
        x = features.matrix(self.values)
        rows = np.arange(len(x))
        total = np.full(len(x), self.base)
        for start in self.starts:
            node = np.full(len(x), start)
            while (inner := self.feature[node] >= 0).any():
                seen = x[rows, np.maximum(self.feature[node], 0)]
                with np.errstate(invalid="ignore"):
                    left = np.where(np.isnan(seen), self.missing_left[node],
                                    seen <= self.threshold[node])  # fmt: skip
                node = np.where(inner, np.where(left, self.left[node], self.right[node]), node)
            total += self.value[node]
        return total

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; thresholds in full, since values of rows learnt may lie on them."""
        return {
            "values": dict(self.values), "base": self.base, "starts": self.starts.tolist(),
            "feature": self.feature.tolist(),
            "threshold": self.threshold.tolist(),
            "missing_left": self.missing_left.astype(int).tolist(), "left": self.left.tolist(),
            "right": self.right.tolist(), "value": [float(f"{v:.6g}") for v in self.value],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trees:
        """Read :meth:`to_dict` back; children that could loop are refused."""
        whole = {k: np.asarray(data[k], int) for k in ("starts", "feature", "left", "right")}
        values = {name: [str(x) for x in data["values"][name]] for name in SEEN}
        n, inner = len(whole["feature"]), whole["feature"] >= 0
        nodes = ("feature", "threshold", "missing_left", "left", "right", "value")
        if any(np.shape(data[k]) != (n,) for k in nodes):
            raise ValueError("arrays of trees must have one length")
        if (whole["feature"] >= WIDTH + sum(map(len, values.values()))).any():
            raise ValueError("trees must split on columns there are")
        index = np.arange(n)[inner]
        for side in ("left", "right"):
            child = whole[side][inner]
            if not ((child > index) & (child < n)).all():
                raise ValueError("children of a node must come after it")
        if not ((whole["starts"] >= 0) & (whole["starts"] < n)).all():
            raise ValueError("trees must start inside the nodes")
        return cls(
            values, float(data["base"]), whole["starts"], whole["feature"],
            np.asarray(data["threshold"], float), np.asarray(data["missing_left"], bool),
            whole["left"], whole["right"], np.asarray(data["value"], float),
        )  # fmt: skip


def _common(labels: Any) -> list[str]:
    names, counts = np.unique(labels, return_counts=True)
    return [str(name) for name, count in zip(names, counts, strict=True) if count > COMMON]
