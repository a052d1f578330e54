"""The study as tables of text: title, columns, rows. What the terminal shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lengthwise.evaluation.per_token.figures import Change, Figures
from lengthwise.evaluation.per_token.result import SubjectStudy
from lengthwise.evaluation.per_token.thesis import PUBLISHED

Cells = list[str | None]


class TextTable(NamedTuple):
    """A table ready to print; None is an empty cell."""

    title: str
    columns: tuple[str, ...]
    rows: list[Cells]


SCORE = (
    "predictor", "it sees", "MAE ms", "95 % CI", "RMSE ms", "95 % CI", "MAPE %", "median APE %",
)  # fmt: skip
WORTH = (
    "group", "held out", "known before", "added: MAE", "95 % CI", "MAPE", "dropped: MAE",
    "95 % CI", "MAPE",
)  # fmt: skip


def tables_of(study: SubjectStudy) -> Iterator[TextTable]:
    """Yield all tables of a study in the order they are read."""
    yield thesis_table(study)
    yield from score_tables(study)
    yield scope_table(study)
    yield share_table(study)
    yield worst_table(study)
    if len(study.presence) > 1:
        yield feature_table(study)
        yield from worth_tables(study)


def thesis_table(study: SubjectStudy) -> TextTable:
    """Set the figures the thesis gives, of these events, beside its own."""
    ours, theirs = study.thesis, PUBLISHED
    rows: list[Cells] = [
        [name, f"{getattr(ours, field):,}", f"{getattr(theirs, field):,}"]
        for name, field in (
            ("token events", "n_events"), ("training events", "n_train"),
            ("test events", "n_test"),
        )
    ]  # fmt: skip
    rows += [
        [name, f"{getattr(ours, field):.4f}", f"{getattr(theirs, field):.4f}"]
        for name, field in (
            ("MAE, ms", "mae_ms"), ("RMSE, ms", "rmse_ms"), ("intercept, ms", "intercept_ms"),
            ("context size, scaled, ms", "context_size_ms"),
            ("input length, scaled, ms", "input_token_length_ms"),
        )
    ]  # fmt: skip
    rows.append(["one event that explains the RMSE, ms", f"{ours.one_event_ms:,.0f}",
                 f"{theirs.one_event_ms:,.0f}"])  # fmt: skip
    title = f"{study.events.name}: the thesis's protocol, everything pooled"
    return TextTable(title, ("quantity", "these events", "published by the thesis"), rows)


def score_tables(study: SubjectStudy) -> Iterator[TextTable]:
    """Yield every predictor on every division."""
    for way in study.divisions:
        mine = [s for s in study.scores if s.division == way.name]
        if not mine:
            continue
        rows: list[Cells] = [
            [s.predictor, s.features, *_scores(s.figures, intervals=True)] for s in mine
        ]
        yield TextTable(f"Errors, {way.title}", SCORE, rows)


def scope_table(study: SubjectStudy) -> TextTable:
    """Set the ridge fitted to parts of the events beside our law on the same parts."""
    rows: list[Cells] = [
        [s.name, f"{s.events:,}", *_scores(s.ridge)[:2], _last(s.ridge), *_scores(s.law)[:2],
         _last(s.law)]
        for s in study.diagnosis.scopes
    ]  # fmt: skip
    columns = (
        "events", "n", "ridge: MAE ms", "RMSE ms", "median APE %", "our law: MAE ms", "RMSE ms",
        "median APE %",
    )  # fmt: skip
    return TextTable("Where the error comes from, random split", columns, rows)


def share_table(study: SubjectStudy) -> TextTable:
    """Say what each kind of event contributes to the pooled ridge's error."""
    rows: list[Cells] = [
        [s.kind, f"{s.n:,}", f"{s.events_percent:.1f}", f"{s.absolute_percent:.1f}",
         f"{s.squared_percent:.1f}"]
        for s in study.diagnosis.shares
    ]  # fmt: skip
    columns = ("kind of test event", "n", "% of events", "% of absolute error",
               "% of squared error")  # fmt: skip
    return TextTable("Shares of the pooled ridge's error", columns, rows)


