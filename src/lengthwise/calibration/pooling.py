r"""Partial pooling: what deployments of one phase have in common.

Each deployment is fitted alone with one reference structure: E1 quadratic and a soft floor of one
sharpness k for all, in turn for each k. A coefficient theta_d of deployment d, a logarithm, is then
modelled as

    theta_d = mu + sum over labels of offset(label_d) + e_d,   offsets ~ N(0, tau^2), tau = sd(e)

with labels hardware, engine, model, precision and tensor parallel degree: E3's offsets per hardware
and engine. alpha_1 is first divided by the FLOP per token and the number of GPUs, where the models
are known, so that a larger model is not a surprise. The mean, with its leave-one-out error and the
posterior variance of the members, is the prior of a deployment with few points, whose evidence
chooses k, and the law of a deployment with none, with the k that suits all members best. A label
nobody measured widens it to the spread between the labels that were; the scale alpha_1 on hardware
nobody measured gets a fixed wide one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lengthwise.calibration.groups import Group
from lengthwise.domain.model import ModelSpec, find_model
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.formulations.hachiya_patias.family import SHARPNESS
from lengthwise.formulations.hachiya_patias.priors import LogNormal, attention_ratio
from lengthwise.formulations.hachiya_patias.scaling import Floor
from lengthwise.formulations.hachiya_patias.terms import Term
from lengthwise.units import FloatArray

LABELS = ("hardware", "engine", "model", "precision", "tp")
MIN_POINTS = 3
MIN_SD = 0.15
UNKNOWN_SD = 2.3
"""Machines that serve language models lie within a factor of 100 of each other, two deviations."""
UNSEEN_SIGMA = 0.05
SCORES_AT = (0.25, 0.5, 0.75, 0.9)
"""Quantiles of the scores of one member: its points share one cause."""


@dataclass(frozen=True)
class Member:
    """One deployment's reference fit."""

    labels: dict[str, object]
    spec: ModelSpec | None
    theta: dict[str, float]
    variance: dict[str, float]
    reference: float
    span: tuple[float, float]


@dataclass(frozen=True)
class Population:
    """Reference fits of all deployments of a phase."""

    phase: str
    members: tuple[Member, ...]
    sharpness: int = 2
    use_labels: bool = True
    scores: tuple[float, ...] = ()
    """Sorted |residual| / s of every member under what the others say, ``SCORES_AT`` each."""

    @property
    def span(self) -> tuple[float, float]:
        """Least and greatest context of all members, tokens."""
        return min(m.span[0] for m in self.members), max(m.span[1] for m in self.members)

    def prior_for(
        self, labels: dict[str, object], spec: ModelSpec | None, leave_out: int | None = None
    ) -> dict[str, tuple[float, float]]:
        """Mean and standard deviation of each coefficient for a deployment with these labels.

        Parameters
        ----------
        labels
            Deployment columns with their values; unknown ones count as the average.
        spec
            Architecture of its model, when known.
        leave_out
            Member not to learn from: the deployment itself.
        """
        members = [m for i, m in enumerate(self.members) if i != leave_out]
        names = sorted({name for m in members for name in m.theta})
        prior = {}
        for name in names:
            having = [m for m in members if name in m.theta]
            if having:
                prior[name] = self._one(name, having, labels, spec)
        return prior

    def _one(
        self,
        name: str,
        members: Sequence[Member],
        labels: dict[str, object],
        spec: ModelSpec | None,
    ) -> tuple[float, float]:
        scaled = spec is not None and all(m.spec is not None for m in members)
        values = np.array(
            [m.theta[name] - (_scale(name, m.labels, m.spec) if scaled else 0.0) for m in members]
        )
        use = LABELS if self.use_labels else ()
        design = np.array([_encode(m.labels, members, use) for m in members])
        mean, sd = _ridge(design, values, _encode(labels, members, use))
        sd = max(sd, _unseen_sd(name, labels, members, values))
        # Members whose data say little agree because they share a prior, not for being alike.
        sd = math.hypot(sd, math.sqrt(float(np.mean([m.variance[name] for m in members]))))
        return mean + (_scale(name, labels, spec) if scaled else 0.0), max(sd, MIN_SD)

    def law_for(self, labels: dict[str, object], leave_out: int | None = None) -> HachiyaPatias:
        """Return the law of a deployment nobody measured: the population's mean and spread.

        ``leave_out`` is a member not to learn from.
        """
        spec = find_model(str(labels["model"])) if labels.get("model") is not None else None
        prior = self.prior_for(labels, spec, leave_out)
        terms = tuple(Term(n, "", LogNormal(*prior[n])) for n in ("E1", "KV", "B") if n in prior)
        means = [prior["ln_a1"], prior["ln_n0_tokens"], *[prior[t.name] for t in terms]]
        reference = math.exp(float(np.mean([math.log(m.reference) for m in self.members])))
        return HachiyaPatias(
            e1="quadratic" if "E1" in prior else "off", sharpness=self.sharpness, spec=spec
        ).set_fitted(
            phase=self.phase, form=Floor(k=self.sharpness), terms=terms,
            theta=np.array([m for m, _ in means]), covariance=np.diag([s**2 for _, s in means]),
            sigma=UNSEEN_SIGMA, reference=reference, span=self.span, power=2.0,
        )  # fmt: skip


