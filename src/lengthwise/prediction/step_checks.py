"""What the parts of a step law read from a file must be like; anything else is a ValueError."""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.calibration.step.coefficients import FACTORS, StepCoefficients
from lengthwise.calibration.step.heads import LEVELS_KEPT, LIMIT, Head
from lengthwise.calibration.step.kinship import LEVELS, SETTINGS, SHARES, Spreads
from lengthwise.calibration.step.own import SHAPES, OwnSamples
from lengthwise.calibration.step.process import Process
from lengthwise.calibration.step.trees import Trees
from lengthwise.prediction.step_deployment import check_only

LARGEST = 10.0
"""Largest correction a file may hold, natural logarithm."""
SCALES = (1e-6, 1e6)
"""Smallest and largest factor, spread or length scale."""
SECONDS = 1e4
FARTHEST = 1e3
"""Largest setting or share, natural logarithm."""


def check_coefficients(coefficients: StepCoefficients) -> StepCoefficients:
    """Require factors and interference that physics can have.

    >>> check_coefficients(StepCoefficients({"products": -1.0}))
    Traceback (most recent call last):
    ...
    ValueError: factors must be known and between 1e-06 and 1e+06
    """
    low, high = SCALES
    for name, factor in coefficients.factors.items():
        if name not in FACTORS or not low <= _number(factor) <= high:
            raise ValueError(f"factors must be known and between {low:g} and {high:g}")
    for between in coefficients.interference.values():
        shares = (between.between, between.together)
        seconds = (between.wait, between.overhead_s, between.launch_s)
        if not (
            all(0 <= _number(x) <= 1 for x in shares)
            and all(0 <= _number(x) <= SECONDS for x in seconds)
            and low <= _number(between.room) <= high
        ):
            raise ValueError("interference must be shares from 0 to 1 and times from 0 s")
    return coefficients


def check_head(name: str, head: Head) -> Head:
    """Require a known quantity, arrays of one length and numbers in range."""
    if name not in LIMIT:
        raise ValueError(f"heads must be of {', '.join(LIMIT)}")
    for scores in (head.known, head.unknown):
        if scores.shape != LEVELS_KEPT.shape or not np.isfinite(scores).all():
            raise ValueError("quantiles of a head must be finite, one per level")
        if scores[0] < 0 or not (np.diff(scores) >= 0).all():
            raise ValueError("quantiles must not fall, from 0 on")
    if head.process is not None:
        _check_process(head.process)
    if head.trees is not None:
        _check_trees(head.trees)
    if head.own is not None:
        _check_own(head.own)
    return head


def check_training(value: Any) -> dict[str, Any] | None:
    """Read what was learnt."""
    if value is None:
        return None
    rows, longest = int(value["rows"]), float(value["longest_isl"])
    if rows < 0 or not 1.0 <= longest < np.inf:
        raise ValueError("training must have rows and a longest prompt of a token or more")
    return {"rows": rows, "deployments": [str(x) for x in value["deployments"]],
            "only": check_only(value.get("only")), "longest_isl": longest}  # fmt: skip


def _check_process(process: Process) -> None:
    n, kin = len(process.y), process.kin
    shapes = (
        process.y.shape == process.noise.shape == (n,) and kin.settings.shape == (n, len(SETTINGS))
        and kin.shares.shape == (n, len(SHARES)) and len(kin.labels) == len(LEVELS)
        and all(_names(x, n) for x in kin.labels)
    )  # fmt: skip
    numbers = (kin.settings, kin.shares, process.y, process.noise)
    if not n or not shapes or not all((np.abs(x) <= FARTHEST).all() for x in numbers):
        raise ValueError("arrays of a process must have one length and finite numbers")
    if not (process.noise > 0).all():
        raise ValueError("noise must be positive")
    _check_size("corrections", process.y)
    _check_spreads(process.spreads)


def _check_spreads(spreads: Spreads) -> None:
    arrays = {"offset": len(LEVELS), "smooth": len(LEVELS), "settings": len(SETTINGS),
              "shares": len(SHARES)}  # fmt: skip
    for name, count in arrays.items():
        values = getattr(spreads, name)
        if values.shape != (count,) or not _scales(values):
            raise ValueError("spreads must be positive and finite, one per level or axis")
    if not _scales(np.array([spreads.noise])):
        raise ValueError("spreads must be positive and finite, the noise too")


def _check_trees(trees: Trees) -> None:
    if not np.isfinite(trees.threshold).all():
        raise ValueError("thresholds of trees must be finite")
    _check_size("leaves of trees", np.r_[trees.value, trees.base])


def _check_own(own: OwnSamples) -> None:
    n = len(own.left)
    settings = own.settings.shape == (n, len(SETTINGS))
    if own.left.shape != (n,) or not settings or not _names(own.deployments, n):
        raise ValueError("samples of a head must have one length")
    if not (np.abs(own.settings) <= FARTHEST).all():
        raise ValueError("settings of samples must be finite")
    if own.shape not in SHAPES:
        raise ValueError(f"samples must have the shape of {' or '.join(SHAPES)}")
    if not 0 < own.spread <= LARGEST:
        raise ValueError(f"the spread of samples must be positive, at most {LARGEST:g}")
    _check_size("samples", own.left)


def _check_size(what: str, values: Any) -> None:
    if not (np.abs(values) <= LARGEST).all():
        raise ValueError(f"{what} must be finite, at most {LARGEST:g}")


def _scales(values: Any) -> bool:
    low, high = SCALES
    return bool(np.all((low <= values) & (values <= high)))


def _names(values: Any, n: int) -> bool:
    return bool(values.shape == (n,) and all(isinstance(x, str) for x in values))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"a number must be a number, not {type(value).__name__}")
    return float(value)
