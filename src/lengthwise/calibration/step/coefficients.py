"""Factors on the parts of a step, and how requests interfere: the fitted quantities of the physics.

Least squares on the log times of requests, TTFT and TPOT together, with a normal prior around what
kernel tables and published overheads say. Robust (soft L1): unrecorded settings are common.

How far the factors may leave the kernel tables is chosen on models (deployments, if those are few)
that a fit did not see: where engines are like those of the tables, factors learnt from some models
are worse on the next one than no factors at all; an eager engine needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lengthwise.calibration.step.rows import Columns, Evaluated
from lengthwise.calibration.step.thinning import thinned
from lengthwise.formulations.step.groups import GROUPS
from lengthwise.formulations.step.host import HostOverhead
from lengthwise.formulations.step.serving import (
    Interference,
    Load,
    first_token_seconds,
    per_token_seconds,
)
from lengthwise.units import FloatArray

FACTORS = (
    "products", "experts", "attention_prefill", "attention_decode", "collectives", "elementwise",
    "host_step", "host_layers", "host_sequences",
)  # fmt: skip
_OF_GROUP = {"projections": "products", "feed_forward": "products", "logits": "products",
             "recurrence": "attention_decode"}  # fmt: skip
COLUMN = np.array([FACTORS.index(_OF_GROUP.get(g, g)) for g in GROUPS])
"""Which factor belongs to each group."""

FACTOR_SD = np.array([0.5, 0.5, 0.5, 0.3, 0.5, 0.5, 1.0, 1.0, 1.0])
"""Prior sd of the logarithm of each factor; overheads of the host vary most."""
ENGINE_SD = np.array([1.0, 1.0, 1.0, 1.0, 0.3, 2.0])
"""The same of between, together (logits), wait, overhead_s, room, launch_s."""
LAYERS = GROUPS.index("host_layers")
SHARP = 4.0
ODD = 0.2
"""Log error from which rows count less."""
TTFT_WEIGHT = 0.3
"""TTFT holds queueing, which is three times as uncertain."""
WIDTHS = (1.0, 0.1, 0.02)
"""Multiples of ``FACTOR_SD`` tried."""
ENOUGH_GROUPS = 3
CHOICE_ROWS, CHOICE_FOLDS = 500, 4
"""Rows and folds on which the width is chosen."""


@dataclass(frozen=True)
class StepCoefficients:
    """Fitted quantities of the physics.

    Attributes
    ----------
    factors
        By name in :data:`FACTORS`, 1 before any fit.
    interference
        By engine; the key ``""`` stands for engines without data.
    """

    factors: Mapping[str, float] = field(default_factory=dict)
    interference: Mapping[str, Interference] = field(default_factory=dict)

    def per_group(self) -> FloatArray:
        """Factors in the order of the groups, shape (groups,)."""
        factors = np.array([self.factors.get(name, 1.0) for name in FACTORS])
        return np.asarray(factors[COLUMN])

    def of_engine(self, engine: Any) -> Interference:
        """Give the interference of an engine."""
        default = self.interference.get("", Interference())
        return self.interference.get(str(engine), default)

    def steps(self, rows: Evaluated, engines: Any) -> tuple[FloatArray, FloatArray]:
        """Give the seconds of the decode step and of the prompt of rows, each of shape (n,).

        A step takes as long as its kernels or as the host needs to launch them, whichever is more,
        as a smooth maximum: eager engines at small batches wait for the host.
        """
        weights = self.per_group()
        launch = np.array([self.of_engine(e).launch_s for e in engines]) / HostOverhead.layer_s
        both = []
        for part in (rows.decode, rows.prompt):
            kernels, host = part @ weights, part[:, LAYERS] * launch
            high = np.maximum(np.maximum(kernels, host), 1e-12)
            both.append(high * ((kernels / high) ** SHARP + (host / high) ** SHARP) ** (1 / SHARP))
        return both[0], both[1]

    def times(self, rows: Evaluated, columns: Columns) -> tuple[FloatArray, FloatArray]:
        """Give TTFT and TPOT of requests, seconds, each of shape (n,).

        Data-parallel copies take prompts side by side: a request waits for those of its own copy.
        """
        engines, copies = columns["engine"], np.asarray(columns["dp"], float)
        each = [self.of_engine(e) for e in engines]
        between, together, wait, overhead, room = (
            np.array([getattr(x, k) for x in each])
            for k in ("between", "together", "wait", "overhead_s", "room")
        )
        load = Load.of(columns["concurrency"], rows.capacity * room, columns["osl"], copies)
        decode, prompt = self.steps(rows, engines)
        tpot = per_token_seconds(load, decode, prompt, between)
        ttft = first_token_seconds(load, decode, prompt, tpot, together, wait, overhead)
        return ttft, tpot

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"factors": dict(self.factors),
                "interference": {k: vars(v) for k, v in self.interference.items()}}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepCoefficients:
        """Read :meth:`to_dict` back."""
        shared = {k: Interference(**v) for k, v in data["interference"].items()}
        return cls(dict(data["factors"]), shared)


def fit_coefficients(
    rows: Evaluated, columns: Columns, seconds: Mapping[str, FloatArray]
) -> StepCoefficients:
    """Fit factors and interference to measured times.

    Parameters
    ----------
    rows, columns
        Physics and columns of n rows.
    seconds
        Measured times by quantity: ``ttft``, ``tpot``, ``prefill``, ``decode``; shape (n,), NaN
        where a row has none.
    """
    sample = _Sample(rows, columns, dict(seconds))
    return sample.fit(sample.best_width())


@dataclass(frozen=True)
class _Sample:
    """Rows that coefficients are fitted to."""

    rows: Evaluated
    columns: Columns
    seconds: Mapping[str, FloatArray]

    def take(self, index: Any) -> _Sample:
        columns = {name: np.asarray(values)[index] for name, values in self.columns.items()}
        seconds = {name: values[index] for name, values in self.seconds.items()}
        return _Sample(self.rows.take(index), columns, seconds)

    def fit(self, width: float) -> StepCoefficients:
        """Fit with the prior of the factors ``width`` times as wide as usual."""
        from scipy.optimize import least_squares

        names = sorted({str(e) for e in self.columns["engine"]})
        start = _pack(StepCoefficients(), names)
        sd = np.r_[width * FACTOR_SD, np.tile(ENGINE_SD, len(names))]

        def misses(vector: FloatArray) -> FloatArray:
            missed = self.misses(_unpack(vector, names))
            return np.concatenate([missed, ODD * (vector - start) / sd])

        found = least_squares(misses, start, loss="soft_l1", f_scale=ODD, max_nfev=60)
        return _unpack(found.x, names)

    def misses(self, coefficients: StepCoefficients) -> FloatArray:
        """Give the weighted log errors of all times."""
        found = quantities(coefficients, self.rows, self.columns)
        parts = []
        for name, values in self.seconds.items():
            at = np.isfinite(values)
            weight = TTFT_WEIGHT if name == "ttft" else 1.0
            parts.append(weight * np.log(found[name][at] / values[at]))
        return np.concatenate(parts)

    def best_width(self) -> float:
        """Choose the width with the least error on groups left out."""
        groups = self.groups()
        names = np.unique(groups)
        if len(names) < 2:
            return WIDTHS[0]
        some = thinned(groups, CHOICE_ROWS)
        part, fold = self.take(some), np.searchsorted(names, groups[some]) % CHOICE_FOLDS
        errors = [
            np.concatenate([
                np.abs(part.take(fold == k).misses(part.take(fold != k).fit(width)))
                for k in np.unique(fold).tolist()
            ]).mean()
            for width in WIDTHS
        ]  # fmt: skip
        return WIDTHS[int(np.argmin(errors))]

    def groups(self) -> Any:
        """Name what is left out: models, or deployments where models are few; shape (n,)."""
        models = np.asarray(self.rows.architecture).astype(str)
        if len(set(models)) >= ENOUGH_GROUPS:
            return models
        labels = [np.asarray(self.columns[k]).astype(str) for k in ("model", "hardware", "tp")]
        return np.array([" ".join(x) for x in zip(*labels, strict=True)])


def quantities(
    coefficients: StepCoefficients, rows: Evaluated, columns: Columns
) -> dict[str, FloatArray]:
    """Give every quantity of n rows, seconds, shape (n,), whatever the phase of a row."""
    ttft, tpot = coefficients.times(rows, columns)
    _, step = coefficients.steps(rows, columns["engine"])
    return {"ttft": ttft, "tpot": tpot, "prefill": step, "decode": step}


def _pack(coefficients: StepCoefficients, engines: list[str]) -> FloatArray:
    shares = [coefficients.of_engine(e) for e in engines]
    logits = [
        [_logit(s.between), _logit(s.together), *np.log([s.wait, s.overhead_s, s.room, s.launch_s])]
        for s in shares
    ]
    factors = [np.log(coefficients.factors.get(k, 1.0)) for k in FACTORS]
    return np.concatenate([factors, np.ravel(logits)])


def _unpack(vector: FloatArray, engines: list[str]) -> StepCoefficients:
    factors = dict(zip(FACTORS, np.exp(vector[: len(FACTORS)]).tolist(), strict=True))
    shares = vector[len(FACTORS) :].reshape(-1, len(ENGINE_SD))
    each = {engine: _interference(row) for engine, row in zip(engines, shares, strict=True)}
    return StepCoefficients(factors, each | {"": _interference(shares.mean(axis=0))})


def _interference(row: FloatArray) -> Interference:
    return Interference(_share(row[0]), _share(row[1]), *np.exp(row[2:]).tolist())


def _logit(share: float) -> float:
    return float(np.log(share / (1.0 - share)))


def _share(logit: float) -> float:
    return float(1.0 / (1.0 + np.exp(-logit)))