def populations_of(
    phase: str, groups: Sequence[Group], use_labels: bool = True
) -> list[Population]:
    """Fit the reference structure to every group with enough points, once for each sharpness.

    The list is ordered by how well the sharpness suits all members, best first; empty when no group
    has enough points.
    """
    enough = [g for g in groups if len(g) >= MIN_POINTS and not g.load]
    if not enough:
        return []
    fits = {
        k: [HachiyaPatias(sharpness=k, spec=g.spec).fit_work(g.work, g.y_s) for g in enough]
        for k in SHARPNESS
    }
    order = sorted(SHARPNESS, key=lambda k: -sum(law.log_evidence_ for law in fits[k]))
    found = [
        Population(
            phase,
            tuple(_member(g, law) for g, law in zip(enough, fits[k], strict=True)),
            k,
            use_labels,
        )
        for k in order
    ]
    return [replace(found[0], scores=_left_out(found[0], enough)), *found[1:]]


def _left_out(population: Population, groups: Sequence[Group]) -> tuple[float, ...]:
    """Score what the other members say of each one, as a deployment nobody measured."""
    scores: list[float] = []
    for i, group in enumerate(groups if len(groups) > 1 else ()):
        law = population.law_for(group.labels, leave_out=i)
        off = np.abs(np.log(group.y_s / law.predict_work(group.work)))
        scores += np.quantile(off / law.log_scale(group.work), SCORES_AT).tolist()
    return tuple(sorted(scores))


def borrowed(
    group: Group, populations: Sequence[Population]
) -> list[tuple[dict[str, tuple[float, float]], int]]:
    """Give priors from a group's relatives, with the sharpness they were learnt with.

    Requests under load have no relatives: their times hold waiting.
    """
    found = []
    for population in () if group.load else populations:
        own = next((i for i, m in enumerate(population.members) if m.labels == group.labels), None)
        if len(population.members) > (own is not None):
            prior = population.prior_for(group.labels, group.spec, own)
            found.append((prior, population.sharpness))
    return found


def _member(group: Group, law: HachiyaPatias) -> Member:
    names = ("ln_a1", *law.scaling_.parameters, *(t.name for t in law.terms_))
    theta = dict(zip(names, law.theta_.tolist(), strict=True))
    variance = dict(zip(names, np.diag(law.covariance_).tolist(), strict=True))
    return Member(group.labels, group.spec, theta, variance, law.reference_, law.span_)


def _scale(name: str, labels: dict[str, object], spec: ModelSpec | None) -> float:
    """Logarithm of what physics says a coefficient is proportional to."""
    if spec is None:
        return 0.0
    if name == "ln_a1":
        gpus = float(str(labels.get("tp") or 1)) * float(str(labels.get("pp") or 1))
        return math.log(spec.flops_per_token / gpus)
    return attention_ratio(spec).mean if name == "E1" else 0.0


def _encode(labels: dict[str, object], members: Sequence[Member], use: Sequence[str]) -> FloatArray:
    """One-hot code of the labels that vary among the members."""
    code: list[float] = []
    for label in use:
        levels = sorted({str(m.labels.get(label)) for m in members})
        if len(levels) > 1:
            code += [float(str(labels.get(label)) == level) for level in levels]
    return np.asarray(code)


def _unseen_sd(
    name: str, labels: dict[str, object], members: Sequence[Member], values: FloatArray
) -> float:
    """Spread owed to labels that no member has.

    For the scale alpha_1 on hardware nobody measured it is ``UNKNOWN_SD``: two or three machines
    cannot tell how far apart machines are. Otherwise it is the spread between the known labels.
    """
    spread = 0.0
    for label in LABELS:
        known = [str(m.labels.get(label)) for m in members]
        if labels.get(label) is not None and str(labels[label]) not in known:
            scale = label == "hardware" and name == "ln_a1"
            between = UNKNOWN_SD if scale else _spread_between(known, values)
            spread = max(spread, min(between, UNKNOWN_SD))
    return spread


def _spread_between(levels: Sequence[str], values: FloatArray) -> float:
    """Error of predicting each level's mean by the mean of the other levels."""
    names = sorted(set(levels))
    if len(names) < 2:
        return UNKNOWN_SD
    which = np.asarray(levels)
    means = np.array([values[which == name].mean() for name in names])
    others = (means.sum() - means) / (len(means) - 1)
    return float(np.sqrt(np.mean((means - others) ** 2)) * math.sqrt(1 + 1 / len(means)))


def _ridge(design: FloatArray, values: FloatArray, query: FloatArray) -> tuple[float, float]:
    """Mean and leave-one-out error of an additive model with shrunk offsets."""
    n = len(values)
    mean = float(values.mean())
    if n == 1:
        return mean, UNKNOWN_SD
    if design.shape[1] == 0:
        return mean, float(values.std(ddof=1) * math.sqrt(1 + 1 / n))
    gram = design @ design.T + np.eye(n)
    centred = values - mean
    weights = np.linalg.solve(gram, centred)
    loo = weights / np.diag(np.linalg.inv(gram))
    fitted = mean + float((design @ query) @ weights)
    return fitted, float(np.sqrt(np.mean(loo**2)))
