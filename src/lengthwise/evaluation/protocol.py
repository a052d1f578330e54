"""Evaluate formulations: fit on the training part of fixed splits, predict the held-out part.

The truth of a point is the median over its repeats (or every row, with ``per_row``). With
``length`` and ``batch`` the short part of all deployments is fitted together and the long part of
each is tested; with ``random`` part of every deployment is held out at the same time; with
``deployment`` and ``hardware`` everything measured elsewhere is the training. An estimator never
sees the times of the points it is asked. What cannot be fitted or predicted becomes a failure with
its reason.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from lengthwise.calibration.groups import step_rows
from lengthwise.data.splits import (
    Splits,
    batch_split,
    deployment_split,
    hardware_split,
    length_split,
    random_split,
)
from lengthwise.data.table import load
from lengthwise.errors import InputError, LengthwiseError, NothingUsableError
from lengthwise.evaluation.estimator import Estimator, Make, check_names, law_set
from lengthwise.evaluation.held_out import HeldOut, Job, jobs_of, noise_of
from lengthwise.evaluation.result import EvaluationResult, Failure
from lengthwise.units import FloatArray

SplitName = Literal["length", "random", "batch", "deployment", "hardware"]
Progress = Callable[[str, int, int], None]
"""Called with the formulation at work, fits done and fits in all."""


def evaluate(
    table: pd.DataFrame | str | Path,
    *,
    split: SplitName = "length",
    factor: float = 4,
    formulations: Sequence[str] = ("hachiya-patias", "linear"),
    level: float = 0.9,
    make: Make | None = None,
    pooled: bool = True,
    per_row: bool = False,
    folds: int = 5,
    seed: int = 0,
    intervals: bool = True,
    progress: Progress | None = None,
) -> EvaluationResult:
    """Fit and test each formulation on the same splits.

    Parameters
    ----------
    table
        Measurement table or its path, times in milliseconds. Rows of phase ``request`` count as
        the steps they consist of.
    split
        What is held out: ``length`` or ``batch`` above max/factor, ``random`` points in range,
        a whole ``deployment`` or all of one ``hardware``.
    factor
        Extrapolation factor of ``length`` and ``batch``.
    formulations
        Names, the one of interest first.
    level
        Nominal coverage of the intervals.
    make
        Constructs an estimator from a name; the product's own law set by default.
    pooled
        Fit the groups of one fold together (``length``, ``batch``, ``random``).
    per_row
        Hold predictions against every row instead of the median of repeats.
    folds, seed
        Of the random split.
    intervals
        Whether intervals are judged too, which takes the product's laws about half of their fits.
    progress
        Called after every fit.

    Returns
    -------
    EvaluationResult
        Marked ``partial`` if it was interrupted after at least one fit.

    Raises
    ------
    InputError
        If a name, level or factor is not valid.
    NothingUsableError
        If no group can be split.
    """
    names = tuple(formulations)
    if make is None:
        check_names(names)
    if not 0 < level < 1:
        raise InputError("level must lie in (0, 1)", got=f"level={level}", remedy="write 0.9")
    steps, remarks = _step_rows(load(table))
    splits = split_table(steps, split, factor=factor, folds=folds, seed=seed)
    jobs = jobs_of(steps, splits, pooled=pooled, per_row=per_row)
    run = _Run(steps, make or partial(law_set, intervals=intervals), level if intervals else None)
    interrupted = run.all(names, jobs, progress)
    return EvaluationResult(
        split=split, factor=factor if split in ("length", "batch") else None, level=level,
        pooled=pooled, per_row=per_row, formulations=names, points=run.table(),
        expected=_expected(jobs), noise_percent=noise_of(steps, splits),
        failures=tuple(run.failures), skipped=splits.skipped,
        notes=(*remarks, *(f"{text} ({n} times)" for text, n in run.notes.items())),
        fit_s=dict(run.fit_s), partial=interrupted,
    )  # fmt: skip


def split_table(
    table: pd.DataFrame, split: str, *, factor: float = 4, folds: int = 5, seed: int = 0
) -> Splits:
    """Make the splits of a kind by name, and refuse when no group can be split."""
    if split not in get_args(SplitName):
        known = ", ".join(get_args(SplitName))
        raise InputError("split must be one of those known", got=repr(split), remedy=f"use {known}")
    makers: dict[str, Callable[[], Splits]] = {
        "length": lambda: length_split(table, factor),
        "batch": lambda: batch_split(table, factor),
        "random": lambda: random_split(table, folds=folds, seed=seed),
        "deployment": lambda: deployment_split(table),
        "hardware": lambda: hardware_split(table),
    }
    splits = makers[split]()
    if not len(splits):
        why = "; ".join(sorted({s.reason for s in splits.skipped})) or "no usable row"
        raise NothingUsableError(
            f"at least one group must have rows to train on and rows to test ({split} split)",
            got=why, remedy="measure more points, or choose another split or a smaller factor",
        )  # fmt: skip
    return splits


@dataclass
class _Run:
    """The fits of one evaluation and what came out so far."""

    steps: pd.DataFrame
    make: Make
    level: float | None
    parts: list[pd.DataFrame] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    fit_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def all(self, names: tuple[str, ...], jobs: list[Job], progress: Progress | None) -> bool:
        """Run every job for every formulation; True if interrupted with something in hand."""
        done, total = 0, len(names) * len(jobs)
        try:
            for name in names:
                for job in jobs:
                    self._job(name, job)
                    done += 1
                    if progress:
                        progress(name, done, total)
        except KeyboardInterrupt:
            if not self.parts:
                raise
            return True
        return False

    def table(self) -> pd.DataFrame:
        """Predictions of all points so far."""
        columns = ["formulation", "fold", "group", "phase", "length", "batch", "repeats",
                   "actual_ms", "predicted_ms", "lo_ms", "hi_ms"]  # fmt: skip
        if not self.parts:
            return pd.DataFrame(columns=columns)
        return pd.concat(self.parts, ignore_index=True)[columns]

    def _job(self, name: str, job: Job) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            law, error = self._fit(name, job)
            if law is not None:
                for test in job.tests:
                    self._test(name, law, test)
        self.notes.update(f"{name}: {w.message}" for w in caught)
        if error is not None and job.apart:
            self.notes[f"{name}: groups were fitted one by one, for together {error}"] += 1
            for part in job.apart:
                self._job(name, part)
        elif error is not None:
            self.failures += [Failure(name, t.fold, t.group, "fit", error) for t in job.tests]

    def _fit(self, name: str, job: Job) -> tuple[Estimator | None, str | None]:
        start = time.process_time()
        try:
            return self.make(name).fit(self.steps.iloc[job.train].reset_index(drop=True)), None
        except Exception as error:
            return None, _text(error)
        finally:
            self.fit_s[name] += time.process_time() - start

    def _test(self, name: str, law: Estimator, test: HeldOut) -> None:
        try:
            predicted = _checked(law.predict(test.asked.copy()), (len(test.asked),))
        except Exception as error:
            self.failures.append(Failure(name, test.fold, test.group, "predict", _text(error)))
            return
        band = self._band(name, law, test)
        self.parts.append(
            test.truth.assign(
                formulation=name, predicted_ms=predicted, lo_ms=band[:, 0], hi_ms=band[:, 1]
            )
        )

    def _band(self, name: str, law: Estimator, test: HeldOut) -> FloatArray:
        if self.level is not None:
            try:
                interval = law.predict_interval(test.asked.copy(), self.level)
                return _checked(interval, (len(test.asked), 2))
            except Exception as error:
                self.failures.append(Failure(name, test.fold, test.group, "interval", _text(error)))
        return np.full((len(test.asked), 2), np.nan)


def _step_rows(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    requests = int((table["phase"] == "request").sum())
    if not requests:
        return table, ()
    note = f"{requests} request rows were evaluated as their prefill and mean decode step"
    return step_rows(table).reset_index(drop=True), (note,)


def _expected(jobs: list[Job]) -> dict[str, int]:
    count: Counter[str] = Counter()
    for job in jobs:
        for test in job.tests:
            count[test.group] += len(test.truth)
    return dict(sorted(count.items()))


def _checked(values: object, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(values, dtype=float)
    if array.shape != shape:
        raise ValueError(f"predictions have shape {array.shape}, expected {shape}")
    if np.isnan(array).any() or (len(shape) == 1 and not np.isfinite(array).all()):
        raise ValueError("predictions are not finite")
    return array


def _text(error: Exception) -> str:
    """Say why in one line; the remedy of an error belongs to who made the mistake."""
    if isinstance(error, LengthwiseError):
        return error.finding
    return f"{type(error).__name__}: {error}"
