"""Time of the routed experts of one layer on one processor.

    T = launch + tokens * row + experts * expert + moves + sum over both products of
        (Tc^s + Tm^s)^(1/s),   never below the roofline

Both products (into the experts, out of them) are grouped: each expert that got a token reads its
own weights (Tm) and pads its rows to whole tiles. As for dense products, Tc mixes the tiles with a
coarse grid of what the kernels lose at each size,

    Tc = tiles^q * (FLOPs / peak * exp(h(load, experts here, width)))^(1 - q)

where load is the mean number of tokens per expert on the busiest processor; h falls by no more
than the log of load grows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lengthwise.formulations.operators import routing
from lengthwise.formulations.operators.ceilings import Ceilings
from lengthwise.formulations.operators.log_grid import LogGrid
from lengthwise.formulations.operators.tiles import Array, p_norm, soft_ceil

ROWS = (16, 32, 64, 128, 256)
COLUMNS = (64, 128, 256)
ROW_RAMP = 0.25
ALIGNED = 16
"""Kernels want widths in multiples of this."""
GRIDS = ("losses", "reading")


@dataclass(frozen=True)
class ExpertsCoefficients:
    """What one library of kernels makes of a processor.

    Attributes
    ----------
    launch
        Seconds of routing, sorting and starting the kernels.
    compute, memory
        Fractions of the peak FLOP/s and of the bandwidth reached.
    cache
        Bandwidth of the cache that feeds the tiles, in units of the memory's.
    tile_overhead
        Seconds to start and finish one tile.
    sharpness
        Exponent s of the smooth maximum.
    wave_ramp
        Part of a wave over which a new one comes to count whole.
    row, expert
        Seconds per token, and per expert that got one.
    moves
        Passes over the routed inputs and outputs (gathering, activation, weighted sum).
    pairs
        Passes over the outputs of all pairs of token and expert, those of other processors too.
    odd_width
        Factor on both times for experts whose width here is no multiple of 16.
    quantised
        Weight q of the tiles in the arithmetic; 1 without ``losses``.
    losses, reading
        Grids over (mean load, experts here, width of one), (experts here, width): logarithms of
        the time of the arithmetic over its least, of a factor on the time to read the weights.
    """

    launch: float
    compute: float
    cache: float
    tile_overhead: float
    memory: float
    sharpness: float
    wave_ramp: float
    row: float
    moves: float
    expert: float
    pairs: float = 0.0
    odd_width: float = 1.0
    quantised: float = 1.0
    losses: LogGrid | None = None
    reading: LogGrid | None = None

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ExpertsCoefficients:
        """Read plain JSON values."""
        values = {f.name: data[f.name] for f in fields(cls) if data.get(f.name) is not None}
        return cls(**{**values, **{g: LogGrid.from_dict(values[g]) for g in GRIDS if g in values}})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        grids = {n: values[n].to_dict() for n in GRIDS if values[n] is not None}
        return {**{n: v for n, v in values.items() if n not in GRIDS}, **grids}


class Product(NamedTuple):
    """One of the two grouped products: its time by tiles, without losses, to read weights."""

    tiles: Array
    ideal: Array
    weights: Array


class ExpertsTerms(NamedTuple):
    """Parts of the time of each layer, seconds, and the sizes the grids go by."""

    fixed: Array
    products: tuple[Product, Product]
    floor: Array
    load: Array
    held: Array
    width: Array


@dataclass(frozen=True)
class ExpertsCurve:
    """Seconds of the routed experts of one layer.

    Examples
    --------
    >>> from lengthwise.domain.hardware import HardwareSpec
    >>> card = HardwareSpec("card", "gpu", 3.35e12, 80e9, {"bf16": 989e12}, multiprocessors=132)
    >>> plain = ExpertsCoefficients(3e-5, 0.7, 2.5, 1e-6, 0.95, 2.0, 0.1, 5e-8, 0.05, 1e-8)
    >>> curve = ExpertsCurve(Ceilings.of(card, "bfloat16"), plain)
    >>> curve.seconds([1, 64, 4096], 4096, 1536, 8, 128, 128).round(4)
    array([0.0001, 0.0014, 0.0036])
    """

    ceilings: Ceilings
    coefficients: ExpertsCoefficients

    def seconds(
        self, tokens: ArrayLike, hidden: ArrayLike, inter: ArrayLike, active: ArrayLike,
        experts_on_gpu: ArrayLike, experts: ArrayLike, gated: bool | ArrayLike = True, *,
        skew: float = routing.USUAL,
    ) -> Array:  # fmt: skip
        """Seconds of one layer's routed experts.

        Parameters
        ----------
        tokens
            Tokens of the step that enter the group of processors which share the experts.
        hidden, inter
            Width of the model; width of one expert on this processor (after tensor parallelism).
        active, experts
            Experts each token goes to, of how many.
        experts_on_gpu
            Experts this processor holds.
        gated
            Whether an expert has a gate (two matrices in, one out).
        skew
            Exponent of the power law of loads; 0: even.

        Returns
        -------
        numpy.ndarray
            Non-decreasing in ``tokens``; the busiest processor's time.
        """
        sizes = (tokens, hidden, inter, active, experts_on_gpu, experts, gated)
        shape = np.broadcast(*sizes).shape
        flat = [np.ravel(v).astype(float) for v in np.broadcast_arrays(*sizes)]
        c, terms = self.coefficients, self.terms(*flat, skew=skew)
        total, one = terms.fixed, np.ones_like(terms.load)
        loss, reading = one, one
        if c.losses is not None:
            loss = np.exp(c.losses.at(terms.load, terms.held, terms.width))
        if c.reading is not None:
            reading = np.exp(c.reading.at(terms.held, terms.width))
        for tiles, ideal, weights in terms.products:
            compute = tiles**c.quantised * (ideal * loss) ** (1.0 - c.quantised)
            total = total + p_norm(compute, weights * reading, c.sharpness)
        return np.asarray(np.maximum(total, terms.floor).reshape(shape))

    def terms(
        self, tokens: Array, hidden: Array, inter: Array, active: Array, experts_on_gpu: Array,
        experts: Array, gated: Array, *, skew: float = routing.USUAL,
    ) -> ExpertsTerms:  # fmt: skip
        """Give the parts the time is put together from, before the grids; shapes (n,)."""
        c, top = self.coefficients, self.ceilings
        load = routing.loads(tokens, active, experts, experts_on_gpu, skew)
        touched = np.maximum(experts_on_gpu * np.minimum(1.0, load).mean(axis=1), 1.0)
        routed = np.maximum(experts_on_gpu * load.mean(axis=1), 1.0)
        inward = (1.0 + gated) * inter
        moved = routed * (4.0 * hidden + 2.0 * (inward + inter))
        pairs = 2.0 * tokens * active * hidden
        fixed = c.launch + c.row * tokens + c.expert * touched
        fixed = fixed + (c.moves * moved + c.pairs * pairs) / top.bandwidth
        slower = np.where(inter % ALIGNED == 0, 1.0, max(c.odd_width, 1.0))
        products, floor = [], np.zeros_like(tokens)
        for n, k in ((inward, hidden), (hidden, inter)):
            ideal = 2.0 * routed * n * k / top.peak_flops
            read = touched * n * k * top.weight_bytes / top.bandwidth
            floor = floor + np.maximum(ideal, read)
            tiles = self._compute(load, experts_on_gpu, n, k)
            reach = min(c.memory, 1.0) / slower
            products.append(Product(tiles * slower, ideal * slower, read / reach))
        return ExpertsTerms(
            fixed, (products[0], products[1]), floor, routed / experts_on_gpu, experts_on_gpu, inter
        )

    def _compute(self, load: Array, on: Array, n: Array, k: Array) -> Array:
        """Best time of a grouped product over tile shapes; ``load`` is (rows, quantiles)."""
        c, top = self.coefficients, self.ceilings
        flops = top.peak_flops * min(c.compute, 1.0) / top.multiprocessors
        cache = top.bandwidth * c.cache / top.multiprocessors
        wide = np.array(COLUMNS, float)[:, None]
        blocks = np.ceil(n / wide)
        best = np.full(n.shape, np.inf)
        for rows in ROWS:
            padded = np.where(load < 1.0, load, soft_ceil(load / rows, ROW_RAMP))
            groups = np.maximum(on * padded.mean(axis=1), 1.0)
            feed = (rows * top.input_bytes + wide * top.weight_bytes) / cache
            step = p_norm(2.0 * rows * wide / flops, feed, 4.0)
            waves = soft_ceil(groups * blocks / top.multiprocessors, c.wave_ramp)
            best = np.minimum(best, (waves * (k * step + c.tile_overhead)).min(axis=0))
        return best

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; :meth:`from_dict` reads them back."""
        return {"ceilings": self.ceilings.to_dict(), "coefficients": self.coefficients.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ExpertsCurve:
        """Read what :meth:`to_dict` wrote."""
        return cls(
            Ceilings(**data["ceilings"]), ExpertsCoefficients.from_dict(data["coefficients"])
        )
