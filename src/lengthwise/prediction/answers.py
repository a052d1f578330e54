"""The columns of an answer, filled part by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.domain.work import Work
from lengthwise.prediction.coefficients import provenance_of
from lengthwise.units import FloatArray, s_to_ms

REGIMES = ("overhead", "memory", "compute", "capacity")
WIDEST = 100.0
FLAGS = ("in_domain", "extrapolation_factor", "regime", "provenance")


@dataclass(frozen=True)
class StepAnswer:
    """Answer for n steps of one law; times in seconds, arrays of shape (n,)."""

    time_s: FloatArray
    half_width: FloatArray
    in_domain: npt.NDArray[np.bool_]
    factor: FloatArray
    regime: FloatArray
    provenance: str

    @classmethod
    def of(cls, laws: LawSet, law: PhaseLaw, work: Work, level: float) -> StepAnswer:
        """Predict steps with everything there is to say about them.

        A deployment nobody measured has no domain: nothing of it is inside.
        """
        seconds = law.law.predict_work(work)
        measured = law.n_points > 0
        inside = np.asarray(law.domain.contains(work), dtype=bool) & measured
        relatives = sum(p == law.phase and not one.load for (_, p), one in laws.laws_.items())
        return cls(
            seconds, laws.half_width(law, work, level), inside, law.domain.factor(work),
            law.regime(work, seconds), provenance_of(law, relatives),
        )  # fmt: skip

    @property
    def ratio(self) -> FloatArray:
        """Upper end of the interval over the time, shape (n,); at most e^100, not to overflow."""
        return np.asarray(np.exp(np.minimum(self.half_width, WIDEST)))

    @property
    def low_s(self) -> FloatArray:
        """Lower end of the interval, shape (n,), seconds."""
        return np.asarray(self.time_s / self.ratio)

    @property
    def high_s(self) -> FloatArray:
        """Upper end of the interval, shape (n,), seconds."""
        return np.asarray(self.time_s * self.ratio)


class AnswerTable:
    """Columns of n rows that parts of a table are written into."""

    def __init__(self, n: int, times: tuple[str, ...]) -> None:
        self.n, self.columns = n, {name: np.full(n, np.nan) for name in times}
        self.in_domain = np.zeros(n, dtype=bool)
        self.factor = np.full(n, np.nan)
        self.regime = np.full(n, -1, dtype=np.int8)
        self.source = np.full(n, -1, dtype=np.int32)
        self._sources: list[str] = []

    def write(self, index: Any, times_s: dict[str, FloatArray]) -> None:
        """Write times, given in seconds, as milliseconds."""
        for name, values in times_s.items():
            self.columns[name][index] = s_to_ms(values)

    def write_flags(
        self, index: Any, inside: Any, factor: Any, regime: Any, provenance: str
    ) -> None:
        """Write what is said about the points beside their times."""
        self.in_domain[index], self.factor[index] = inside, factor
        codes = np.full(len(regime), -1, dtype=np.int8)
        for code, name in enumerate(REGIMES):
            codes[np.asarray(regime) == name] = code
        self.regime[index] = codes
        self.write_source(index, provenance)

    def write_source(self, index: Any, provenance: str) -> None:
        """Write where the answers of some points come from."""
        if provenance not in self._sources:
            self._sources.append(provenance)
        self.source[index] = self._sources.index(provenance)

    def attach(self, points: pd.DataFrame) -> pd.DataFrame:
        """Append the columns; measured times of the same name move to ``measured_*``."""
        new: dict[str, Any] = {
            **self.columns, "in_domain": self.in_domain, "extrapolation_factor": self.factor,
            "regime": pd.Categorical.from_codes(self.regime, categories=pd.Index(REGIMES)),
            "provenance": pd.Categorical.from_codes(
                self.source, categories=pd.Index(self._sources, dtype=object)
            ),
        }  # fmt: skip
        taken = {name: f"measured_{name}" for name in points if name in new}
        return points.rename(columns=taken).assign(**new)
