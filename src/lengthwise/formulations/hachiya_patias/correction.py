r"""E3, the empirical correction delta: what the physics left over.

    residual   a smooth surface over tokens and context that keeps the law monotone (see surface):
               of an averaged law its discrepancy, tabulated where steps were measured, whose rim
               holds beyond; of a single structure learned from its log-residuals, zero a factor of
               twenty away from the data
    isotonic   a monotone map of the base prediction (needs 30 points), constant ratio fading to one
               outside the data
    off        delta = 0

All keep |delta| <= ln 1.5, the discrepancy of an averaged law ln 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.domain.work import Work, thinned
from lengthwise.formulations.hachiya_patias.surface import Base, Surface, fit_surface, tabulate
from lengthwise.units import FloatArray

CAP = float(np.log(1.5))
ISOTONIC_MIN_POINTS = 30
FADE = float(np.log(4.0))
MARGIN = 1.15
MAX_POINTS = 400
WIDE_CAP = float(np.log(8.0))
NEGLIGIBLE = 0.001
"""A correction below this everywhere is left out."""


@dataclass(frozen=True, eq=False)
class Correction:
    """A correction to apply to base predictions.

    Attributes
    ----------
    kind
        ``off``, ``residual`` or ``isotonic``.
    surface
        Of ``residual``: delta over tokens and context.
    grid, delta
        Of ``isotonic``: ln of the base prediction in seconds, ascending, and delta there, both of
        shape (m,).
    """

    kind: str = "off"
    surface: Surface | None = None
    grid: FloatArray | None = None
    delta: FloatArray | None = None

    @property
    def is_identity(self) -> bool:
        """Whether there is nothing to apply."""
        return self.surface is None and self.grid is None

    def apply(self, work: Work, base: FloatArray) -> FloatArray:
        """Correct base predictions, shape (n,), seconds."""
        if self.surface is not None:
            factor = self.surface.read(work.new_tokens, work.context_len)
        elif self.grid is not None and self.delta is not None:
            factor = np.interp(np.log(base), self.grid, self.delta)
        else:
            return base
        np.exp(factor, out=factor)
        factor *= base
        return factor


def fit(kind: str, work: Work, y_s: FloatArray, base: Base, sigma: float) -> Correction:
    """Fit a correction of ``kind`` on the residuals of ``base``.

    Parameters
    ----------
    work, y_s
        Training steps and times, seconds.
    base
        The fitted law without correction.
    sigma
        Relative noise of one observation.
    """
    if kind == "residual":
        some = thinned(work, MAX_POINTS)  # the cost of a Gaussian process is cubic
        return _residual(work.take(some), y_s[some], base, sigma)
    if kind == "isotonic" and len(work) >= ISOTONIC_MIN_POINTS:
        return _isotonic(work, y_s, base)
    return Correction()


def krige(work: Work, delta: Base, base: Base) -> Correction:
    """Tabulate a correction that is known everywhere, as long as it matters and stays monotone.

    Parameters
    ----------
    work
        Steps that were measured.
    delta
        The correction in ln t at any steps.
    base
        The law without correction.
    """
    if np.abs(delta(work)).max() < NEGLIGIBLE:
        return Correction()
    return _tame(tabulate(work, delta, base, WIDE_CAP), work, base)


def _residual(work: Work, y_s: FloatArray, base: Base, sigma: float) -> Correction:
    return _tame(fit_surface(work, y_s, base, sigma, CAP), work, base)


def _tame(surface: Surface, work: Work, base: Base) -> Correction:
    """Shrink a surface until the corrected law is monotone."""
    for amplitude in (1.0, 0.5, 0.25, 0.125):
        if _is_monotone(surface.scaled(amplitude * MARGIN), work, base):
            return Correction("residual", surface.scaled(amplitude))
    return Correction()


def _is_monotone(surface: Surface, work: Work, base: Base) -> bool:
    """Check that length and batch never shorten a step, between the nodes too and far beyond them.

    The surface is to be given enlarged by ``MARGIN``, which leaves room between the points checked.
    """
    correction = Correction("residual", surface)
    longest = float(work.context_len.max()) * 16
    lengths = np.unique(np.concatenate([np.geomspace(1, longest, 600), work.context_len]))
    largest = float(work.sequences.max())
    batches = np.unique(np.concatenate([np.geomspace(1, largest * 4, 48), [1.0, largest]]))
    for c, b, axis in (
        (*np.meshgrid(lengths, [1.0, np.sqrt(largest), largest], indexing="ij"), 0),
        (*np.meshgrid(np.geomspace(1, longest, 24), batches, indexing="ij"), 1),
    ):
        query = c if work.phase == "prefill" else np.ones_like(c)
        grid = Work.of(
            work.phase, query_len=query.ravel(), context_len=c.ravel(), batch_size=b.ravel()
        )
        time = correction.apply(grid, base(grid)).reshape(c.shape)
        if (np.diff(time, axis=axis) < 0).any():
            return False
    return True


def _isotonic(work: Work, y_s: FloatArray, base: Base) -> Correction:
    from sklearn.isotonic import IsotonicRegression

    predicted = np.log(base(work))
    order = np.argsort(predicted)
    u = predicted[order]
    mapped = IsotonicRegression().fit_transform(u, np.log(y_s)[order])
    grid, first = np.unique(u, return_index=True)
    if len(grid) < 2:
        return Correction()
    delta = np.clip(mapped[first] - grid, -CAP, CAP)
    grid = np.concatenate([[grid[0] - FADE], grid, [grid[-1] + FADE]])
    return Correction("isotonic", None, grid, np.concatenate([[0.0], delta, [0.0]]))