def worst_table(study: SubjectStudy) -> TextTable:
    """List the test events the pooled ridge misses most."""
    rows: list[Cells] = [
        [str(w.row), w.kind, f"{w.isl:g}", f"{w.context_len:g}", f"{w.batch_size:g}",
         ms(w.actual_ms), ms(w.ridge_ms), ms(w.law_ms), f"{w.squared_percent:.1f}"]
        for w in study.diagnosis.worst
    ]  # fmt: skip
    columns = ("row", "kind", "isl", "context", "batch", "actual ms", "ridge ms", "our law ms",
               "% of squared error")  # fmt: skip
    return TextTable("Worst events of the pooled ridge", columns, rows)


def feature_table(study: SubjectStudy) -> TextTable:
    """Say which features are there, constant or absent, and which a predictor could have."""
    rows: list[Cells] = []
    for p in study.presence:
        used = [f"{c} ({100 * p.gaps[c]:.2g} % missing)" if c in p.gaps else c for c in p.used]
        constant = [f"{name}={value}" for name, value in p.constant.items()]
        rows.append([
            p.group.name, "yes" if p.group.known else "no", ", ".join(used) or None,
            ", ".join(constant) or None, ", ".join(p.absent) or None,
        ])  # fmt: skip
    columns = ("group", "known before the step", "used", "constant", "absent")
    return TextTable("Features", columns, rows)


def worth_tables(study: SubjectStudy) -> Iterator[TextTable]:
    """Yield what each group buys, one table per regressor."""
    known = {p.group.name: "yes" if p.group.known else "no" for p in study.presence}
    held = {"random": "events", "requests": "requests"}
    for learner in dict.fromkeys(w.learner for w in study.worth):
        rows: list[Cells] = []
        ends = []
        for w in (w for w in study.worth if w.learner == learner):
            rows += [
                [g.group, held[w.division], known[g.group], *_change(g.added), *_change(g.dropped)]
                for g in w.groups
            ]
            ends.append(f"{held[w.division]} {ms(w.lengths.mae_ms)} to {ms(w.known.mae_ms)}")
        title = (
            f"What each group of features buys the {learner}, change of MAE in ms and of MAPE in "
            f"points (MAE from lengths to all known before: {', '.join(ends)})"
        )
        rows.sort(key=lambda row: list(known).index(str(row[0])))
        yield TextTable(title, WORTH, rows)


def ms(value: float | None, *, sign: bool = False) -> str | None:
    """Write a time in ms with three significant digits, or None.

    >>> ms(0.01234), ms(12.34), ms(1234.5), ms(-2.0, sign=True), ms(float("nan"))
    ('0.0123', '12.3', '1,234', '-2.00', None)
    """
    if value is None or value != value:
        return None
    plus = "+" if sign else ""
    size = abs(value)
    if size >= 1e6:
        return f"{value:{plus}.1e}"
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    return f"{value:{plus},.{digits}f}"


def _scores(figures: Figures | None, *, intervals: bool = False) -> Cells:
    if figures is None:
        return ["failed", None, None, None, None, None] if intervals else ["-", None, None, None]
    f = figures
    mae, rmse = [ms(f.mae_ms)], [ms(f.rmse_ms)]
    if intervals:
        mae.append(f"[{ms(f.mae_lo_ms)}, {ms(f.mae_hi_ms)}]")
        rmse.append(f"[{ms(f.rmse_lo_ms)}, {ms(f.rmse_hi_ms)}]")
    return [*mae, *rmse, percent(f.mape_percent), percent(f.median_ape_percent)]


def percent(value: float) -> str:
    """Write a percentage.

    >>> percent(7.25), percent(821.08), percent(123456.0)
    ('7.2', '821', '1.2e+05')
    """
    if value >= 1e5:
        return f"{value:.1e}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _last(figures: Figures | None) -> str | None:
    return percent(figures.median_ape_percent) if figures else None


def _change(c: Change) -> Cells:
    interval = f"[{ms(c.mae_lo_ms, sign=True)}, {ms(c.mae_hi_ms, sign=True)}]"
    return [ms(c.mae_ms, sign=True), interval, f"{c.mape_percent:+.1f}"]
