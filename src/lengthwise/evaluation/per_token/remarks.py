"""What the tables of a study mean, in sentences: leaks, first tokens, warm-up, usable features."""

from __future__ import annotations

from collections.abc import Iterator

from lengthwise.evaluation.per_token.features import SETTING_GROUPS
from lengthwise.evaluation.per_token.result import SubjectStudy
from lengthwise.evaluation.per_token.tables import ms
from lengthwise.units import counted

LAW_SEES = ("batch_size", "precision", "tp", "pp", "ep", "dp")


def remarks(study: SubjectStudy) -> list[str]:
    """Say in sentences what the tables mean and what they leave out."""
    return [
        *_events(study), *_leak(study), *_first_tokens(study), *_slow(study), *_features(study),
        *_failures(study),
    ]  # fmt: skip


def _events(study: SubjectStudy) -> Iterator[str]:
    events = study.events
    requests = int(events.frame["request_code"].nunique())
    yield f"{counted(requests, 'request')} by {events.requests_from}."
    for reason, n in events.set_aside.items():
        yield f"{counted(n, 'row')} set aside: {reason}."
    yield from (f"{note}." for note in events.notes)
    if not events.frame["warmup"].any():
        yield "No event is marked as warm-up."
    if not events.frame["first_token"].any():
        yield "There is no first token among the events (no row of output_index 0)."


def _leak(study: SubjectStudy) -> Iterator[str]:
    found = [
        (score.division, score.figures.mape_percent)
        for score in study.scores
        if (score.predictor, score.features) == ("gradient boosting", "known") and score.figures
    ]
    told = ", ".join(f"{name} {value:.1f} %" for name, value in found)
    yield (
        "The random split leaks: it tests tokens whose neighbours, of the same request, it trained "
        "on. Judge by held-out requests and lengths"
        + (f" (MAPE of gradient boosting, known: {told})." if told else ".")
    )
    for way in study.divisions:
        if way.skipped:
            yield f"Not shown, {way.title}: {way.skipped}."


def _first_tokens(study: SubjectStudy) -> Iterator[str]:
    found = study.diagnosis
    n = sum(s.n for s in found.shares)
    first = sum(s.n for s in found.shares if s.kind.startswith("first token"))
    if first:
        yield (
            f"First tokens are {100 * first / n:.1f} % of the test events and "
            f"{found.first_token_squared_percent:.1f} % of the pooled ridge's squared error; "
            f"marked warm-up (which may be first tokens) is {found.warmup_squared_percent:.1f} %."
        )
    scopes = {s.name: s.ridge for s in found.scopes}
    pooled, later = scopes["everything pooled"], scopes.get("without first tokens")
    if pooled is not None and later is not None:
        yield (
            "Fitted and tested without first tokens, the ridge's RMSE is "
            f"{ms(later.rmse_ms)} ms instead of {ms(pooled.rmse_ms)} ms."
        )
    if found.worst:
        worst = found.worst[0]
        yield (
            f"The worst event alone (row {worst.row}, {worst.kind}, {ms(worst.actual_ms)} ms) is "
            f"{worst.squared_percent:.1f} % of the squared error. In the thesis one event of "
            "about 1,551 ms would explain the RMSE."
        )


def _slow(study: SubjectStudy) -> Iterator[str]:
    slow = study.diagnosis.slow
    if slow.reason:
        yield f"Slow events were not sought: {slow.reason}"
        return
    if not slow.unmarked:
        yield "No unmarked event is slow for its phase, length and batch."
        return
    squared = study.diagnosis.slow_squared_percent
    yield (
        f"{counted(slow.unmarked, 'unmarked event')} slow for what they are (6 robust deviations, "
        f"half again at least): {slow.leading} in the opening stretch (warm-up nobody marked), "
        f"{slow.first_decode} at the first decode step of a request; {squared:.1f} % of the "
        "squared error."
    )


def _features(study: SubjectStudy) -> Iterator[str]:
    known = [p for p in study.presence if p.group.known and p.used]
    names = [p.group.name for p in known]
    if len(study.presence) > 1:
        yield f"A predictor could have, before the step: {', '.join(names)}."
    after = [p.group.name for p in study.presence if not p.group.known and p.used]
    if after:
        yield (
            f"Measured while the step ran, so no predictor has them: {', '.join(after)}. They "
            "explain times; to predict, use their value one event earlier (system before)."
        )
    unseen = [
        column for p in study.presence if p.group.name in ("batch", *SETTING_GROUPS)
        for column in p.used if column not in LAW_SEES
    ]  # fmt: skip
    if unseen:
        yield f"Our law does not know {', '.join(unseen)}, which vary here."


def _failures(study: SubjectStudy) -> Iterator[str]:
    for score in study.scores:
        if score.figures is None:
            yield f"{score.predictor} ({score.features}) failed on {score.division}: {score.reason}"
