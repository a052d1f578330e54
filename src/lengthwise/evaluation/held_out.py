"""Held-out points: what is asked of a law in a test, and the truth to hold against its answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lengthwise.data.points import batch_of, column_text, group_of, length_of, point_of
from lengthwise.data.schema import TIMES
from lengthwise.data.splits import IntArray, Split, Splits
from lengthwise.evaluation.scores import noise_floor


@dataclass(frozen=True)
class HeldOut:
    """The test points of one group in one split.

    Attributes
    ----------
    fold
        Name of the split.
    group
        Deployment and phase.
    asked
        Points without times, as an estimator gets them, shape (n, columns).
    truth
        Columns ``fold``, ``group``, ``phase``, ``length``, ``batch``, ``repeats`` and
        ``actual_ms``, shape (n, 7).
    """

    fold: str
    group: str
    asked: pd.DataFrame
    truth: pd.DataFrame


@dataclass(frozen=True)
class Job:
    """One fit and the points it is tested on.

    Attributes
    ----------
    fold
        Name of the split.
    train
        Positions of rows, shape (n,).
    tests
        What it is asked.
    apart
        The same as one fit per group, for an estimator that cannot fit all at once; empty where
        a test needs the other groups.
    """

    fold: str
    train: IntArray
    tests: tuple[HeldOut, ...]
    apart: tuple[Job, ...] = ()


def jobs_of(table: pd.DataFrame, splits: Splits, *, pooled: bool, per_row: bool) -> list[Job]:
    """Turn splits into fits.

    Parameters
    ----------
    table
        Measurement table, step phases only.
    splits
        Splits of that table.
    pooled
        Fit all splits of one name together, so that deployments can borrow from one another;
        otherwise each group is fitted alone.
    per_row
        Test every row; otherwise the median over the repeats of each point is the truth.
    """
    group, point = group_of(table).to_numpy(object), point_of(table)
    folds: dict[str, list[Job]] = {}
    for split in splits:
        tests = []
        for name in sorted(set(group[split.test])):
            rows = split.test[group[split.test] == name]
            tests.append(_held_out(table, split, str(name), rows, None if per_row else point[rows]))
        folds.setdefault(split.name, []).append(Job(split.name, split.train, tuple(tests)))
    if not pooled:
        return [job for jobs in folds.values() for job in jobs]
    return [_together(jobs) for jobs in folds.values()]


def _together(jobs: list[Job]) -> Job:
    if len(jobs) == 1:
        return jobs[0]
    train = np.unique(np.concatenate([job.train for job in jobs]))
    tests = tuple(test for job in jobs for test in job.tests)
    return Job(jobs[0].fold, train, tests, apart=tuple(jobs))


def noise_of(table: pd.DataFrame, splits: Splits) -> dict[str, float]:
    """Noise floor of the test rows of each group, percent; NaN where nothing was repeated."""
    rows = np.unique(np.concatenate([split.test for split in splits]))
    group, point = group_of(table).to_numpy(object)[rows], point_of(table)[rows]
    time = table["latency_ms"].to_numpy(float)[rows]
    return {g: noise_floor(time[group == g], point[group == g]) for g in sorted(set(group))}


def _held_out(
    table: pd.DataFrame, split: Split, group: str, rows: IntArray, point: IntArray | None
) -> HeldOut:
    number = np.arange(len(rows)) if point is None else point
    _, first, index = np.unique(number, return_index=True, return_inverse=True)
    time = table["latency_ms"].to_numpy(float)[rows]
    at = table.iloc[rows[first]].reset_index(drop=True)
    truth = pd.DataFrame(
        {
            "fold": split.name,
            "group": group,
            "phase": column_text(at, "phase"),
            "length": length_of(at),
            "batch": batch_of(at),
            "repeats": np.bincount(index),
            "actual_ms": pd.Series(time).groupby(index).median().to_numpy(),
        }
    )
    return HeldOut(split.name, group, at.drop(columns=[c for c in TIMES if c in at]), truth)
