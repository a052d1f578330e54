"""One structure that the caller chose, where nothing is left to average over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from lengthwise.domain.model import ModelSpec
from lengthwise.domain.work import Work, thinned
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.units import FloatArray

AVERAGED = {
    "e1": ("auto", "quadratic", "off"),
    "e2": ("auto", "floor", "off"),
    "e3": ("auto", "residual", "off", "offset"),
}
"""Kinds that the average knows; any other is fitted alone."""
REST = {"e1": "quadratic", "e2": "floor", "e3": "off"}
"""What a term left to us is then."""
MOST_POINTS = 400


@dataclass(frozen=True)
class Single:
    """A fit of one structure."""

    law: HachiyaPatias

    def again(self, work: Work, y_s: FloatArray) -> Self:
        """Fit the same structure on other points."""
        return type(self)(self.law.refit(work, y_s))


def is_averaged(kinds: dict[str, str]) -> bool:
    """Tell whether the kinds asked for are among those averaged over.

    >>> is_averaged({"e1": "auto", "e2": "spline", "e3": "auto"})
    False
    """
    return all(kinds[term] in known for term, known in AVERAGED.items())


def single(work: Work, y_s: FloatArray, spec: ModelSpec | None, kinds: dict[str, str]) -> Single:
    """Fit one structure; what was left to us is quadratic in length with a floor.

    Parameters
    ----------
    work, y_s
        Distinct points and their times, seconds.
    spec
        Architecture of the model, when known.
    kinds
        Kind of e1, e2 and e3, ``auto`` for ours.
    """
    chosen = {t: REST[t] if k in ("auto", "offset") else k for t, k in kinds.items()}
    law = HachiyaPatias(chosen["e1"], chosen["e2"], chosen["e3"], spec=spec)
    some = thinned(work, MOST_POINTS)
    law.fit_work(work.take(some), y_s[some])
    return Single(law.refit(work, y_s) if len(some) < len(work) else law)
