"""Give pods and pod types new positions everywhere, after some were forgotten."""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.calibration.online.memory import POD, TYPE
from lengthwise.calibration.online.target import TargetLearner


def move_pods(target: TargetLearner, moved: Any) -> None:
    """Move the pods of a target to new positions; 0 stands for a pod that was forgotten."""
    for model in target.models():
        order = _order(moved, len(model.offset))
        model.offset, model.variance = model.offset[order], model.variance[order]
    target.anchored = target.anchored[0], min(target.anchored[1], len(target.anchor.offset))
    _rows(target, POD, moved)


def move_types(target: TargetLearner, moved: Any) -> None:
    """Move the pod types of a target to new positions; 0 stands for one that was forgotten."""
    for model in target.models():
        order = _order(moved, len(model.theta))
        model.theta, model.level = model.theta[order], model.level[order]
        model.covariance = model.covariance[order]
    target.anchored = min(target.anchored[0], len(target.anchor.theta)), target.anchored[1]
    _rows(target, TYPE, moved)


def _order(moved: Any, size: int) -> Any:
    """Old positions in their new order, of a model that knew so many labels."""
    kept = np.flatnonzero(moved)
    order = np.concatenate([[0], kept])
    return order[order < size]


def _rows(target: TargetLearner, row: int, moved: Any) -> None:
    for memory in (target.memory, target.holdout):
        memory.data[row] = moved[memory.data[row].astype(int)]
    target.doubt.relabel(row, moved)
    target.gate.forget_pods()
