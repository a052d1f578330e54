r"""What to measure next: the point that makes the predictions that matter surest, per second spent.

Measuring point i changes the variance of the correction at point t by

    C_ti^2 / (C_ii + noise)            C: posterior covariance (Rasmussen and Williams 2006, 2.2)

The expected error is the mean, over the points asked about, of the standard deviation with the
noise of a measurement. Points are taken greedily by reduction of that error per second of measuring
(expected information per cost, MacKay 1992), until the next one would buy less than ``LEAST``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lengthwise.calibration.exploration.gain import variance_after
from lengthwise.calibration.step.columns import columns_of
from lengthwise.calibration.step.heads import Head
from lengthwise.calibration.step.kin import seen_of
from lengthwise.calibration.step.own import NOISE
from lengthwise.calibration.step.rows import evaluate
from lengthwise.errors import InputError
from lengthwise.prediction.step_answers import physics_of
from lengthwise.prediction.step_points import mapping_of
from lengthwise.units import FloatArray

if TYPE_CHECKING:
    from lengthwise.prediction.step_law import StepLaw

LEAST = 0.02
"""Share of the error that one more measurement has to take away to be worth suggesting."""
SETUP_S = 10.0
"""Seconds to start a run, beside the requests themselves."""
WAVES = 3
"""Times the batch is filled in a run, so that the steady state is seen."""


@dataclass(frozen=True)
class Measurement:
    """One suggested run.

    Attributes
    ----------
    settings
        Columns of the point, such as ``isl``, ``osl`` and ``concurrency``.
    seconds
        What the run takes, predicted.
    error_before, error_after
        Expected error over the points asked about, percent, before and after this run.
    """

    settings: Mapping[str, Any]
    seconds: float
    error_before: float
    error_after: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def suggest(
    law: StepLaw, points: Mapping[str, Any], most: int = 5, quantity: str = "tpot"
) -> list[Measurement]:
    """Choose up to ``most`` points of a grid to measure, best first.

    Parameters
    ----------
    law
        Fitted or not; without a fit the usual spreads of corrections stand in.
    points
        The points that matter, columns of shape (n,); they are the candidates too.
    most
        Runs to suggest at most.
    quantity
        ``tpot``, ``ttft``, ``prefill`` or ``decode``.

    Returns
    -------
    list
        Fewer than ``most`` when more would buy nothing.

    Examples
    --------
    >>> from lengthwise.prediction.step_law import StepLaw
    >>> grid = {"model": ["llama3.1-8b"] * 3, "hardware": ["h100_sxm"] * 3, "osl": [128] * 3,
    ...         "isl": [512, 4096, 32768], "concurrency": [1, 8, 64]}
    >>> found = suggest(StepLaw(), grid, most=2)
    >>> len(found), found[0].error_after < found[0].error_before
    (2, True)
    """
    columns = columns_of(points)
    evaluated = evaluate(columns)
    if (evaluated.problem != "").any():
        raise InputError(str(next(p for p in evaluated.problem if p)))
    seconds = physics_of(columns, evaluated, law.coefficients_).seconds
    if quantity not in seconds or np.isnan(seconds[quantity]).all():
        raise InputError("the quantity must be one the points have", got=quantity,
                         remedy="ttft or tpot of requests, prefill or decode of steps")  # fmt: skip
    kin = seen_of(columns, evaluated, law.coefficients_).kin
    cost = _cost(columns, seconds)
    spread = law.heads_.get(quantity, Head()).own_covariance(quantity, kin)
    chosen = _greedy(spread, NOISE**2, cost, most)
    return [
        Measurement({k: _plain(v[i]) for k, v in points.items()}, float(cost[i]), before, after)
        for i, before, after in chosen
    ]


def choose(law: StepLaw, points: Any, samples: int, quantity: str) -> list[int]:
    """Give the rows of ``points`` to measure when every run costs the same, best first.

    Parameters
    ----------
    points
        DataFrame or mapping, rows of shape (n,).
    samples
        How many; fewer only if there are fewer rows.
    """
    columns = columns_of(mapping_of(points))
    evaluated = evaluate(columns)
    kin = seen_of(columns, evaluated, law.coefficients_).kin
    spread = law.heads_.get(quantity, Head()).own_covariance(quantity, kin)
    cost = np.ones(len(kin))
    return [i for i, _, _ in _greedy(spread, NOISE**2, cost, min(samples, len(kin)), least=0.0)]


def _greedy(
    spread: FloatArray, noise: float, cost: FloatArray, most: int, least: float = LEAST
) -> list[tuple[int, float, float]]:
    spread = spread.copy()
    chosen: list[tuple[int, float, float]] = []
    while len(chosen) < most:
        variance = np.diag(spread)
        before = _error(variance, noise)
        after = np.array([
            _error(variance_after(variance, spread[:, i], spread[i, i] + noise), noise)
            for i in range(len(cost))
        ])  # fmt: skip
        worth = np.where(before - after >= least * before, (before - after) / cost, -np.inf)
        best = int(np.argmax(worth))
        if not np.isfinite(worth[best]):
            break
        chosen.append((best, before, float(after[best])))
        spread -= np.outer(spread[:, best], spread[best]) / (spread[best, best] + noise)
    return chosen


def _error(variance: FloatArray, noise: float) -> float:
    """Give the expected absolute relative error of log-normal errors, percent."""
    sd = np.sqrt(np.maximum(variance, 0.0) + noise)
    return 100.0 * float(np.mean(np.sqrt(2.0 / np.pi) * sd))


def _cost(columns: Mapping[str, Any], seconds: Mapping[str, FloatArray]) -> FloatArray:
    """Seconds of a run: a few waves of requests, or a few steps, and the start."""
    request = seconds["ttft"] + np.nan_to_num(seconds["tpot"]) * np.maximum(columns["osl"] - 1, 0)
    step = np.fmax(np.nan_to_num(seconds["prefill"]), np.nan_to_num(seconds["decode"]))
    return SETUP_S + WAVES * np.where(np.isnan(request), step, request)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
