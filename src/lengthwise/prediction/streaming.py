"""Predict a table of any size in bounded memory: read a piece, answer it, write it.

Every row of the source is in the target. A row that cannot be predicted has empty predictions and
says why in the column ``problem``; the report counts them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.calibration.intervals import check_level
from lengthwise.data.identity import deployment_of
from lengthwise.data.table import iter_tables
from lengthwise.errors import LengthwiseError
from lengthwise.prediction.answering import REQUEST_TIMES, STEP_TIMES, Answering
from lengthwise.prediction.answers import FLAGS
from lengthwise.prediction.latency_law import LatencyLaw
from lengthwise.prediction.points import implied_phase, points_of
from lengthwise.prediction.problems import Problems, check_steps, check_values
from lengthwise.prediction.table_writer import open_writer

ROWS = 200_000
"""Rows per piece: some hundred megabytes with all columns of an answer."""


@dataclass(frozen=True)
class StreamReport:
    """Account of a streamed prediction.

    Attributes
    ----------
    rows, predicted
        Rows read (and written), and rows with a prediction.
    problems
        Rows without one, by reason.
    """

    rows: int
    predicted: int
    problems: dict[str, int]


def predict_file(
    law: LatencyLaw, source: str | Path, target: str | Path, *, level: float = 0.9,
    defaults: dict[str, Any] | None = None, rows: int = ROWS,
    progress: Callable[[int], None] | None = None,
) -> StreamReport:  # fmt: skip
    """Append predictions to the rows of a table file.

    Parameters
    ----------
    law
        A fitted law.
    source, target
        Tables: .csv, .tsv, .parquet or .jsonl.
    level
        Coverage of the intervals.
    defaults
        Values of columns the table does not have, such as ``phase`` or ``hardware``.
    rows
        Rows held in memory at a time.
    progress
        Called with the number of rows done.
    """
    check_level(level)
    counts: Counter[str] = Counter()
    done = 0
    with open_writer(Path(source), Path(target)) as write:
        for piece in iter_tables(source, rows):
            answered, problems = predict_piece(law, piece, level, defaults or {})
            write(answered)
            counts.update(problems.counts())
            done += len(piece)
            if progress:
                progress(done)
    return StreamReport(done, done - sum(counts.values()), dict(counts))


def predict_piece(
    law: LatencyLaw, piece: pd.DataFrame, level: float, defaults: dict[str, Any]
) -> tuple[pd.DataFrame, Problems]:
    """Answer one piece: its rows with predictions, flags and ``problem``."""
    piece = piece.reset_index(drop=True)
    missing = {name: value for name, value in defaults.items() if name not in piece}
    asked = piece.assign(**missing)
    laws = law.law_set_.laws_
    if "phase" not in asked:
        asked = asked.assign(phase=implied_phase(asked, {phase for _, phase in laws}))
    problems, numbers = check_values(asked)
    check_steps(problems, numbers, min(one.domain.chunk or math.inf for one in laws.values()))
    answers = _answer(law, numbers, level, problems)
    limit = law.max_extrapolation
    if limit is not None:
        _blank_beyond(answers, limit, problems)
    taken = {name: f"measured_{name}" for name in piece if name in answers}
    answers["problem"] = pd.Series(problems.column())
    return piece.rename(columns=taken).assign(**answers), problems


def _answer(
    law: LatencyLaw, points: pd.DataFrame, level: float, problems: Problems
) -> dict[str, pd.Series]:
    """Answer the good rows, one deployment and phase after the other."""
    names = (*STEP_TIMES, *(REQUEST_TIMES if "osl" in points else ()))
    good = np.flatnonzero(problems.good)
    known = points_of(points.iloc[good], set()) if len(good) else points.iloc[:0]
    parts = []
    answering = Answering(law.law_set_, None, level)
    for index in _groups(known):
        part = known if len(index) == len(known) else known.iloc[index]
        try:
            answer = answering.table(part)
        except LengthwiseError as error:
            failed = np.zeros(len(points), dtype=bool)
            failed[good[index]] = True
            problems.add(failed, str(error))
            continue
        answer.index = pd.Index(good[index])
        parts.append(answer[[c for c in (*names, *FLAGS) if c in answer]])
    joined = parts[0] if len(parts) == 1 else _joined(parts)
    return _columns(joined.reindex(range(len(points))), names)


def _groups(points: pd.DataFrame) -> list[np.ndarray]:
    if not len(points):
        return []
    phase = pd.factorize(points["phase"])[0]
    keys = deployment_of(points).cat.codes.to_numpy()
    combined = phase.astype(np.int64) * (int(keys.max()) + 1) + keys
    values = np.unique(combined)
    if len(values) == 1:
        return [np.arange(len(points))]
    return [np.flatnonzero(combined == value) for value in values]


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame()
    for name in ("regime", "provenance"):  # categories differ from part to part
        merged = pd.api.types.union_categoricals([p[name] for p in parts]).categories
        parts = [p.assign(**{name: p[name].cat.set_categories(merged)}) for p in parts]
    return pd.concat(parts)


def _columns(answer: pd.DataFrame, names: tuple[str, ...]) -> dict[str, pd.Series]:
    """Give all columns an answer can have, empty ones too: pieces must be alike."""
    n = len(answer)
    found: dict[str, pd.Series] = {}
    for name in (*names, "extrapolation_factor"):
        found[name] = answer[name] if name in answer else pd.Series(np.full(n, np.nan))
    empty = pd.Series(pd.Categorical([None] * n))
    found["in_domain"] = (
        answer["in_domain"].fillna(False).astype(bool)
        if "in_domain" in answer
        else pd.Series(np.zeros(n, dtype=bool))
    )
    for name in ("regime", "provenance"):
        found[name] = answer.get(name, empty)
    return found


def _blank_beyond(answers: dict[str, pd.Series], limit: float, problems: Problems) -> None:
    """Refuse rows that are too much longer than anything measured."""
    beyond = answers["extrapolation_factor"].to_numpy() > limit
    if not beyond.any():
        return
    problems.add(
        beyond, f"over {limit:g} times the longest length measured (see --allow-extrapolation)"
    )
    for name, values in answers.items():
        if name.endswith("_ms"):
            answers[name] = values.mask(beyond)
