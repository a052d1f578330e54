"""Factors on the parts of a step, and how requests interfere: the fitted quantities of the physics.

Least squares on the log times of requests, TTFT and TPOT together, with a normal prior around what
kernel tables and published overheads say. Robust (soft L1): unrecorded settings are common.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from lengthwise.calibration.step.rows import Evaluated
from lengthwise.formulations.step.groups import GROUPS
from lengthwise.formulations.step.serving import (
    Interference,
    Load,
    first_token_seconds,
    per_token_seconds,
    running_of,
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

FACTOR_SD = 0.5
LOGIT_SD = 1.0
ROOM_SD = 0.3
ODD = 0.2
"""Log error from which rows count less."""
TTFT_WEIGHT = 0.3
"""TTFT holds queueing, which is three times as uncertain."""


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

    def times(
        self, rows: Evaluated, in_flight: FloatArray, osl: FloatArray, engines: Any
    ) -> tuple[FloatArray, FloatArray]:
        """Give TTFT and TPOT of rows, seconds, each of shape (n,)."""
        weights = self.per_group()
        each = [self.of_engine(e) for e in engines]
        between, together, wait, overhead, room = (
            np.array([getattr(x, k) for x in each])
            for k in ("between", "together", "wait", "overhead_s", "room")
        )
        load = Load(in_flight, running_of(in_flight, rows.capacity * room), osl)
        decode, prompt = rows.decode @ weights, rows.prompt @ weights
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
    rows: Evaluated,
    in_flight: FloatArray,
    osl: FloatArray,
    engines: Any,
    ttft_s: FloatArray,
    tpot_s: FloatArray,
) -> StepCoefficients:
    """Fit factors and interference to measured requests; NaN times are left out.

    Parameters
    ----------
    rows, in_flight, osl, engines
        Physics, load and engine of n requests.
    ttft_s, tpot_s
        Measured, seconds, shape (n,).
    """
    names = sorted({str(e) for e in engines})
    first, each = np.isfinite(ttft_s), np.isfinite(tpot_s)
    start = _pack(StepCoefficients(), names)
    width = np.r_[np.full(len(FACTORS), FACTOR_SD), np.tile([LOGIT_SD] * 4 + [ROOM_SD], len(names))]

    def misses(vector: FloatArray) -> FloatArray:
        ttft, tpot = _unpack(vector, names).times(rows, in_flight, osl, engines)
        parts = [
            np.log(tpot[each] / tpot_s[each]),
            TTFT_WEIGHT * np.log(ttft[first] / ttft_s[first]),
            ODD * (vector - start) / width,
        ]
        return np.concatenate(parts)

    found = least_squares(misses, start, loss="soft_l1", f_scale=ODD, max_nfev=60)
    return _unpack(found.x, names)


def _pack(coefficients: StepCoefficients, engines: list[str]) -> FloatArray:
    shares = [coefficients.of_engine(e) for e in engines]
    logits = [
        [_logit(s.between), _logit(s.together), *np.log([s.wait, s.overhead_s, s.room])]
        for s in shares
    ]
    factors = [np.log(coefficients.factors.get(k, 1.0)) for k in FACTORS]
    return np.concatenate([factors, np.ravel(logits)])


def _unpack(vector: FloatArray, engines: list[str]) -> StepCoefficients:
    factors = dict(zip(FACTORS, np.exp(vector[: len(FACTORS)]).tolist(), strict=True))
    shares = vector[len(FACTORS) :].reshape(-1, 5)
    each = {engine: _interference(row) for engine, row in zip(engines, shares, strict=True)}
    return StepCoefficients(factors, each | {"": _interference(shares.mean(axis=0))})


def _interference(row: FloatArray) -> Interference:
    return Interference(_share(row[0]), _share(row[1]), *np.exp(row[2:]).tolist())


def _logit(share: float) -> float:
    return float(np.log(share / (1.0 - share)))


def _share(logit: float) -> float:
    return float(1.0 / (1.0 + np.exp(-logit)))
