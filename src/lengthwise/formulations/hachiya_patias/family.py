r"""The Hachiya-Patias family: linear law + three switchable terms.

    t(x) = alpha_1 [ T s(T) + exp(rho_1) E1(x) + exp(rho_kv) KV + exp(rho_b) B ] * exp(delta(x))

    T     new tokens of the step           s(T)   E2, length-dependent scaling (see scaling)
    E1    nonlinear term in length         delta  E3, empirical correction (see correction)
    KV    KV tokens read                   B      sequences

After K. Hachiya and I. Patias, "Latency formulations ... across varying sequence lengths" (2026):
three enhancements of linear formulations. All coefficients are positive and every term grows with
its work, so times never fall when length, batch or context grows (``prefix = apart`` aside: a first
short prefix may make a step cheaper). Fitting: robust maximum a
posteriori on ln t (see objective) with the priors of priors and terms.
"""

from __future__ import annotations

import math
from copy import copy
from typing import Any, ClassVar, Self

import numpy as np

from lengthwise.domain.model import ModelSpec
from lengthwise.domain.work import Work
from lengthwise.errors import InputError
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.hachiya_patias import correction as e3_forms
from lengthwise.formulations.hachiya_patias import nonlinear, scaling, spline
from lengthwise.formulations.hachiya_patias.objective import NOISE_S0, Posterior, maximise
from lengthwise.formulations.hachiya_patias.priors import LogNormal
from lengthwise.formulations.hachiya_patias.terms import Term, choose_terms, phi
from lengthwise.units import FloatArray

E1_KINDS = ("quadratic", "power", "nlogn", "off")
E2_KINDS = ("floor", "tile", "hill", "tilt", "spline", "off")
E3_KINDS = ("off", "residual", "isotonic")
PREFIX_KINDS = ("same", "apart")
SHARPNESS = (2, 1, 4, 8)
TILES = (16, 64, 128, 256)


