"""The law that learns from live traffic: what a trainer publishes and every worker answers from.

Needs numpy only. It is immutable: learning makes a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from lengthwise.errors import ArtifactError, InputError
from lengthwise.formulations.online import terms
from lengthwise.formulations.online.context import SLACK, Context, Frame
from lengthwise.formulations.online.rows import RouterRows
from lengthwise.formulations.online.target import TargetLaw
from lengthwise.formulations.online.terms import TARGETS
from lengthwise.units import FloatArray

SCHEMA_VERSION = 1
LONGEST_REASON = 200


@dataclass(frozen=True)
class OnlineAnswer:
    """Answers to rows; arrays of shape (n,), seconds.

    Attributes
    ----------
    ttft_s, tpot_s
        Mean, or the quantile asked for.
    ttft_lo_s, ttft_hi_s, tpot_lo_s, tpot_hi_s
        Equal-tailed interval.
    in_domain
        Whether a row lies inside the data learnt (5 % beyond counts as inside).
    extrapolation_factor
        How many times beyond the data the row lies, in its worst direction; 1 inside, and while
        nothing was learnt.
    """

    ttft_s: FloatArray
    ttft_lo_s: FloatArray
    ttft_hi_s: FloatArray
    tpot_s: FloatArray
    tpot_lo_s: FloatArray
    tpot_hi_s: FloatArray
    in_domain: Any
    extrapolation_factor: FloatArray


class _Part(NamedTuple):
    value: FloatArray
    lo: FloatArray
    hi: FloatArray


@dataclass(frozen=True)
class OnlineLaw:
    """TTFT and TPOT of a request at a pod, from what a router knows.

    Attributes
    ----------
    targets
        The law of each target.
    frame
        Labels, cells and domain that both share.
    version
        Counts promotions, roll-backs and repairs after a change.
    ready
        By target: whether enough was learnt and the error is known.
    learnt
        By target: rows learnt from.
    error
        By target: recent median absolute relative error on rows not learnt from, or None.
    suspect
        Why a target's error and coverage may not be what is told, by target; empty if they are.

    Examples
    --------
    >>> law = OnlineLaw.cold()
    >>> rows = RouterRows.of({"input_tokens": [128, 8192], "running": [1, 32]})
    >>> answer = law.predict(rows)
    >>> bool(answer.ttft_s[1] > 5 * answer.ttft_s[0]), law.ready["ttft"]
    (True, False)
    """

    targets: Mapping[str, TargetLaw]
    frame: Frame = field(default_factory=Frame)
    version: int = 0
    ready: Mapping[str, bool] = field(default_factory=lambda: dict.fromkeys(TARGETS, False))
    learnt: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(TARGETS, 0))
    error: Mapping[str, float | None] = field(default_factory=lambda: dict.fromkeys(TARGETS))
    suspect: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def cold(cls) -> OnlineLaw:
        """Law of a typical GPU and an 8 B model: answers before any data, never a constant."""
        return cls({target: TargetLaw.cold(target) for target in TARGETS})

    def predict(
        self, rows: RouterRows, level: float = 0.9, now_s: float | None = None
    ) -> OnlineAnswer:
        """Mean and equal-tailed interval.

        Parameters
        ----------
        rows
            n rows.
        level
            Coverage of the interval, inside (0, 1).
        now_s
            Time on the clock of the observations: what recent rows say is added, the less the
            older they are. None leaves it out.
        """
        _inside("level", level)
        return self._answer(rows, level, None, now_s)

    def quantile(
        self, rows: RouterRows, alpha: float, level: float = 0.9, now_s: float | None = None
    ) -> OnlineAnswer:
        """Quantile ``alpha`` in ``ttft_s`` and ``tpot_s``, beside the equal-tailed interval.

        >>> rows = RouterRows.of({"input_tokens": [1000]})
        >>> law = OnlineLaw.cold()
        >>> bool(law.quantile(rows, 0.99).ttft_s > law.quantile(rows, 0.5).ttft_s)
        True
        """
        _inside("alpha", alpha)
        _inside("level", level)
        return self._answer(rows, level, alpha, now_s)

    def _answer(
        self, rows: RouterRows, level: float, alpha: float | None, now_s: float | None
    ) -> OnlineAnswer:
        context = self.frame.place(rows)
        ttft, tpot = (_part(self.targets[t], context, level, alpha, now_s) for t in TARGETS)
        if context.distance is None:
            inside, factor = np.zeros(len(rows), dtype=bool), np.ones(len(rows))
        else:
            inside, factor = context.distance <= SLACK, np.exp2(context.distance)
        return OnlineAnswer(*ttft, *tpot, inside, factor)

    def terms(self) -> list[dict[str, Any]]:
        """List the physical terms by target and pod type, with unit, value and log spread.

        >>> OnlineLaw.cold().terms()[0]["name"]
        'start'
        """
        return [
            {"target": target, "pod_type": kind, "name": term.name, "unit": term.unit,
             "value": float(np.exp(law.theta[i, k])),
             "sd": float(np.sqrt(max(law.covariance[i, k, k], 0.0)))}
            for target, law in self.targets.items()
            for i, kind in enumerate(self.frame.types)
            for k, term in enumerate(terms.TERMS[target])
        ]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON.

        >>> data = OnlineLaw.cold().to_dict()
        >>> data["schema_version"], OnlineLaw.from_dict(data).version
        (1, 0)
        """
        return {
            "kind": "online", "schema_version": SCHEMA_VERSION, "version": self.version,
            "ready": dict(self.ready), "learnt": dict(self.learnt), "error": dict(self.error),
            "suspect": dict(self.suspect), "frame": self.frame.to_dict(),
            "targets": {name: law.to_dict() for name, law in self.targets.items()},
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OnlineLaw:
        """Read :meth:`to_dict` back.

        Raises
        ------
        ArtifactError
            Another schema version, missing parts, wrong shapes, numbers that are not finite.
        """
        kind, schema = _get(data, "kind"), _get(data, "schema_version")
        if kind != "online" or schema != SCHEMA_VERSION:
            raise ArtifactError(
                f"an online law has kind 'online' and schema version {SCHEMA_VERSION}",
                got=f"kind {kind!r}, schema version {schema!r}",
                remedy="use the release that wrote it, or let the law be learnt anew",
            )
        try:
            return _read(data)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ArtifactError(
                "an online law must be complete and hold finite numbers",
                got=f"{type(error).__name__}: {error}",
                remedy="export it again, or let the law be learnt anew",
            ) from None


def _part(
    law: TargetLaw, context: Context, level: float, alpha: float | None, now_s: float | None
) -> _Part:
    middle, variance = law.median(context, now_s)
    spread, cell, fresh = law.spread, context.cell, law.recent.fresh(now_s)
    lo, hi = (np.exp(spread.at(a, cell, variance, fresh))
              for a in (0.5 - level / 2, 0.5 + level / 2))  # fmt: skip
    lo *= middle
    hi *= middle
    if alpha is None:
        value = middle * spread.mean.take(cell)
    else:
        value = np.exp(spread.at(alpha, cell, variance, fresh))
        value *= middle
    return _Part(value, lo, hi)


def _inside(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise InputError(f"{name} must lie in (0, 1)", got=f"{value}", remedy="write 0.9")


def _get(data: Any, name: str) -> Any:
    return data.get(name) if isinstance(data, Mapping) else None


def _read(data: Mapping[str, Any]) -> OnlineLaw:
    frame = Frame.from_dict(data["frame"])
    error = {t: data["error"][t] for t in TARGETS}
    if any(e is not None and not np.isfinite(e) for e in error.values()):
        raise ValueError("errors must be finite numbers")
    return OnlineLaw(
        {t: TargetLaw.from_dict(t, data["targets"][t], frame) for t in TARGETS}, frame,
        int(data["version"]), {t: bool(data["ready"][t]) for t in TARGETS},
        {t: int(data["learnt"][t]) for t in TARGETS}, error,
        {t: str(w)[:LONGEST_REASON] for t, w in data.get("suspect", {}).items() if t in TARGETS},
    )  # fmt: skip
