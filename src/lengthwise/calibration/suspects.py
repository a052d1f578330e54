"""Measured points that a fit takes for spoilt, each with what the other points say of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.calibration.average import Fitted
from lengthwise.calibration.spoilt import NAMED
from lengthwise.domain.work import Work
from lengthwise.formulations.hachiya_patias.members import Members
from lengthwise.units import FloatArray, s_to_ms

FIELDS = ("sequences", "new_tokens", "attention_pairs", "kv_tokens", "context_len")
"""What tells points of one group apart."""


@dataclass(frozen=True)
class Suspect:
    """One point that counts for little.

    Attributes
    ----------
    position
        Its place among the points of its group by length, from 0.
    isl, query_len, context_len, batch_size
        The point as a table names it; ``isl`` and ``query_len`` are None where a phase has none.
    measured_ms, expected_ms
        Its time, and what a fit to the points that are not named says.
    probability
        To be spoilt, by all members of the average.
    """

    position: int
    isl: float | None
    query_len: float | None
    context_len: float
    batch_size: float
    measured_ms: float
    expected_ms: float
    probability: float

    @property
    def is_slow(self) -> bool:
        """Whether it took longer than expected, as a cold machine does."""
        return self.measured_ms > self.expected_ms


def suspects_of(fit: Fitted, work: Work, y_s: FloatArray) -> tuple[Suspect, ...]:
    """Name the points of a group that its fit takes for spoilt, in their order by length.

    Parameters
    ----------
    fit
        Fitted to the group; its members may hold a part of the points only.
    work, y_s
        All distinct points of the group and their times, seconds.

    Examples
    --------
    >>> from lengthwise.calibration.average import Knowledge, average
    >>> from lengthwise.calibration.learned import learned
    >>> n = np.array([256.0, 512.0, 1024.0, 2048.0, 4096.0])
    >>> work = Work.of("prefill", query_len=n, context_len=n)
    >>> y_s = 1e-4 * n * np.array([1.0, 3.0, 1.0, 1.0, 1.0])
    >>> fit = average(work, y_s, Knowledge(learned()["prompt"]))
    >>> [s.position for s in suspects_of(fit, work, y_s)]
    [1]
    """
    members = fit.members
    doubted = members.spoilt > NAMED
    if not doubted.any():
        return ()
    index = np.array([_position(members, j, work, y_s) for j in np.flatnonzero(doubted).tolist()])
    probability = members.spoilt[doubted]
    rest = np.setdiff1d(np.arange(len(work)), index)
    law = fit.again(work.take(rest), y_s[rest]).law
    expected = law.predict_work(work.take(index))
    place = np.argsort(np.argsort(work.length, kind="stable"), kind="stable")
    found = [
        _suspect(work.take([i]), int(place[i]), float(y_s[i]), float(t), float(p))
        for i, t, p in zip(index, expected, probability, strict=True)
    ]
    return tuple(sorted(found, key=lambda s: s.position))


def _suspect(
    point: Work, position: int, measured_s: float, expected_s: float, probability: float
) -> Suspect:
    prefill = point.phase == "prefill"
    sequences = float(point.sequences[0])
    return Suspect(
        position,
        float(point.isl[0]) if prefill else None,
        float(point.new_tokens[0]) / sequences if prefill else None,
        float(point.context_len[0]), sequences,
        float(s_to_ms(measured_s)), float(s_to_ms(expected_s)), probability,
    )  # fmt: skip


def _position(members: Members, j: int, work: Work, y_s: FloatArray) -> int:
    """Find the point j of the members among those of their group."""
    same = [getattr(work, name) == getattr(members.work, name)[j] for name in FIELDS]
    apart = np.where(np.all(same, axis=0), np.abs(np.log(y_s) - members.log_y[j]), np.inf)
    return int(np.argmin(apart))
