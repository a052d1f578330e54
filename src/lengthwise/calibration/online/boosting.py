"""Learn the correction: boosted trees of pairs of features, laid out as tables.

scikit-learn's histogram boosting, told that no path may split on more than two features
(``interaction_cst="pairwise"``): each leaf is then a rectangle in the table of one pair.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.formulations.online.context import Context
from lengthwise.formulations.online.correction import FEATURES, PAIRS, Correction, encode, features
from lengthwise.units import FloatArray

LEAST_ROWS = 600
CLASSES = np.array([0.02, 0.08, 0.16, 0.26, 0.38, 0.5, 0.62, 0.74, 0.84, 0.92, 0.98])
"""Where classes of a feature are cut, as shares of the rows."""
SETTINGS = {"loss": "absolute_error", "max_iter": 80,
            "learning_rate": 0.1, "max_leaf_nodes": 6, "min_samples_leaf": 25,
            "l2_regularization": 5.0, "interaction_cst": "pairwise", "early_stopping": False,
            "random_state": 0}  # fmt: skip
SUPPORT = 2.0
"""Rows at which a cell of a table counts half."""
FOLDS, STRETCH = 2, 50
"""Rows are left out in stretches, since neighbours in time share a queue."""
CUT = (0.005, 0.995)
"""Residuals beyond these shares count as if they lay there: stalls are no pattern."""
_LAST = len(FEATURES) - 1


def fit(context: Context, residual: FloatArray) -> Correction:
    """Learn tables for a log residual (n,)."""
    values = features(context)
    edges = tuple(_edges(v) for v in values)
    codes = encode(values, edges)
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    y = np.clip(residual, *np.quantile(residual, CUT))
    with threadpool_limits(limits=1):
        model = HistGradientBoostingRegressor(**SETTINGS).fit(codes.T.astype(float), y)
    sizes = [len(e) + 1 for e in edges]
    tables = [np.zeros((sizes[i], sizes[j])) for i, j in PAIRS]
    for predictor in model._predictors:
        _lay_out(predictor[0].nodes, sizes, tables)
    for table, (i, j) in zip(tables, PAIRS, strict=True):
        counts = np.zeros_like(table)
        np.add.at(counts, (codes[i], codes[j]), 1.0)
        table *= counts / (counts + SUPPORT)
    tables[PAIRS.index((0, _LAST))] += float(model._baseline_prediction.ravel()[0])
    return Correction(edges, np.round(np.concatenate([t.ravel() for t in tables]), 5))


def out_of_fold(context: Context, residual: FloatArray) -> FloatArray:
    """Correction of every row learnt from the other folds, shape (n,)."""
    out = np.empty(len(residual))
    fold = np.arange(len(residual)) // STRETCH % FOLDS
    for f in range(FOLDS):
        left = fold == f
        out[left] = fit(_take(context, ~left), residual[~left]).at(_take(context, left))
    return out


def _take(context: Context, index: Any) -> Context:
    distance = None if context.distance is None else context.distance[index]
    return Context(context.rows.take(index), context.types[index], context.several,
                   context.pods[index], context.cell[index], distance)  # fmt: skip


def _edges(values: Any) -> FloatArray:
    values = np.asarray(values, dtype=float)
    low = values.min()
    edges = np.unique(np.quantile(values, CLASSES, method="lower"))
    inner: FloatArray = edges[(edges >= low) & (edges < values.max())]
    return inner


def _lay_out(nodes: Any, sizes: list[int], tables: list[FloatArray]) -> None:
    """Add the leaves of a tree to the tables."""
    stack: list[tuple[int, dict[int, tuple[int, int]]]] = [(0, {})]
    while stack:
        at, box = stack.pop()
        node = nodes[at]
        if node["is_leaf"]:
            _add(float(node["value"]), box, tables)
            continue
        f = int(node["feature_idx"])
        cut = int(np.floor(node["num_threshold"])) + 1
        lo, hi = box.get(f, (0, sizes[f]))
        stack.append((int(node["left"]), {**box, f: (lo, min(hi, cut))}))
        stack.append((int(node["right"]), {**box, f: (max(lo, cut), hi)}))


def _add(value: float, box: dict[int, tuple[int, int]], tables: list[FloatArray]) -> None:
    if not box:
        return
    used = sorted(box)
    if len(used) == 1:
        used = sorted({used[0], _LAST if used[0] != _LAST else 0})
    i, j = used
    whole = (0, 10**6)
    (a, b), (c, d) = box.get(i, whole), box.get(j, whole)
    tables[PAIRS.index((i, j))][a:b, c:d] += value
