"""What a law was learned from, and how well it predicted points it had not seen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.data.checks import usable
from lengthwise.data.points import length_of
from lengthwise.data.schema import COLUMNS
from lengthwise.units import FloatArray


@dataclass(frozen=True)
class Training:
    """Summary of a measurement table.

    Attributes
    ----------
    rows, rows_used
        Rows of the table and those a fit could use.
    sha256
        Hash of names and values of the columns of the measurement table.
    columns
        Names of those columns.
    lengths
        Shortest and longest length by phase, tokens.
    """

    rows: int
    rows_used: int
    sha256: str
    columns: tuple[str, ...]
    lengths: dict[str, tuple[float, float]]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Training:
        """Summarise a prepared table.

        >>> from lengthwise.data.table import load
        >>> table = load(pd.DataFrame({"phase": ["prefill"], "isl": [512], "latency_ms": [20]}))
        >>> Training.of(table).lengths, Training.of(table).rows
        ({'prefill': (512.0, 512.0)}, 1)
        """
        good = usable(frame)
        length, phase = length_of(frame), frame["phase"].to_numpy()
        spans = {}
        for name in sorted(set(phase[good])):
            mine = length[good & (phase == name)]
            spans[str(name)] = (float(np.nanmin(mine)), float(np.nanmax(mine)))
        columns = tuple(sorted(c for c in frame if c in COLUMNS))
        return cls(len(frame), int(good.sum()), hash_of(frame, columns), columns, spans)


def hash_of(frame: pd.DataFrame, columns: tuple[str, ...]) -> str:
    """Hash the content of columns: the same values give the same hash, whatever file they were in.

    Numbers count as little-endian doubles, text as UTF-8; the order of rows matters.
    """
    digest = hashlib.sha256()
    for name in columns:
        digest.update(name.encode() + b"\0")
        values = frame[name]
        if COLUMNS[name].kind == "text":
            digest.update("\0".join("" if pd.isna(v) else str(v) for v in values).encode())
        else:
            digest.update(values.to_numpy(dtype="<f8", na_value=np.nan).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class HeldOutError:
    """Errors on points a fit did not see.

    Attributes
    ----------
    in_range_percent, in_range_points
        Median absolute percentage error of interleaved folds, and how many points.
    long_end_percent, long_end_points
        The same on lengths up to four times those fitted; NaN where the table is too short.
    large_batch_percent, large_batch_points
        The same on batches up to four times those fitted.
    """

    in_range_percent: float
    in_range_points: int
    long_end_percent: float
    long_end_points: int
    large_batch_percent: float
    large_batch_points: int

    @classmethod
    def of(cls, law: PhaseLaw) -> HeldOutError:
        """Summarise the held-out residuals of a law."""
        if law.held_out is None:
            return cls(float("nan"), 0, float("nan"), 0, float("nan"), 0)
        error = np.abs(np.expm1(-law.held_out.residual)) * 100.0
        reach = law.held_out.reach
        large = (reach.batch > 0.0) & (reach.length <= 0.0)
        return cls(
            *_typical(error[reach.inside]),
            *_typical(error[reach.length > 0.0]),
            *_typical(error[large]),
        )

    @property
    def worst_percent(self) -> float:
        """The larger of the errors in range and at the long end, NaN without any."""
        return float(np.fmax(self.in_range_percent, self.long_end_percent))


def _typical(error: FloatArray) -> tuple[float, int]:
    """Median, which one broken cell of a sweep cannot move, and how many points it is of."""
    return (float(np.median(error)) if len(error) else float("nan")), len(error)
