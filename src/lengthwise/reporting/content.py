"""The content of a report as plain data: what the HTML page shows and its JSON twin holds.

The curves of a length split are those of laws fitted on the short part only, so that the hollow
points are predictions one can check; coefficients are those of the law fitted on everything.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from lengthwise import __version__
from lengthwise.calibration.groups import Group, groups_of, step_rows
from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.calibration.rivals import Rival
from lengthwise.calibration.suspects import Suspect
from lengthwise.data.checks import check_table
from lengthwise.data.report import Flag
from lengthwise.errors import LengthwiseError, NothingUsableError
from lengthwise.evaluation.ablation import AblationResult, ablation
from lengthwise.evaluation.leaderboard import leaderboard
from lengthwise.evaluation.protocol import Progress, SplitName, evaluate, split_table
from lengthwise.evaluation.result import EvaluationResult
from lengthwise.prediction.chunked import InChunks
from lengthwise.prediction.coefficients import (
    Coefficient,
    coefficients_of,
    equation_of,
    terms_of,
)
from lengthwise.prediction.text import findings, structure_of
from lengthwise.reporting.figures.chart import Bars, Chart, plain
from lengthwise.reporting.figures.prepare import batch_chart, curve_chart, law_chart
from lengthwise.reporting.figures.scores import (
    ablation_bars,
    distance_chart,
    ranking_bars,
    residual_chart,
)
from lengthwise.reporting.sources import Source, joined

DEFAULT_FORMULATIONS = ("hachiya-patias", "linear", "power", "cubic-ols", "gradient-boosting")
MOST_GROUPS = 24
"""Groups shown with figures; the tables hold all."""


@dataclass(frozen=True)
class Options:
    """What a report is asked for."""

    split: SplitName = "length"
    factor: float = 4.0
    formulations: tuple[str, ...] = DEFAULT_FORMULATIONS
    level: float = 0.9
    with_ablation: bool = True
    seed: int = 0
    title: str = "Latency laws"


@dataclass(frozen=True)
class GroupContent:
    """One deployment and phase: figures, coefficients, what was tried."""

    deployment: str
    phase: str
    n_points: int
    n_rows: int
    noise_percent: float
    lengths: tuple[float, float]
    batches: tuple[float, float]
    formulation: str
    terms: str
    equation: str
    coefficients: tuple[Coefficient, ...]
    trials: tuple[dict[str, Any], ...]
    scores: dict[str, float] = field(default_factory=dict)
    charts: tuple[Chart, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    rival: Rival | None = None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Content:
    """A whole report.

    Attributes
    ----------
    created
        UTC time, ISO 8601.
    sources
        ``(name, sha256, rows)`` of each file; rows is None for a law.
    groups
        One per deployment and phase; those with the largest error carry figures first.
    evaluation, terms
        Scores of formulations and of subsets of terms; None without a table.
    overview
        Figures over all groups.
    flags
        What looks wrong in the data.
    notes
        What was left out and why.
    partial
        Whether it was interrupted: then there are the scores of what was done, and no curves.
    """

    title: str
    created: str
    version: str
    options: Options
    sources: tuple[tuple[str, str, int | None], ...]
    groups: tuple[GroupContent, ...]
    evaluation: EvaluationResult | None = None
    terms: AblationResult | None = None
    ranking: tuple[dict[str, Any], ...] = ()
    overview: tuple[Chart | Bars, ...] = ()
    flags: tuple[Flag, ...] = ()
    notes: tuple[str, ...] = ()
    partial: bool = False

    @property
    def terms_figure(self) -> Bars | None:
        """The ablation as bars."""
        return ablation_bars(self.terms, self.options.factor) if self.terms else None

    def to_dict(self) -> dict[str, Any]:
        """Give everything, ready for JSON."""
        out: dict[str, Any] = plain({
            "title": self.title, "created": self.created, "version": self.version,
            "partial": self.partial, "options": asdict(self.options),
            "sources": [dict(zip(("name", "sha256", "rows"), s, strict=True))
                        for s in self.sources],
            "groups": [asdict(g) for g in self.groups],
            "ranking": list(self.ranking),
            "evaluation": self.evaluation.to_dict() if self.evaluation else None,
            "ablation": self.terms.table.to_dict("records") if self.terms else None,
            "overview": [figure.to_dict() for figure in self.overview],
            "flags": [asdict(flag) for flag in self.flags],
            "notes": list(self.notes),
        })  # fmt: skip
        return out


def build(
    sources: Sequence[Source], options: Options | None = None, progress: Progress | None = None
) -> Content:
    """Fit, evaluate and describe: everything a report says.

    Parameters
    ----------
    sources
        Tables, laws or both. With laws, their curves are drawn through the tables' points.
    options
        Split, formulations and so on.
    progress
        Called after every fit of the evaluation.
    """
    options = options or Options()
    table = joined(sources)
    given = {s.stem: s.laws for s in sources if s.laws is not None}
    head = _head(sources, options)
    if table is None:
        groups = tuple(g for laws in given.values() for g in _law_groups(laws, options.level))
        return Content(**head, groups=groups)
    return _of_table(table, given, options, head, progress)


def _head(sources: Sequence[Source], options: Options) -> dict[str, Any]:
    return {
        "title": options.title, "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__, "options": options,
        "sources": tuple(
            (s.name, s.sha256, None if s.table is None else len(s.table)) for s in sources
        ),
    }  # fmt: skip


def _of_table(
    table: pd.DataFrame, given: dict[str, LawSet], options: Options, head: dict[str, Any],
    progress: Progress | None,
) -> Content:  # fmt: skip
    notes: list[str] = []
    steps = step_rows(table)
    result = _evaluation(table, options, notes, progress)
    if result is not None and result.partial:
        return _interrupted(result, None, options, head)
    terms = None
    try:
        if result is not None and options.with_ablation:
            terms = _ablation(table, options, notes, progress)
        if terms is None or not terms.partial:
            return _complete(steps, given, options, head, notes, table, result, terms)
    except KeyboardInterrupt:
        if result is None:
            raise
    assert result is not None
    return _interrupted(result, terms, options, head)


def _complete(
    steps: pd.DataFrame, given: dict[str, LawSet], options: Options, head: dict[str, Any],
    notes: list[str], table: pd.DataFrame, result: EvaluationResult | None,
    terms: AblationResult | None,
) -> Content:  # fmt: skip
    whole = next(iter(given.values()), None) or _fitted(options.formulations[0], steps, notes)
    if whole is None:
        raise NothingUsableError("a report needs a law that fits", got="; ".join(notes))
    train = _training(steps, options) if result is not None else steps
    curves = given or _curves(train, options, notes)
    longest = _longest(train)
    groups = []
    for group in groups_of(steps):
        law = whole.laws_.get((group.deployment, group.phase))
        if law is not None:
            cut = longest.get((group.deployment, group.phase)) if not given else None
            groups.append(_group_content(group, law, curves, result, options, cut))
    groups.sort(key=lambda g: -g.scores.get("mape_percent", 0.0))
    if len(groups) > MOST_GROUPS:
        notes.append(f"figures of the {MOST_GROUPS} groups with the largest error are shown, "
                     f"of {len(groups)}")  # fmt: skip
        groups = [*groups[:MOST_GROUPS], *(_bare(g) for g in groups[MOST_GROUPS:])]
    ranking: tuple[dict[str, Any], ...] = ()
    overview: tuple[Chart | Bars, ...] = ()
    if result is not None:
        ranking = tuple(_ranking(result))
        overview = _overview(result, longest, options)
        notes += [f"skipped {s.group}: {s.reason}" for s in result.skipped]
        notes += sorted({f"{f.formulation} failed to {f.stage}: {f.reason}"
                         for f in result.failures})  # fmt: skip
    return Content(
        **head, groups=tuple(groups), evaluation=result, terms=terms, ranking=ranking,
        overview=overview, flags=tuple(check_table(table)), notes=tuple(notes),
    )  # fmt: skip


def _interrupted(
    result: EvaluationResult, terms: AblationResult | None, options: Options, head: dict[str, Any]
) -> Content:
    """Gather what an interrupted report has: scores, without the curves that take time."""
    note = "interrupted: scores cover only what was done, and no law is shown"
    ranking = tuple(_ranking(result))
    return Content(**head, groups=(), evaluation=result, terms=terms, ranking=ranking,
                   overview=(ranking_bars(result, [r["formulation"] for r in ranking]),),
                   notes=(note,), partial=True)  # fmt: skip


def _evaluation(
    table: pd.DataFrame, options: Options, notes: list[str], progress: Progress | None
) -> EvaluationResult | None:
    """Score formulations; a table too small to split is described without scores."""
    try:
        return evaluate(
            table, split=options.split, factor=options.factor, level=options.level,
            formulations=options.formulations, seed=options.seed, progress=progress,
        )  # fmt: skip
    except NothingUsableError as error:
        notes.append(f"not evaluated: {error.finding}")
        return None


def _ablation(
    table: pd.DataFrame, options: Options, notes: list[str], progress: Progress | None
) -> AblationResult | None:
    try:
        return ablation(
            table, factor=options.factor, level=options.level, seed=options.seed, intervals=False,
            progress=progress,
        )  # fmt: skip
    except NothingUsableError as error:
        notes.append(f"terms not compared: {error.finding}")
        return None


def _training(steps: pd.DataFrame, options: Options) -> pd.DataFrame:
    if options.split != "length":
        return steps
    splits = split_table(steps, "length", factor=options.factor)
    return steps.iloc[np.unique(np.concatenate([split.train for split in splits]))]


def _curves(train: pd.DataFrame, options: Options, notes: list[str]) -> dict[str, LawSet]:
    fitted = {
        name: _fitted(name, train, notes, intervals=i == 0)
        for i, name in enumerate(options.formulations)
    }
    return {name: law for name, law in fitted.items() if law is not None}


def _fitted(
    name: str, steps: pd.DataFrame, notes: list[str], *, intervals: bool = True
) -> LawSet | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            return LawSet(name, intervals=intervals).fit(steps)
        except LengthwiseError as error:
            notes.append(f"{name} has no curve: {error.finding}")
            return None


def _longest(train: pd.DataFrame) -> dict[tuple[str, str], float]:
    return {(g.deployment, g.phase): float(g.work.length.max()) for g in groups_of(train)}


def _group_content(
    group: Group, law: PhaseLaw, curves: dict[str, LawSet], result: EvaluationResult | None,
    options: Options, cut: float | None,
) -> GroupContent:  # fmt: skip
    key = (group.deployment, group.phase)
    known = {name: laws for name, laws in curves.items() if key in laws.laws_}
    prompts = {name: InChunks(laws, math.nan) for name, laws in known.items()}
    charts: list[Chart] = []
    scores: dict[str, float] = {}
    if known:
        charts.append(curve_chart(group, prompts, level=options.level, cut=cut))
    if result is not None:
        name = f"{group.deployment} | {group.phase}"
        charts.append(residual_chart(result, name, options.formulations))
        scores = _scores(result, name)
    if known and len(np.unique(group.work.sequences)) > 1:
        charts.append(batch_chart(group, next(iter(known.values())), cut=cut))
    shown = tuple(chart for chart in charts if not chart.is_empty)
    return _described(law, scores, shown)


def _described(
    law: PhaseLaw, scores: dict[str, float] | None = None,
    charts: tuple[Chart, ...] = (),
) -> GroupContent:  # fmt: skip
    return GroupContent(
        law.deployment, law.phase, law.n_points, law.n_rows, 100.0 * law.noise,
        law.domain.length, law.domain.sequences, law.law.name, terms_of(law.law),
        equation_of(law.law), tuple(coefficients_of(law.law)),
        _trials(law),
        scores or {}, charts, law.suspects, law.rival, tuple(findings(law)),
    )  # fmt: skip


def _trials(law: PhaseLaw) -> tuple[dict[str, Any], ...]:
    """Describe the sets of terms, those of greatest weight first."""
    order = sorted(law.trials, key=lambda t: -t.weight if math.isfinite(t.weight) else t.score)
    return tuple(
        asdict(trial) | {"score": trial.score, "structure": structure_of(trial)}
        for trial in order
    )  # fmt: skip


def _law_groups(laws: LawSet, level: float) -> list[GroupContent]:
    """Describe laws without their data: curves over what was measured and twice beyond."""
    out = []
    for law in laws.laws_.values():
        chart = law_chart(laws, law, level=level)
        out.append(_described(law, charts=() if chart.is_empty else (chart,)))
    return out


def _scores(result: EvaluationResult, group: str) -> dict[str, float]:
    groups = result.groups
    mine = groups[(groups["group"] == group) & (groups["formulation"] == result.formulations[0])]
    if not len(mine):
        return {}
    at = mine.iloc[0]
    names = ("mape_percent", "coverage", "median_width_percent", "noise_percent")
    return {name: float(at[name]) for name in names if np.isfinite(at[name])}


def _bare(group: GroupContent) -> GroupContent:
    return GroupContent(**(vars(group) | {"charts": ()}))


def _ranking(result: EvaluationResult) -> list[dict[str, Any]]:
    merged = leaderboard(result).merge(
        result.overall.drop(columns=["worst_group", "failed_groups"]), on="formulation"
    )
    return [{str(k): v for k, v in row.items()} for row in merged.to_dict("records")]


def _overview(
    result: EvaluationResult, longest: dict[tuple[str, str], float], options: Options
) -> tuple[Chart | Bars, ...]:  # fmt: skip
    order = leaderboard(result)["formulation"].tolist()
    figures: list[Chart | Bars] = [ranking_bars(result, order)]
    if options.split == "length":
        reach = {f"{deployment} | {phase}": value for (deployment, phase), value in longest.items()}
        figures += [
            distance_chart(result, reach, options.formulations, phase)
            for phase in ("prefill", "decode", "mixed")
            if any(group.endswith(f" | {phase}") for group in reach)
        ]
    return tuple(figures)