class HachiyaPatias(Formulation):
    """Positive, monotone law with terms E1, E2 and E3.

    Parameters
    ----------
    e1
        ``quadratic``, ``power``, ``nlogn`` or ``off``.
    e2
        ``floor``, ``tile``, ``hill``, ``tilt``, ``spline`` or ``off``.
    e3
        ``residual`` (fades away from the data, but holds its rim in an average), ``isotonic`` or
        ``off``. The third kind of correction, an offset per hardware and engine, needs several
        deployments and belongs to :class:`lengthwise.calibration.lawset.LawSet`.
    power
        Exponent p of E1 = power; profiled when None.
    sharpness
        k of the floor; profiled over 1, 2, 4, 8 when None.
    tile
        Tile of E2 = tile in tokens; profiled when None.
    prefix
        ``apart``: a token costs something else on top of a cached prefix (see terms); ``same``.
    spec
        Architecture of the model; sets the prior of the quadratic to linear ratio.
    prior
        Replacement priors by parameter name, ``{"E1": (mean, sd), "ln_n0_tokens": ...}``; ``ln_a1``
        may be given too. Pooling uses this.

    Attributes
    ----------
    scaling_
        The chosen form of E2 with its settings.
    terms_
        Linear terms that data or priors identify.
    theta_
        ln alpha_1, psi of E2, and rho of the terms, shape (size,).
    covariance_
        Posterior covariance of theta_, shape (size, size).
    sigma_
        Relative noise.
    tau_
        Discrepancy of an averaged law, ln t per root of ln tokens; 0 for a single structure.
    gap_
        Typical distance of a measured step from the nearest other one, ln tokens.
    tokens_
        Least and greatest number of new tokens measured; used with ``tau_``.
    log_evidence_
        For comparing kinds on the same rows.

    Examples
    --------
    >>> import pandas as pd
    >>> n = np.array([128, 256, 512, 1024, 2048, 4096])
    >>> X = pd.DataFrame({"phase": "prefill", "isl": n})
    >>> law = HachiyaPatias(sharpness=2).fit(X, 1e-4 * np.hypot(n, 200) + 3e-9 * n**2)
    >>> float(law.predict(X.assign(isl=32768)).round(1)[0])
    6.5
    """

    name: ClassVar[str] = "hachiya-patias"
    equation: ClassVar[str] = "t = a1 [T s(T) + r E1 + r_kv KV + r_b B] exp(delta)"
    citation: ClassVar[str] = "Hachiya and Patias 2026 (three enhancements of linear formulations)"
    monotone: ClassVar[bool] = True
    min_points: ClassVar[int] = 2

    def __init__(
        self,
        e1: str = "quadratic",
        e2: str = "floor",
        e3: str = "off",
        *,
        power: float | None = None,
        sharpness: int | None = None,
        tile: int | None = None,
        prefix: str = "same",
        spec: ModelSpec | None = None,
        prior: dict[str, tuple[float, float]] | None = None,
    ) -> None:
        self.e1, self.e2, self.e3 = e1, e2, e3
        self.power, self.sharpness, self.tile = power, sharpness, tile
        self.prefix, self.spec, self.prior = prefix, spec, prior

    scaling_: scaling.Scaling
    terms_: tuple[Term, ...]
    theta_: FloatArray
    covariance_: FloatArray
    sigma_: float
    log_evidence_: float
    phase_: str
    e1_: str
    power_: float
    reference_: float
    span_: nonlinear.Span
    correction_: e3_forms.Correction
    tau_: float = 0.0
    gap_: float = 0.0
    tokens_: nonlinear.Span = (1.0, 1.0)

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        self._check_kinds()
        self.phase_ = work.phase
        self.reference_ = float(np.exp(np.mean(np.log(work.context_len))))
        self.span_ = (float(work.context_len.min()), float(work.context_len.max()))
        self.e1_ = self._identified_e1(work)
        self.terms_ = choose_terms(work, y_s, self.e1_, self.e2, self.spec, self.prefix)
        best: Posterior | None = None
        for power in self._powers():
            for form in self._forms(work):
                fit = self._fit_form(form, power, work, y_s, weight, best)
                if best is None or fit.log_evidence > best.log_evidence:
                    best, self.scaling_, self.power_ = fit, form, power
        assert best is not None
        self._take(best)
        self._prepare()
        self.correction_ = e3_forms.fit(self.e3, work, y_s, self._base, self.sigma_)

    def _take(self, found: Posterior) -> None:
        self._posterior = found
        self.theta_, self.covariance_ = found.theta, found.covariance
        self.sigma_, self.log_evidence_ = found.sigma, found.log_evidence

    def refit(self, work: Work, y_s: FloatArray) -> Self:
        """Fit again on other points, from the present fit on and with its structure.

        Much cheaper than :meth:`fit`: nothing discrete is searched. Folds use this.
        """
        again = copy(self)
        again.n_points_ = len(work)
        found = again._fit_form(
            self.scaling_, self.power_, work, y_s, np.ones(len(work)), self._posterior
        )
        again._take(found)
        again._prepare()
        again.correction_ = e3_forms.fit(self.e3, work, y_s, again._base, again.sigma_)
        return again

    def _fit_form(
        self, form: scaling.Scaling, power: float, work: Work, y_s: FloatArray,
        weight: FloatArray, near: Posterior | None = None,
    ) -> Posterior:  # fmt: skip
        bases = [
            phi(t.name, work, self.e1_, self.span_, self.reference_, power) for t in self.terms_
        ]
        tokens, size = work.new_tokens, len(form.parameters)

        def times(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
            linear, slope = form.tokens(tokens, theta[1 : 1 + size])
            parts = [np.exp(r) * b for r, b in zip(theta[1 + size :], bases, strict=True)]
            total = linear + sum(parts)
            jacobian = np.column_stack(
                [
                    np.ones(len(tokens)),
                    slope * (linear / total)[:, None],
                    *[p / total for p in parts],
                ]
            )
            return np.exp(theta[0]) * total, jacobian

        scale = math.log(float(np.median(y_s / tokens)))
        priors = [self._prior_of(t.name, t.prior) for t in self.terms_]
        rho = np.array([p.mean - scale * p.absolute for p in priors])
        starts = [np.concatenate([[scale], psi, rho]) for psi in form.starts()]
        noise = NOISE_S0
        if near is not None and len(near.theta) == len(starts[0]):
            starts, noise = [near.theta], near.sigma
        low, high = form.bounds()
        pad = np.full(len(rho), 60.0)
        bounds = (np.concatenate([[-60.0], low, -pad]), np.concatenate([[60.0], high, pad]))
        return maximise(times, self._prior_residuals(form), y_s, weight, starts, bounds, noise)

    def _prior_residuals(self, form: scaling.Scaling) -> Any:
        size = len(form.parameters)
        priors = [self._prior_of(t.name, t.prior) for t in self.terms_]
        named = enumerate(("ln_a1", *form.parameters))
        given = [(i, *pair) for i, n in named if (pair := self._given(n)) is not None]
        columns = 1 + size + len(priors)

        def prior(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
            own, slope = form.prior(theta[1 : 1 + size])
            rows = np.zeros((len(own) + len(priors) + len(given), columns))
            rows[: len(own), 1 : 1 + size] = slope
            values = list(own)
            for j, p in enumerate(priors):
                values.append((theta[1 + size + j] + theta[0] * p.absolute - p.mean) / p.sd)
                rows[len(own) + j, 0] = p.absolute / p.sd
                rows[len(own) + j, 1 + size + j] = 1.0 / p.sd
            for j, (i, mean, sd) in enumerate(given):
                values.append((theta[i] - mean) / sd)
                rows[len(own) + len(priors) + j, i] = 1.0 / sd
            return np.asarray(values), rows

        return prior

    def _given(self, name: str) -> tuple[float, float] | None:
        return (self.prior or {}).get(name)

    def _prior_of(self, name: str, default: LogNormal) -> LogNormal:
        given = self._given(name)
        return LogNormal(*given) if given is not None else default

    def _check_kinds(self) -> None:
        for value, allowed, label in (
            (self.e1, E1_KINDS, "e1"), (self.e2, E2_KINDS, "e2"), (self.e3, E3_KINDS, "e3"),
            (self.prefix, PREFIX_KINDS, "prefix"),
        ):  # fmt: skip
            if value not in allowed:
                raise InputError(
                    f"{label} must be one of {', '.join(allowed)}", got=repr(value),
                    remedy="see the table of switchable terms in the documentation",
                )  # fmt: skip

    def _identified_e1(self, work: Work) -> str:
        if work.phase == "decode":
            return "off"
        if (
            self.e1 == "power"
            and self.power is None
            and not nonlinear.power_is_identified(work.context_len, self.reference_)
        ):
            return "quadratic"
        return self.e1

    def _powers(self) -> tuple[float, ...]:
        if self.e1_ != "power":
            return (2.0,)
        return (self.power,) if self.power is not None else nonlinear.POWERS

    def _forms(self, work: Work) -> list[scaling.Scaling]:
        tokens = work.new_tokens
        low, high = float(tokens.min()), float(tokens.max())
        if self.e2 == "spline" and len(np.unique(tokens)) >= spline.MIN_DISTINCT:
            return [spline.Spline.over(tokens, scaling.FLAT_BELOW[work.phase])]
        if self.e2 == "hill" and high > low:
            return [scaling.Hill(low, high)]
        if self.e2 == "tilt":
            return [scaling.Tilt(low, high)]
        if self.e2 == "off":
            return [scaling.Off()]
        ks = SHARPNESS if self.sharpness is None else (self.sharpness,)
        tiles: tuple[int, ...] = (1,)
        if self.e2 == "tile":
            tiles = (self.tile,) if self.tile is not None else (1, *_usable_tiles(tokens))
        floor = {"prefill": 150.0, "mixed": 150.0, "decode": 30.0}[work.phase]
        return [scaling.Floor(k, t, floor, 1.5 if work.phase != "decode" else 2.0)
                for k in ks for t in tiles]  # fmt: skip

    def _prepare(self) -> None:
        """Split theta into what prediction needs."""
        size = len(self.scaling_.parameters)
        self._a1 = math.exp(self.theta_[0])
        self._psi = self.theta_[1 : 1 + size]
        self._coef = [self._a1 * math.exp(r) for r in self.theta_[1 + size :]]

    def _base(self, work: Work) -> FloatArray:
        total = self._a1 * self.scaling_.values(work.new_tokens, self._psi)
        for term, coefficient in zip(self.terms_, self._coef, strict=True):
            if term.name == "overhead":
                total += coefficient
            else:
                total += coefficient * phi(
                    term.name, work, self.e1_, self.span_, self.reference_, self.power_
                )
        return np.asarray(total)

    def _predict(self, work: Work) -> FloatArray:
        base = self._base(work)
        return base if self.correction_.is_identity else self.correction_.apply(work, base)

    def log_sd(self, work: Work) -> FloatArray:
        """Posterior standard deviation of ln t from the parameters alone, shape (n,)."""
        gradient = self.log_gradient(work)
        variance = np.einsum("ij,jk,ik->i", gradient, self.covariance_, gradient)
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))

    def log_scale(self, work: Work) -> FloatArray:
        """Return the standard deviation of ln t of a measurement, shape (n,).

        It holds noise, parameters and discrepancy. An averaged law goes through its measurements,
        so that its parameters count by how differently they speak of a step and of the nearest one
        inside the measured ranges. The discrepancy counts half the typical gap inside these ranges
        and the distance outside.
        """
        if self.tau_ <= 0.0:
            return np.asarray(np.sqrt(self.sigma_**2 + self.log_sd(work) ** 2))
        context = _outside(work.context_len, self.span_)
        tokens = _outside(work.new_tokens, self.tokens_)
        away = context + tokens if work.phase == "decode" else np.maximum(context, tokens)
        change = self.log_gradient(work) - self.log_gradient(self._nearest(work))
        spread = np.einsum("ij,jk,ik->i", change, self.covariance_, change)
        wander = 2.0 * self.tau_**2 * np.maximum(away, 0.5 * self.gap_)
        return np.asarray(np.sqrt(self.sigma_**2 + np.maximum(spread, 0.0) + wander))

    def _nearest(self, work: Work) -> Work:
        """Move steps into the measured ranges of tokens and context."""
        tokens = np.clip(work.new_tokens, *self.tokens_)
        context = np.clip(work.context_len, *self.span_)
        by_tokens, by_context = tokens / work.new_tokens, context / work.context_len
        by_batch = by_tokens if work.phase == "decode" else np.ones_like(by_tokens)
        return Work(
            work.phase, work.sequences * by_batch, tokens,
            work.attention_pairs * by_tokens * by_context, work.kv_tokens * by_batch * by_context,
            np.minimum(work.isl, context), context,
        )  # fmt: skip

    def log_gradient(self, work: Work) -> FloatArray:
        """Gradient of ln t in theta, the correction left out, shape (n, size of theta)."""
        size = len(self.scaling_.parameters)
        linear, slope = self.scaling_.tokens(work.new_tokens, self._psi)
        parts = [self._a1 * linear] + [
            c * phi(t.name, work, self.e1_, self.span_, self.reference_, self.power_)
            for t, c in zip(self.terms_, self._coef, strict=True)
        ]
        total = np.sum(parts, axis=0)
        return np.column_stack(
            [np.ones(len(work)), slope[:, :size] * (parts[0] / total)[:, None],
             *[p / total for p in parts[1:]]]
        )  # fmt: skip

    def set_fitted(
        self, *, phase: str, form: scaling.Scaling, terms: tuple[Term, ...], theta: FloatArray,
        covariance: FloatArray, sigma: float, reference: float, span: nonlinear.Span, power: float,
        correction: e3_forms.Correction | None = None,
    ) -> Self:  # fmt: skip
        """Take fitted values from elsewhere: a law file, or a population of deployments."""
        self.phase_, self.phases_ = phase, (phase,)
        self.scaling_, self.terms_ = form, terms
        self.theta_, self.covariance_, self.sigma_ = theta, covariance, sigma
        self.reference_, self.span_, self.power_ = reference, span, power
        self.e1_ = self.e1 if any(t.name == "E1" for t in terms) else "off"
        self.correction_ = correction or e3_forms.Correction()
        self.log_evidence_ = float("nan")
        self._prepare()
        return self


def _outside(values: FloatArray, span: nonlinear.Span) -> FloatArray:
    """Distance of values from a measured range, in their logarithm."""
    return np.asarray(np.maximum(np.log(values / span[1]), 0.0)
                      + np.maximum(np.log(span[0] / values), 0.0))  # fmt: skip


def _usable_tiles(tokens: FloatArray) -> tuple[int, ...]:
    """Tiles that hold at least two distinct measured token counts somewhere."""
    distinct = np.unique(tokens)
    padded = {t: np.ceil(distinct / t) for t in TILES}
    return tuple(t for t in TILES if len(np.unique(padded[t])) < len(distinct))
