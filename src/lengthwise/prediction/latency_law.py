"""The public law: learn from a measurement table, predict at any length, say how sure it is."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import pandas as pd

from lengthwise.calibration.groups import step_rows
from lengthwise.calibration.intervals import check_level
from lengthwise.calibration.lawset import LawSet
from lengthwise.data.checks import usable
from lengthwise.data.table import load as load_table
from lengthwise.data.work import work_of
from lengthwise.domain.estimate import Estimate, Regime
from lengthwise.domain.known import also_known
from lengthwise.domain.model import ModelSpec
from lengthwise.errors import InputError
from lengthwise.formulations.estimator import Estimator
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.prediction import advice, text
from lengthwise.prediction.answering import Answering
from lengthwise.prediction.arrays import predict_all
from lengthwise.prediction.artifact import Errors, read_law, write_law
from lengthwise.prediction.compiled import compile_request, find_law
from lengthwise.prediction.estimates import RequestEstimate
from lengthwise.prediction.models import with_model
from lengthwise.prediction.points import check_no_batch, clean_labels, points_of, with_batch
from lengthwise.prediction.scalar import compile_decode, compile_prefill, reach
from lengthwise.prediction.training import HeldOutError, Training
from lengthwise.units import FloatArray

Points = pd.DataFrame | str | Path


class LatencyLaw(Estimator):
    """Latency as a function of sequence length and batch, learned from measurements.

    Parameters
    ----------
    formulation
        Name in the registry.
    e1, e2, e3
        Kinds of the nonlinear term, the scaling and the correction of ``hachiya-patias``; ``auto``
        averages over what data can tell apart. ``e3="offset"`` corrects between deployments only.
    pooling
        Whether deployments with few points borrow from the others.
    max_extrapolation
        Lengths beyond this many times the longest measured are refused; None refuses nothing.

    Attributes
    ----------
    law_set_
        One law per deployment and phase.
    training_
        Summary of the table.
    errors_
        Errors on points the fit did not see, by (deployment, phase).

    Examples
    --------
    >>> n = np.array([128, 256, 512, 1024, 2048, 4096])
    >>> table = pd.DataFrame({"phase": "prefill", "isl": n, "latency_ms": 5 + n / 10})
    >>> law = LatencyLaw().fit(table)
    >>> round(law.estimate(isl=2048).latency_ms, -1)
    210.0
    """

    def __init__(
        self, formulation: str = "hachiya-patias", *, e1: str = "auto", e2: str = "auto",
        e3: str = "auto", pooling: bool = True, max_extrapolation: float | None = 8.0,
    ) -> None:  # fmt: skip
        self.formulation = formulation
        self.e1, self.e2, self.e3 = e1, e2, e3
        self.pooling, self.max_extrapolation = pooling, max_extrapolation

    law_set_: LawSet
    training_: Training
    errors_: Errors

    def fit(self, table: Points, y: None = None, *, model: ModelSpec | str | None = None) -> Self:
        """Learn one law per deployment and phase of a measurement table or its path.

        Parameters
        ----------
        table
            Measurement table, times in milliseconds (see :mod:`lengthwise.data.schema`).
        y
            Not used: the table holds the times.
        model
            Model of the rows that do not name one, and of all rows when the table has one
            deployment: a spec, a name or a ``config.json``.

        Raises
        ------
        NothingUsableError
            If no row is left after unusable ones are set aside.
        InputError
            If the table or a parameter breaks a rule, or the model is not known.
        """
        self._check_parameters()
        frame, known = with_model(load_table(table), model)
        laws = LawSet(self.formulation, e1=self.e1, e2=self.e2, e3=self.e3, pooling=self.pooling)
        with also_known(known):
            self.law_set_ = laws.fit(frame)
        self.training_ = Training.of(frame)
        self.errors_ = {key: HeldOutError.of(law) for key, law in self.law_set_.laws_.items()}
        return self

    def predict(self, points: Points) -> FloatArray:
        """Predict the times of points, shape (n,), milliseconds; of requests the E2E time.

        Raises
        ------
        RefusedError
            If a point is longer than ``max_extrapolation`` allows.
        InputError
            If a column is missing or bad, or no law answers for a deployment.
        """
        points = self._points(points)
        return self._answering().times(points)

    def predict_interval(self, points: Points, level: float = 0.9) -> FloatArray:
        """Predict intervals of coverage ``level``, shape (n, 2), milliseconds; of requests E2E."""
        points = self._points(points)
        table = self._answering(level).table(points)
        lo, hi = (np.full(len(points), np.nan) for _ in range(2))
        for prefix in ("", "e2e_"):
            if f"{prefix}lo_ms" in table:
                known = table[f"{prefix}lo_ms"].notna().to_numpy()
                lo[known] = table[f"{prefix}lo_ms"].to_numpy()[known]
                hi[known] = table[f"{prefix}hi_ms"].to_numpy()[known]
        return np.column_stack([lo, hi])

    def predict_table(self, points: Points, level: float = 0.9) -> pd.DataFrame:
        """Append to points all that a prediction says.

        Returns
        -------
        DataFrame
            The points with ``latency_ms``, ``lo_ms``, ``hi_ms`` (steps), ``ttft_ms``,
            ``ttft_lo_ms``, ``ttft_hi_ms`` and the same of ``tpot`` and ``e2e`` (requests),
            ``in_domain``, ``extrapolation_factor``, ``regime`` and ``provenance``. Columns of these
            names that the points already have are kept as ``measured_...``.
        """
        points = self._points(points)
        return self._answering(level).table(points)

    def estimate(
        self, *, phase: str | None = None, isl: float | None = None, osl: float | None = None,
        context_len: float | None = None, batch_size: float | None = None, cached_tokens: float = 0,
        prefill_chunk: float | None = None, level: float = 0.9, **labels: Any,
    ) -> Estimate | RequestEstimate:  # fmt: skip
        """Predict one point: a step, or a request when both ``isl`` and ``osl`` are given.

        Parameters
        ----------
        phase
            ``prefill``, ``decode`` or ``request``; follows from the lengths when left out.
        isl, osl, context_len, batch_size, cached_tokens
            Tokens per sequence and sequences (1 when left out).
        prefill_chunk
            Most prompt tokens of one step, when the engine prefills prompts in chunks.
        level
            Coverage of the intervals.
        labels
            Deployment columns such as ``model``, ``hardware`` and ``tp``, or the load a law was
            measured under (``concurrency``, ``request_rate``) in the place of a batch.
        """
        given = {"isl": isl, "osl": osl, "context_len": context_len}
        row: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
        row = with_batch({**row, **clean_labels(labels)}, batch_size)
        row["phase"] = phase or _phase_of(row)
        if row["phase"] != "decode":
            row |= {"cached_tokens": cached_tokens, "prefill_chunk": prefill_chunk}
        answer = self.predict_table(pd.DataFrame([row]), level).iloc[0]
        if row["phase"] == "request":
            tpot = None if np.isnan(answer["tpot_ms"]) else _estimate(answer, "tpot_", level)
            return RequestEstimate(
                _estimate(answer, "ttft_", level), tpot, _estimate(answer, "e2e_", level)
            )
        return _estimate(answer, "", level)

    def at(self, *, phase: str, **labels: Any) -> Callable[..., float]:
        """Compile a law into a function of plain numbers that answers in microseconds.

        Parameters
        ----------
        phase
            ``prefill``: ``f(isl, batch_size=1, cached_tokens=0)``; ``decode``:
            ``f(context_len, batch_size=1)``; ``request``:
            ``f(isl, osl, batch_size=1, cached_tokens=0)``, the E2E time. All in milliseconds.
        labels
            Deployment columns such as ``model``, ``hardware`` and ``tp``, and the load if the law
            was measured under one; its function takes no batch then.
        """
        self._check_fitted()
        known = clean_labels(labels)
        if phase == "request":
            return compile_request(self.law_set_, known, self.max_extrapolation)
        law = find_law(self.law_set_, phase, known)
        limit = reach(law, self.max_extrapolation)
        return (compile_prefill if phase == "prefill" else compile_decode)(law, limit)

    def predict_arrays(
        self, phase: str, *, isl: Any = None, context_len: Any = None, batch_size: Any = 1.0,
        cached_tokens: Any = 0.0, **labels: Any,
    ) -> FloatArray:  # fmt: skip
        """Predict many steps of one deployment at full speed, milliseconds.

        Parameters
        ----------
        phase
            ``prefill`` (needs ``isl``) or ``decode`` (needs ``context_len``).
        isl, context_len, batch_size, cached_tokens
            Numbers or arrays that broadcast, tokens per sequence and sequences.
        labels
            Deployment columns, and the load if there is one; ``batch_size`` stays 1 then.

        Returns
        -------
        array of the broadcast shape.
        """
        self._check_fitted()
        length = isl if phase == "prefill" else context_len
        if length is None:
            raise InputError(f"{phase} needs a length", got="none",
                             remedy="give isl for prefill, context_len for decode")  # fmt: skip
        law = find_law(self.law_set_, phase, clean_labels(labels))
        if law.load:
            check_no_batch(law.load, batch_size)
        length = np.asarray(length, dtype=float)
        if length.size and length.max() > reach(law, self.max_extrapolation):
            longest = pd.DataFrame({"phase": [phase], advice.LENGTH_NAME[phase]: [length.max()]})
            advice.check_reach(self.law_set_, law, work_of(longest, phase), self.max_extrapolation)
        return predict_all(law, length, batch_size, cached_tokens)

    def suggest(
        self, *, phase: str = "prefill", isl: float | None = None, context_len: float | None = None,
        batch_size: float | None = None, **labels: Any,
    ) -> advice.Suggestion:  # fmt: skip
        """Name the single measurement that would make one prediction most certain."""
        self._check_fitted()
        known = clean_labels(labels)
        law = find_law(self.law_set_, phase, known)
        row = {"isl": isl, "context_len": context_len, **known}
        asked = {k: v for k, v in row.items() if v is not None}
        point = pd.DataFrame([with_batch(asked, batch_size)])
        gamma = advice.gamma_of(self.law_set_, phase)
        return advice.suggest(law, work_of(point, phase), self.max_extrapolation, gamma)

    def score(self, table: Points, y: None = None) -> float:
        """Minus the median absolute relative error over the usable rows of a measurement table.

        Requests count as the prefill and the mean decode step they consist of; -0.05 means 5 %.
        """
        self._check_fitted()
        rows = step_rows(load_table(table))
        rows = rows[usable(rows)]
        predicted = self.law_set_.predict(rows)
        return -float(np.median(np.abs(predicted / rows["latency_ms"].to_numpy() - 1.0)))

    def save(self, path: str | Path) -> None:
        """Write the law file: JSON, see :mod:`lengthwise.prediction.artifact`."""
        self._check_fitted()
        write_law(path, self.law_set_, self.get_params(), self.training_, self.errors_)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a law file.

        Raises
        ------
        ArtifactError
            If it is not a law file, of another schema version, damaged or too large.
        """
        law_set, parameters, training, errors = read_law(path)
        known = {k: v for k, v in parameters.items() if k in cls._get_param_names()}
        law = cls(**(known | {"formulation": law_set.formulation}))
        law._check_parameters()
        law.law_set_, law.training_, law.errors_ = law_set, training, errors
        return law

    def summary(self) -> str:
        """Describe every law: terms, coefficients with intervals, noise, held-out errors."""
        self._check_fitted()
        return text.summary(self.law_set_.laws_, self.errors_)

    @property
    def only_labels(self) -> dict[str, Any]:
        """Labels of the deployment if there is one; empty for several."""
        self._check_fitted()
        every = [{k: v for k, v in law.labels.items() if v is not None}
                 for law in self.law_set_.laws_.values()]  # fmt: skip
        return every[0] if all(labels == every[0] for labels in every) else {}

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        head = super().__repr__(N_CHAR_MAX)
        return text.equations(head, self.law_set_.laws_) if hasattr(self, "law_set_") else head

    def _repr_html_(self) -> str:
        return f'<pre style="white-space: pre-wrap">{escape(repr(self))}</pre>'

    def _answering(self, level: float = 0.9) -> Answering:
        check_level(level)
        return Answering(self.law_set_, self.max_extrapolation, level)

    def _points(self, points: Points) -> pd.DataFrame:
        self._check_fitted()
        return points_of(points, {phase for _, phase in self.law_set_.laws_})

    def _check_fitted(self) -> None:
        if not hasattr(self, "law_set_"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError("this LatencyLaw is not fitted yet: call fit or LatencyLaw.load")

    def _check_parameters(self) -> None:
        if self.formulation != HachiyaPatias.name:
            given = [k for k in ("e1", "e2", "e3") if getattr(self, k) != "auto"]
            if given:
                raise InputError(
                    "e1, e2 and e3 are terms of hachiya-patias",
                    got=f"{', '.join(given)} with {self.formulation}",
                    remedy="leave them out, or choose formulation='hachiya-patias'",
                )  # fmt: skip
        limit = self.max_extrapolation
        if limit is not None and not (isinstance(limit, (int, float)) and limit >= 1):
            raise InputError("max_extrapolation must be at least 1, or None", got=repr(limit),
                             remedy="write 8 for eight times the longest length")  # fmt: skip


def _phase_of(row: dict[str, Any]) -> str:
    if "isl" in row:
        return "request" if "osl" in row else "prefill"
    if "context_len" in row:
        return "decode"
    raise InputError("a point needs a length", got="neither isl nor context_len",
                     remedy="give isl for a prefill, isl and osl for a request, context_len for a "
                     "decode step")  # fmt: skip


def _estimate(row: pd.Series, prefix: str, level: float) -> Estimate:
    name, regime = prefix or "latency_", cast(Regime, str(row["regime"]))
    return Estimate(
        float(row[f"{name}ms"]), float(row[f"{prefix}lo_ms"]), float(row[f"{prefix}hi_ms"]), level,
        bool(row["in_domain"]), float(row["extrapolation_factor"]), regime,
        str(row["provenance"]),
    )  # fmt: skip
