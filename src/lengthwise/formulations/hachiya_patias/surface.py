r"""The residual of E3: a smooth surface over tokens and context, tabulated or learned.

The discrepancy of an averaged law is known everywhere: it is tabulated over the measured ranges and
its rim holds beyond. Of a single structure the surface is a Gaussian process on the log-residuals
of the base, over ln T and ln c together. Its covariance is the mean of two squared exponentials, of
length scale 0.5 (0.7 doublings) and 1, sd 0.1; its noise is that of the law. It reaches zero
``FADE`` away from the data. Either is kept as an even grid and read by bilinear interpolation, so
that an answer costs four look-ups whatever the number of measurements.

Monotone by construction at the nodes: where the surface would let a longer prompt, a larger batch
or a longer context cost less, it is replaced by the mean of the least monotone surface above it and
the greatest below (Mukerjee 1988 smooths and makes monotone in this order). Where the base is flat,
that may leave a constant beyond the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.units import FloatArray

SCALES = (0.5, 1.0)
AMPLITUDE = 0.1
FADE = 3.0
"""Distance in ln T or ln c from the data at which nothing is left."""
STEP = 0.25
KEEP = 0.8
"""The surface takes back at most this part of the growth of the base."""

Base = Callable[[Work], FloatArray]


@dataclass(frozen=True, eq=False)
class Surface:
    """Log-correction on a grid, even in both logarithms.

    Attributes
    ----------
    tokens_from, context_from
        ln of the new tokens (of the context) at the first node.
    step
        Distance of the nodes.
    delta
        Log-correction at the nodes, shape (m, n): tokens down, context across;
        the rim holds beyond it.
    """

    tokens_from: float
    context_from: float
    step: float
    delta: FloatArray

    def read(self, tokens: FloatArray, context: FloatArray) -> FloatArray:
        """Interpolate between the four nodes around each point; outside the grid the rim counts.

        Parameters
        ----------
        tokens, context
            New tokens and context length, shape (n,), tokens.

        Examples
        --------
        >>> surface = Surface(0.0, 0.0, 1.0, np.array([[0.0, 0.0], [0.0, 0.1]]))
        >>> float(surface.read(np.exp([0.5]), np.exp([0.5]))[0].round(6))
        0.025
        """
        i, x = self._place(tokens, self.tokens_from, self.delta.shape[0])
        j, y = self._place(context, self.context_from, self.delta.shape[1])
        width = self.delta.shape[1]
        flat, corner = self.delta.ravel(), i * width
        corner += j
        low, high = flat.take(corner), flat.take(corner + width)
        corner += 1
        low += y * (flat.take(corner) - low)
        corner += width
        high += y * (flat.take(corner) - high)
        high -= low
        high *= x
        high += low
        return np.asarray(high)

    def _place(self, value: FloatArray, start: float, nodes: int) -> tuple[FloatArray, FloatArray]:
        """Find the node before each value and the share of the way to the next one."""
        u = np.log(value)
        u -= start
        u /= self.step
        np.clip(u, 0.0, nodes - 1.0, out=u)
        left = np.minimum(u.astype(np.intp), nodes - 2)
        u -= left
        return left, u

    def scaled(self, factor: float) -> Surface:
        """Give the same surface with every delta multiplied by ``factor``."""
        return Surface(self.tokens_from, self.context_from, self.step, factor * self.delta)


def fit_surface(work: Work, y_s: FloatArray, base: Base, sigma: float, cap: float) -> Surface:
    """Fit the surface to what ``base`` leaves over.

    Parameters
    ----------
    work, y_s
        Training steps and times, seconds.
    base
        The law without correction.
    sigma
        Relative noise of one observation.
    cap
        Greatest absolute log-correction.
    """
    at = (np.log(work.new_tokens), np.log(work.context_len))
    residual = np.clip(np.log(y_s) - np.log(base(work)), -cap, cap)
    noise = sigma**2 * np.eye(len(work))
    weights = np.linalg.solve(_covariance(at, at) + noise, residual)
    tokens, context = (_nodes(u, FADE) for u in at)
    delta = sum(
        _bell(tokens, at[0], scale) @ (weights[:, None] * _bell(at[1], context, scale))
        for scale in SCALES
    )
    delta = np.clip(AMPLITUDE**2 / len(SCALES) * np.asarray(delta), -cap, cap)
    for rim in (delta, delta.T):
        rim[[0, -1]] = 0.0
    surface = _surface(work, tokens, context, delta, base)
    return replace(surface, delta=np.clip(surface.delta, -cap, cap))


def tabulate(work: Work, delta: Base, base: Base, cap: float) -> Surface:
    """Tabulate a correction that is known everywhere over the measured ranges.

    Its rim holds beyond them.

    Parameters
    ----------
    work
        Training steps.
    delta
        Log-correction at any steps.
    base, cap
        As for :func:`fit_surface`.
    """
    tokens, context = (_nodes(np.log(a), 0.0) for a in (work.new_tokens, work.context_len))
    grid = _grid(work.phase, tokens, context)
    value = np.clip(delta(grid), -cap, cap).reshape(len(tokens), len(context))
    return _surface(work, tokens, context, value, base)


def _surface(
    work: Work, tokens: FloatArray, context: FloatArray, delta: FloatArray, base: Base
) -> Surface:  # fmt: skip
    """Make the corrected law monotone: the surface may fall by what the base surely grows."""
    ground = KEEP * (_growth_in_tokens(work, tokens, base)[:, None]
                     + _growth_in_context(work, context, base)[None, :])  # fmt: skip
    delta = _monotone(delta + ground, _allowed(work.phase, tokens, context)) - ground
    return Surface(float(tokens[0]), float(context[0]), STEP, delta)


def _growth_in_tokens(work: Work, tokens: FloatArray, base: Base) -> FloatArray:
    """Least growth of ln ``base`` with the tokens of a step, summed up from the first node on.

    Attention and the cache only add growth, sequences only add what does not grow: without the
    former and with as many sequences as tokens the local exponent is the least there is. It grows
    from node to node, so that of the interval before holds between two nodes.
    """
    t = np.exp(np.concatenate([[tokens[0] - STEP], tokens]) - STEP)
    one, every = np.ones_like(t), t
    if work.phase == "decode":
        one = t
    alone, most = (_bare(work, b, t, base) for b in (one, every))
    return _summed(np.diff(alone) / most[1:])


def _growth_in_context(work: Work, context: FloatArray, base: Base) -> FloatArray:
    """Least growth of ln ``base`` with the context, at the fewest tokens measured."""
    c = np.exp(np.concatenate([[context[0] - STEP], context]) - STEP)
    t = np.full_like(c, work.new_tokens.min())
    batch = t if work.phase == "decode" else np.ones_like(c)
    with_pairs = base(Work(work.phase, batch, t, t * c, batch * c, c, c))
    bare = _bare(work, batch, t, base)
    extra = with_pairs - bare
    return _summed(np.diff(extra) / (_bare(work, t, t, base) + extra)[1:])


def _bare(work: Work, sequences: FloatArray, tokens: FloatArray, base: Base) -> FloatArray:
    """Time of steps without attention and cache, seconds."""
    none = np.zeros_like(tokens)
    return base(Work(work.phase, sequences, tokens, none, none, tokens, np.ones_like(tokens)))


def _summed(growth: FloatArray) -> FloatArray:
    """Log-growth up to each node; ``growth`` is relative to the upper end of its interval."""
    steps = -np.log1p(-np.clip(growth, 0.0, 0.99))
    return np.concatenate([[0.0], np.cumsum(steps)])[:-1]


def _covariance(a: tuple[FloatArray, FloatArray], b: tuple[FloatArray, FloatArray]) -> FloatArray:
    parts = [_bell(a[0], b[0], scale) * _bell(a[1], b[1], scale) for scale in SCALES]
    return np.asarray(AMPLITUDE**2 / len(SCALES) * sum(parts))


def _bell(a: FloatArray, b: FloatArray, scale: float) -> FloatArray:
    return np.asarray(np.exp(-0.5 * ((a[:, None] - b[None, :]) / scale) ** 2))


def _nodes(u: FloatArray, beyond: float) -> FloatArray:
    """Even nodes over the data and ``beyond``, on whole multiples of the step for both axes."""
    first, last = np.floor((u.min() - beyond) / STEP), np.ceil((u.max() + beyond) / STEP)
    return np.asarray(STEP * np.arange(first, max(last, first + 1.0) + 1.0))


def _grid(phase: str, tokens: FloatArray, context: FloatArray) -> Work:
    """Describe steps at the nodes: whole prompts where tokens allow, chunks elsewhere."""
    t, c = (np.exp(g).ravel() for g in np.meshgrid(tokens, context, indexing="ij"))
    if phase == "decode":
        return Work.of(phase, query_len=1.0, context_len=c, batch_size=t)
    query = np.minimum(t, c)
    return Work.of(phase, query_len=query, context_len=c, batch_size=t / query)


def _allowed(phase: str, tokens: FloatArray, context: FloatArray) -> FloatArray:
    """Mark nodes where a longer context at the same tokens means more work, not fewer prompts."""
    if phase == "decode":
        return np.ones((len(tokens), len(context)), dtype=bool)
    return np.asarray(tokens[:, None] < context[None, :])


def _monotone(value: FloatArray, along: FloatArray) -> FloatArray:
    """Average the monotone surfaces just above and just below ``value``.

    Time may not fall with more tokens at one context (a larger batch), with both together (a longer
    prompt) and, where ``along``, with a longer context at the same tokens.
    """
    above = _envelope(value, along)
    turned = np.zeros_like(along)
    turned[:, :-1] = along[:, 1:]  # the step from j to j + 1 is allowed by node j + 1
    below = -_envelope(-value[::-1, ::-1], turned[::-1, ::-1])[::-1, ::-1]
    return np.asarray(0.5 * (above + below))


def _envelope(value: FloatArray, along: FloatArray) -> FloatArray:
    """Least surface above ``value`` that never falls in the directions of time."""
    out = value.copy()
    for i in range(len(out)):
        if i:
            np.maximum(out[i], out[i - 1], out=out[i])
            np.maximum(out[i, 1:], out[i - 1, :-1], out=out[i, 1:])
        chained = np.flatnonzero(along[i])
        if len(chained):
            first = max(chained[0] - 1, 0)
            out[i, first:] = np.maximum.accumulate(out[i, first:])
    return out
