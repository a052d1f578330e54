r"""The default law of one group: an average over structures, noises and spoilt points.

Nothing is picked. Every structure that the data can tell from others is fitted under every noise
(see :mod:`lengthwise.formulations.hachiya_patias.members`), weighted by how well it predicts the
measured times and by what public curves say of such structures (see learned), and averaged. Many
points are first thinned: the weights of ``FIRST_POINTS`` of them choose the members that are fitted
to all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from lengthwise.calibration.learned import KindPrior
from lengthwise.calibration.spoilt import Fit, hypotheses_of
from lengthwise.domain.model import ModelSpec
from lengthwise.domain.work import Work, thinned
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.formulations.hachiya_patias import correction as e3_forms
from lengthwise.formulations.hachiya_patias.average import Flat, coefficients
from lengthwise.formulations.hachiya_patias.discrepancy import Discrepancy, Noise, gap
from lengthwise.formulations.hachiya_patias.leftover import leftover
from lengthwise.formulations.hachiya_patias.members import Members, Spoilt, fit_members
from lengthwise.formulations.hachiya_patias.priors import LogNormal
from lengthwise.formulations.hachiya_patias.structures import Design, Structure, structures_of
from lengthwise.formulations.hachiya_patias.terms import Term, choose_terms
from lengthwise.units import FloatArray, IndexArray

FIRST_POINTS = 40
"""Points by which members are weighed first when there are more."""
MOST_POINTS = 300
KEPT = 1e-3
"""Members above this share of the best weight go on to all points."""


@dataclass(frozen=True)
class Knowledge:
    """What is known and fixed before the fit.

    Attributes
    ----------
    prior
        Learnt prior of this kind of group.
    spec
        Architecture of the model, when known.
    attention
        ``full``, ``sparse`` or None.
    e1, e2
        Kinds to allow, ``auto`` for all.
    corrected
        Whether E3, the discrepancy, is on.
    borrowed
        Priors by parameter from relatives, mean and standard deviation; they replace the others.
    averaging
        Whether the law averages over structures, or keeps the one of greatest weight.
    spoilt
        Whether points may be taken for spoilt.
    """

    prior: KindPrior
    spec: ModelSpec | None = None
    attention: str | None = None
    e1: str = "auto"
    e2: str = "auto"
    corrected: bool = True
    borrowed: dict[str, tuple[float, float]] | None = None
    averaging: bool = True
    spoilt: bool = True

    def terms(self, work: Work, y_s: FloatArray) -> tuple[Term, ...]:
        """Linear terms that the steps identify."""
        e1 = "off" if self.e1 == "off" else "quadratic"
        found = choose_terms(work, y_s, e1, "floor", self.spec, prefix="apart")
        kv = next((t for t in found if t.name == "KV"), None)
        if work.phase == "decode" and kv is not None:
            found += (Term("KV_root", kv.unit, kv.prior),)
        return found

    def tells_floor(self, work: Work) -> bool:
        """Tell whether the short end is known, or asked for, where all steps are of one size.

        A whole prompt of one length is asked about at others; priors of n0 come with ratios to an
        alpha_1 beside a floor.
        """
        prompts = work.phase == "prefill" and bool(work.is_fresh.all())
        return prompts or "ln_n0_tokens" in (self.borrowed or {})

    def priors(self, terms: tuple[Term, ...], y_s: FloatArray) -> dict[str, LogNormal]:
        """Priors of all parameters."""
        found = self.prior.priors(terms, self.spec, float(y_s.min()))
        return found | {k: LogNormal(*v) for k, v in (self.borrowed or {}).items()}


@dataclass(frozen=True)
class Fitted:
    """A fit: the averaged law, its members, and the design to fit again on other points."""

    law: HachiyaPatias
    members: Members
    knowledge: Knowledge

    def again(self, work: Work, y_s: FloatArray) -> Fitted:
        """Fit with the same knowledge on other points."""
        return average(work, y_s, self.knowledge)


def average(work: Work, y_s: FloatArray, knowledge: Knowledge) -> Fitted:
    """Fit the averaged law of one group.

    Parameters
    ----------
    work, y_s
        Distinct points and their times, seconds.
    knowledge
        What is known and fixed.
    """
    members = members_of(work, y_s, knowledge)
    return Fitted(law_of(members, knowledge), members, knowledge)


def members_of(work: Work, y_s: FloatArray, knowledge: Knowledge) -> Members:
    """Fit and weigh all members of a group."""
    terms = knowledge.terms(work, y_s)
    flat = bool(np.ptp(work.new_tokens) == 0.0) and not knowledge.tells_floor(work)
    structures = structures_of(
        work.phase, terms, e1=knowledge.e1, e2=knowledge.e2, flat=flat
    )  # fmt: skip
    fit = _Fit(work, y_s, terms, structures, knowledge)
    if knowledge.corrected and _two_axes(work):
        some = thinned(work, FIRST_POINTS)
        rough = fit.members(some, knowledge.prior.grid(), ((),))
        fit = replace(fit, discrepancy=Discrepancy(Flat.of(rough).share_of_tokens))
    if len(work) <= FIRST_POINTS:
        return fit.with_spoilt_points(np.arange(len(work)))
    first = fit.with_spoilt_points(thinned(work, FIRST_POINTS))
    return fit.refined(first, positions_of(work))


def _two_axes(work: Work) -> bool:
    """Tell whether tokens and context vary apart, so that their discrepancies can be told apart."""
    pairs = np.unique(np.column_stack([work.new_tokens, work.context_len]), axis=0)
    tokens, context = (len(np.unique(pairs[:, i])) for i in (0, 1))
    return len(pairs) > max(tokens, context) and min(tokens, context) > 1


def positions_of(work: Work) -> IndexArray:
    """Return where the points that members are fitted to stand among all points, in their order."""
    if len(work) <= FIRST_POINTS:
        return np.arange(len(work))
    return thinned(work, MOST_POINTS)


@dataclass(frozen=True)
class _Fit:
    work: Work
    y_s: FloatArray
    terms: tuple[Term, ...]
    structures: tuple[Structure, ...]
    knowledge: Knowledge
    discrepancy: Discrepancy = field(default_factory=Discrepancy)

    def members(
        self, points: IndexArray, noise: Noise, hypotheses: tuple[Spoilt, ...],
        structures: tuple[Structure, ...] | None = None,
    ) -> Members:  # fmt: skip
        chosen = self.structures if structures is None else structures
        work, y_s = self.work.take(points), self.y_s[points]
        weights = self.knowledge.prior.log_weights(chosen, self.knowledge.attention)
        design = Design.of(work, y_s, chosen, self.knowledge.priors(self.terms, y_s), weights)
        return fit_members(work, y_s, chosen, design, noise, hypotheses, self.discrepancy)

    def with_spoilt_points(self, points: IndexArray) -> Members:
        noise = self.knowledge.prior.grid(discrepancy=self.knowledge.corrected)
        return self._weighed(len(points), lambda h: self.members(points, noise, h))

    def refined(self, first: Members, points: IndexArray) -> Members:
        """Fit the members that matter to more points."""
        by = first.weight.reshape(len(first.structures), len(first.noise.sigma), -1)
        structure, noise = by.sum(axis=(1, 2)), by.sum(axis=(0, 2))
        kept = [s for s, w in zip(self.structures, structure, strict=True)
                if w > 10 * KEPT * structure.max()]  # fmt: skip
        pairs = first.noise.take(np.argsort(-noise)[:8])
        return self._weighed(
            len(points), lambda h: self.members(points, pairs, h, tuple(kept))
        )  # fmt: skip

    def _weighed(self, n: int, fit: Fit) -> Members:
        return hypotheses_of(n, fit) if self.knowledge.spoilt else fit(((),))


def law_of(members: Members, knowledge: Knowledge) -> HachiyaPatias:
    """Turn members into one law of the family."""
    best = None if knowledge.averaging else int(np.argmax(members.weight.sum(axis=1)))
    flat = Flat.of(members, structure=best)
    found = coefficients(flat)
    work, y_s = members.work, np.exp(members.log_y)
    given = knowledge.priors(knowledge.terms(work, y_s), y_s)
    units = {"E1": "s/pair", "KV": "s/KV token", "KV_root": "s/KV token", "B": "s/sequence",
             "overhead": "s"}  # fmt: skip
    terms = tuple(
        Term(name, units.get(name, "s/token"),
             given["ln_n0_tokens" if name == "overhead" else name])
        for name in found.names
    )  # fmt: skip
    level, theta = 0.0, found.theta.copy()
    if knowledge.corrected:
        last = np.lexsort([work.new_tokens, work.context_len])[-1:]
        level = float(flat.correction(work.take(last))[0])
        theta[0] += level
    law = HachiyaPatias(
        "quadratic" if "E1" in found.names else "off",
        "off" if found.form.name == "off" else "floor",
        "residual" if knowledge.corrected else "off", spec=knowledge.spec,
    ).set_fitted(
        phase=work.phase, form=found.form, terms=terms, theta=theta, covariance=found.covariance,
        sigma=members.mean_square(members.noise.sigma),
        reference=float(np.exp(np.mean(np.log(work.context_len)))),
        span=(float(work.context_len.min()), float(work.context_len.max())), power=2.0,
    )  # fmt: skip
    law.n_points_, law.log_evidence_ = len(work), members.log_evidence
    law.tau_ = members.mean_square(members.noise.tau)
    law.gap_ = gap(work)
    law.tokens_ = (float(work.new_tokens.min()), float(work.new_tokens.max()))
    if knowledge.corrected:
        law.correction_ = e3_forms.krige(work, _delta(members, flat, level), law._base)
    return law


def _delta(members: Members, flat: Flat, level: float) -> Callable[[Work], FloatArray]:
    """E3: what the discrepancy adds beyond its level at the long end, and cells of their own."""
    if members.discrepancy.share is None:
        return lambda at: flat.correction(at) - level
    work = members.work
    sigma = members.mean_square(members.noise.sigma)
    rest = leftover(work, members.log_y - flat.log_mean(work), sigma)
    return lambda at: flat.correction(at) - level + rest(at)
