"""Laws for every deployment and phase of a table, calibrated together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from lengthwise.calibration.average import Knowledge, average, positions_of
from lengthwise.calibration.folds import batch_folds, is_interior, length_folds, spread_folds
from lengthwise.calibration.groups import Group, groups_of, nothing_usable
from lengthwise.calibration.held_out import (
    HeldOut,
    held_out,
    left_out_one_by_one,
    reach_of,
    refits,
)
from lengthwise.calibration.intervals import Calibration, PublicScores, calibrate
from lengthwise.calibration.learned import KindPrior, attention_of, kind_of, learned
from lengthwise.calibration.loads import warn_of_loads, with_enough
from lengthwise.calibration.match import match_deployment
from lengthwise.calibration.phase_law import Domain, PhaseLaw
from lengthwise.calibration.pooling import Population, borrowed, populations_of
from lengthwise.calibration.rivals import rival_of
from lengthwise.calibration.shape import helpful_priors
from lengthwise.calibration.single import is_averaged, single
from lengthwise.calibration.suspects import suspects_of
from lengthwise.calibration.trials import trials_of
from lengthwise.data.identity import deployment_of, labels_of
from lengthwise.data.schema import DEPLOYMENT
from lengthwise.data.table import load
from lengthwise.data.work import work_of
from lengthwise.domain.work import Work
from lengthwise.errors import InputError
from lengthwise.formulations import registry
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.estimator import Estimator
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.units import FloatArray, s_to_ms

OWN = HachiyaPatias.name
BASELINE_FOLDS = 4
MIN_POINTS = 6
"""Deployments with fewer points borrow from their relatives."""


class LawSet(Estimator):
    """Fit one law per deployment and phase, and calibrate their intervals together.

    Parameters
    ----------
    formulation
        Name in the registry.
    e1, e2, e3
        Terms of the product's own family: ``auto`` averages over what data can tell apart.
        ``e3="offset"`` keeps only the offsets per hardware, engine, model, precision and tp that
        pooled deployments share; ``e3="off"`` drops these too.
    pooling
        Whether deployments with few points borrow from the others.
    intervals
        Whether to hold points out for conformal intervals.
    described
        Whether to score the sets of terms and simple rivals, which only descriptions of laws show.
    learned
        Priors by kind of group (see :mod:`lengthwise.calibration.learned`); those of all public
        curves when None.
    shape
        Whether deployments without such relatives, whose model and hardware are known, take the
        step law's curve as prior (see :mod:`lengthwise.calibration.shape`).

    Attributes
    ----------
    laws_
        ``{(deployment, phase): PhaseLaw}``.
    calibration_
        ``{phase: Calibration}``.
    population_
        ``{phase: Population}`` for deployments nobody measured; own family only.

    Examples
    --------
    >>> n = np.array([128, 256, 512, 1024, 2048, 4096])
    >>> table = pd.DataFrame({"phase": "prefill", "isl": n, "latency_ms": 20 + 0.1 * n})
    >>> laws = LawSet(formulation="linear").fit(table)
    >>> laws.predict(pd.DataFrame({"phase": ["prefill"], "isl": [8192]})).round(1).tolist()
    [839.2]
    """

    def __init__(
        self, formulation: str = OWN, *, e1: str = "auto", e2: str = "auto", e3: str = "auto",
        pooling: bool = True, intervals: bool = True, described: bool = True,
        learned: dict[str, KindPrior] | None = None, shape: bool = True,
    ) -> None:  # fmt: skip
        self.formulation = formulation
        self.e1, self.e2, self.e3 = e1, e2, e3
        self.pooling, self.intervals, self.learned = pooling, intervals, learned
        self.described, self.shape = described, shape

    laws_: dict[tuple[str, str], PhaseLaw]
    calibration_: dict[str, Calibration]
    columns_: tuple[str, ...]

    def fit(self, table: pd.DataFrame | str | Path) -> Self:
        """Fit every deployment and phase of a measurement table or its path.

        Raises
        ------
        NothingUsableError
            If no row is left after unusable ones are set aside.
        InputError, ColumnError
            If the table breaks a rule.
        """
        frame = load(table)
        groups = with_enough(list(groups_of(frame)))
        if not groups:
            raise nothing_usable(frame)
        warn_of_loads(groups)
        self.columns_ = tuple(c for c in DEPLOYMENT if c in frame)
        self._groups = groups
        self.__dict__.pop("population_", None)
        borrowing = {g.phase for g in groups if _borrows(g, groups)}
        relatives = self._populations([g for g in groups if g.phase in borrowing])
        self.laws_ = {
            (g.deployment, g.phase): self._fit_group(g, relatives.get(g.phase, [])) for g in groups
        }
        self.calibration_ = self._calibrate(groups) if self.intervals else {}
        self._add_fallback(groups)
        return self

    @cached_property
    def population_(self) -> dict[str, Population]:
        """What the deployments of a phase have in common; computed when first asked for.

        An evaluation fits hundreds of sets that are never asked about a deployment nobody measured.
        """
        found = self._populations(self._groups)
        return {phase: candidates[0] for phase, candidates in found.items()}

    def predict(self, points: pd.DataFrame) -> FloatArray:
        """Predict the times of step points, shape (n,), milliseconds."""
        seconds = np.empty(len(points))
        for index, law, work in self.parts(points):
            seconds[index] = law.law.predict_work(work)
        return np.asarray(s_to_ms(seconds))

    def predict_interval(self, points: pd.DataFrame, level: float = 0.9) -> FloatArray:
        """Predict intervals of coverage ``level``, shape (n, 2), milliseconds."""
        bounds = np.empty((len(points), 2))
        for index, law, work in self.parts(points):
            time = s_to_ms(law.law.predict_work(work))
            ratio = np.exp(self.half_width(law, work, level))
            bounds[index] = np.column_stack([time / ratio, time * ratio])
        return bounds

    def half_width(self, law: PhaseLaw, work: Work, level: float) -> FloatArray:
        """Half width of the interval in ln t, shape (n,)."""
        if law.phase not in self.calibration_:
            raise InputError(
                "intervals need a law fitted with intervals=True", got="intervals=False",
                remedy="fit again with LawSet(intervals=True)",
            )  # fmt: skip
        others = self.population_.get(law.phase) if law.n_points == 0 else None
        return self.calibration_[law.phase].half_width(
            work.length, law.log_scale(work), law.domain.reach(work), level, law.n_points,
            others.scores if others else (),
        )  # fmt: skip

    def parts(self, points: pd.DataFrame) -> Iterator[tuple[Any, PhaseLaw, Work]]:
        """Split points by deployment and phase: positions, law and work of each part."""
        if "phase" not in points:
            phases = {phase for _, phase in self.laws_}
            if len(phases) > 1:
                raise InputError(
                    "points must say their phase", got="no column 'phase'",
                    remedy=f"add phase, one of {', '.join(sorted(phases))}",
                )  # fmt: skip
            points = points.assign(phase=phases.pop())
        phase_codes, phase_names = pd.factorize(points["phase"])
        keys = deployment_of(points)
        codes = keys.cat.codes.to_numpy()
        combined = phase_codes * len(keys.cat.categories) + codes
        for value in np.unique(combined):
            everything = len(points) == 0 or bool((combined == value).all())
            index = slice(None) if everything else np.flatnonzero(combined == value)
            part = points if everything else points.iloc[index]
            phase = str(phase_names[value // len(keys.cat.categories)])
            key = str(keys.cat.categories[value % len(keys.cat.categories)])
            law = self.law_of(key, phase, part)
            yield index, law, work_of(part, phase)

    def law_of(self, deployment: str, phase: str, points: pd.DataFrame) -> PhaseLaw:
        """Find the law that answers for a deployment, or make one from its relatives."""
        if (deployment, phase) in self.laws_:
            return self.laws_[deployment, phase]
        labels = {c: v for c, v in labels_of(points).items() if v is not None}
        found = match_deployment(self.laws_, phase, labels)
        if found is not None:
            return found
        return self._unseen(deployment, phase, labels)

    def _unseen(self, deployment: str, phase: str, labels: dict[str, Any]) -> PhaseLaw:
        relatives = [law for (_, p), law in self.laws_.items() if p == phase and not law.load]
        if phase not in self.population_ and phase not in self.fallback_:
            raise InputError(
                "a deployment nobody measured needs one with at least three points to learn from",
                got=f"{deployment}, and {len(relatives)} measured at fewer",
                remedy="measure more lengths, or leave out what names the deployment",
            )  # fmt: skip
        law: Formulation = (
            self.population_[phase].law_for(labels) if phase in self.population_
            else self.fallback_[phase]
        )  # fmt: skip
        domain = Domain.around([r.domain for r in relatives])
        return PhaseLaw(deployment, phase, labels, law, domain, n_points=0, n_rows=0)

    def _populations(self, groups: list[Group]) -> dict[str, list[Population]]:
        if self.formulation != OWN or not self.pooling:
            return {}
        phases = sorted({g.phase for g in groups})
        found = {
            phase: populations_of(
                phase, [g for g in groups if g.phase == phase], use_labels=self.e3 != "off"
            )
            for phase in phases
        }
        return {phase: populations for phase, populations in found.items() if populations}

    def _fit_group(self, group: Group, populations: list[Population]) -> PhaseLaw:
        if self.formulation != OWN:
            return self._fit_baseline(group)
        work, y_s = group.work, group.y_s
        kinds = {"e1": self.e1, "e2": self.e2, "e3": self.e3}
        far = [*length_folds(work), *batch_folds(work)]
        if not is_averaged(kinds):
            fit = single(work, y_s, group.spec, kinds)
            folds = [*spread_folds(work), *far] if self.intervals else []
            held = held_out(refits(fit, work, y_s, folds), work, y_s)
            return PhaseLaw.of(group, fit.law, [], held)
        relatives = populations if len(group) < MIN_POINTS else []
        fitted = average(work, y_s, self._knowledge(group, borrowed(group, relatives)))
        suspects = suspects_of(fitted, work, y_s)
        if not self.intervals:
            return PhaseLaw.of(group, fitted.law, [], None, suspects)
        found = refits(fitted, work, y_s, far)
        long_end = found[: len(length_folds(work))]
        trials = trials_of(fitted, long_end, work, y_s) if self.described else []
        rival = rival_of(long_end, work, y_s) if self.described else None
        near = left_out_one_by_one(fitted.members, fitted.law, positions_of(work))
        held = HeldOut.join([near, held_out(found, work, y_s)])
        return PhaseLaw.of(group, fitted.law, trials, held, suspects, rival)

    def _knowledge(
        self, group: Group, borrowed: list[tuple[dict[str, tuple[float, float]], int]]
    ) -> Knowledge:  # fmt: skip
        prior = (self.learned or learned())[kind_of(group.work)]
        physics = helpful_priors(group) if self.shape and not borrowed else None
        return Knowledge(
            prior, group.spec, attention_of(group.spec, group.labels), self.e1, self.e2,
            self.e3 in ("auto", "residual"), borrowed[0][0] if borrowed else physics,
        )  # fmt: skip

    def _fit_baseline(self, group: Group) -> PhaseLaw:
        law = registry.make(self.formulation)
        if len(group) < law.min_points:
            raise InputError(
                f"{law.name} needs at least {law.min_points} distinct points",
                got=f"{len(group)} for {group.deployment}, {group.phase}",
                remedy="measure more lengths, or use hachiya-patias, which borrows from relatives",
            )  # fmt: skip
        held = _baseline_held_out(law, group) if self.intervals else None
        return PhaseLaw.of(group, law.fit_work(group.work, group.y_s), [], held)

    def _calibrate(self, groups: list[Group]) -> dict[str, Calibration]:
        calibration = {}
        for phase in sorted({g.phase for g in groups}):
            lengths, numbers, parts = [np.empty(0)], [np.empty(0)], []
            for number, group in enumerate(g for g in groups if g.phase == phase):
                held = self.laws_[group.deployment, phase].held_out
                if held is not None:
                    counted = held.take(is_interior(group.work)[held.index] | ~held.reach.inside)
                    lengths.append(group.work.length[counted.index])
                    numbers.append(np.full(len(counted.index), float(number)))
                    parts.append(counted)
            joined = HeldOut.join(parts)
            calibration[phase] = calibrate(
                phase,
                np.concatenate(lengths), joined.residual, joined.scale, joined.reach,
                np.concatenate(numbers), self._public(phase, groups),
            )  # fmt: skip
        return calibration

    def _public(self, phase: str, groups: list[Group]) -> PublicScores | None:
        """Scores of public curves of the kind that most groups of a phase are of."""
        kinds = {"e1": self.e1, "e2": self.e2, "e3": self.e3}
        if self.formulation != OWN or not is_averaged(kinds) or self.e3 in ("off", "offset"):
            return None
        found = [kind_of(g.work) for g in groups if g.phase == phase]
        return (self.learned or learned())[max(set(found), key=found.count)].scores

    def _add_fallback(self, groups: list[Group]) -> None:
        """Fit a baseline to everything of a phase: its answer for a deployment nobody measured."""
        self.fallback_: dict[str, Formulation] = {}
        if self.formulation == OWN and self.pooling:
            return
        groups = [g for g in groups if not g.load]
        for phase in sorted({g.phase for g in groups}):
            of_phase = [g for g in groups if g.phase == phase]
            if len(of_phase) > 1:
                work = _concatenate([g.work for g in of_phase])
                law = registry.make(self.formulation)
                y_s = np.concatenate([g.y_s for g in of_phase])
                self.fallback_[phase] = law.fit_work(work, y_s)
            else:
                self.fallback_[phase] = self.laws_[of_phase[0].deployment, phase].law


def _borrows(group: Group, groups: list[Group]) -> bool:
    """Whether a group is small and has others of its phase to borrow from."""
    return len(group) < MIN_POINTS and sum(g.phase == group.phase for g in groups) > 1


def _baseline_held_out(law: Formulation, group: Group) -> HeldOut:
    """Residuals of a formulation without a posterior: its scale is 1, the residual says it all."""
    from sklearn.base import clone

    work = group.work
    folds = [*spread_folds(work, BASELINE_FOLDS), *length_folds(work), *batch_folds(work)]
    parts = []
    for fold in folds:
        if len(fold.train) < law.min_points:
            continue
        train, test = group.work.take(fold.train), group.work.take(fold.test)
        fitted = clone(law).fit_work(train, group.y_s[fold.train])
        residual = np.log(group.y_s[fold.test]) - np.log(fitted.predict_work(test))
        parts.append(
            HeldOut(fold.test, residual, np.ones_like(residual), reach_of(fold, train, test))
        )
    return HeldOut.join(parts)


def _concatenate(works: list[Work]) -> Work:
    names = ("sequences", "new_tokens", "attention_pairs", "kv_tokens", "isl", "context_len")
    arrays = {n: np.concatenate([getattr(w, n) for w in works]) for n in names}
    return Work(phase=works[0].phase, **arrays)
