"""Time of one dense matrix product on one processor.

    T = launch + prepare + (Tc^s + Tm^s)^(1/s),   never below the roofline

Tm is the bytes over the bandwidth the kernel reaches; prepare is what runs over the inputs first
(turning them into 8 or 4 bits). Tc mixes two views of the arithmetic,

    Tc = tiles(m, n, k)^q * (2 m n k / peak * exp(h(m, n, k)))^(1 - q)

tiles: the best of several tile shapes and slicings of the inner sum; h: what the kernels of a table
lose at each size, on a coarse grid. Neighbouring knots of h fall by no more than the log of the
sizes grows, so that every term, and with it T, never falls when m, n or k grows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lengthwise.formulations.operators.ceilings import Ceilings
from lengthwise.formulations.operators.log_grid import LogGrid
from lengthwise.formulations.operators.tiles import Array, p_norm, soft_ceil

TILES = ((64, 32), (64, 64), (64, 128), (128, 64), (128, 128), (64, 256), (128, 256), (256, 128))
SLICES = (1, 2, 4, 8, 16)
LEAST_SLICE = 128
"""Inner steps a slice has at least."""
ROW_RAMP = 0.25
ALIGNED = 8
"""Kernels of 8 and 4 bits want rows in multiples of this."""
GRIDS = ("losses", "reading", "odd")


@dataclass(frozen=True)
class GemmCoefficients:
    """What one library of kernels makes of a processor: fractions of its ceilings, and seconds.

    Attributes
    ----------
    launch
        Seconds before and after the kernel's work.
    compute, memory
        Fractions of the peak FLOP/s and of the bandwidth reached by whole tiles.
    cache
        Bandwidth of the cache that feeds the tiles, in units of the memory's.
    tile_overhead, slice_overhead
        Seconds to start and finish one tile; seconds a sliced sum adds.
    sharpness
        Exponent s of the smooth maximum.
    wave_ramp
        Part of a wave over which a new one comes to count whole.
    memory_delay
        Seconds until the first bytes arrive.
    row, prepare
        Seconds per row, and passes over the inputs (16-bit in, packed out) before the product.
    odd_compute, odd_memory
        Factors on both times for a number of rows that is no multiple of 8.
    tiles
        Efficiency of each tile shape of ``TILES`` relative to ``compute``.
    quantised
        Weight q of the tiles in the arithmetic; 1 without ``losses``.
    losses, reading, odd
        Grids: over (m, n, k), logarithm of the time of the arithmetic over its least; over (n, k),
        logarithm of a factor on the time to read the weights; ``odd`` is ``losses`` for numbers of
        rows that are no multiple of 8, if those differ.
    """

    launch: float
    compute: float
    cache: float
    tile_overhead: float
    memory: float
    sharpness: float
    memory_delay: float
    wave_ramp: float
    slice_overhead: float
    row: float
    prepare: float
    odd_compute: float
    odd_memory: float
    tiles: tuple[float, ...] = (1.0,) * len(TILES)
    quantised: float = 1.0
    losses: LogGrid | None = None
    reading: LogGrid | None = None
    odd: LogGrid | None = None

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> GemmCoefficients:
        """Read plain JSON values."""
        values = {f.name: data[f.name] for f in fields(cls) if data.get(f.name) is not None}
        for name in GRIDS:
            if name in values:
                values[name] = LogGrid.from_dict(values[name])
        return cls(**{**values, "tiles": tuple(values.get("tiles", (1.0,) * len(TILES)))})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        grids = {n: values[n].to_dict() for n in GRIDS if values[n] is not None}
        plain = {n: v for n, v in values.items() if n not in GRIDS}
        return {**plain, "tiles": list(self.tiles), **grids}


class GemmTerms(NamedTuple):
    """Parts of the time of each product, seconds."""

    fixed: Array
    tiles: Array
    ideal: Array
    weights: Array
    inputs: Array
    floor: Array


@dataclass(frozen=True)
class GemmCurve:
    """Seconds of ``m`` rows times a weight matrix of ``n`` outputs and ``k`` inputs.

    Examples
    --------
    >>> from lengthwise.domain.hardware import HardwareSpec
    >>> card = HardwareSpec("card", "gpu", 2e12, 80e9, {"bf16": 312e12}, multiprocessors=108)
    >>> plain = GemmCoefficients(2e-6, 0.85, 4.0, 5e-7, 0.85, 2.5, 5e-7, 0.5, 2e-6, 0, 0, 1, 1)
    >>> curve = GemmCurve(Ceilings.of(card, "bfloat16"), plain)
    >>> curve.seconds([1, 512, 4096], 4096, 4096).round(6)
    array([2.40e-05, 8.10e-05, 5.55e-04])
    """

    ceilings: Ceilings
    coefficients: GemmCoefficients

    def seconds(
        self, m: ArrayLike, n: ArrayLike, k: ArrayLike, *, aligned: bool | ArrayLike = True
    ) -> Array:
        """Seconds of each product.

        Parameters
        ----------
        m, n, k
            Rows (tokens of the step), outputs and inputs of the matrix on this processor;
            broadcast against each other.
        aligned
            Whether the rows are a multiple of 8, as engines pad them; False where prompts of any
            length reach the kernels unpadded.

        Returns
        -------
        numpy.ndarray
            Non-decreasing in ``m``, ``n`` and ``k``; never faster than the peak FLOP/s or the
            bandwidth allow.
        """
        m_, n_, k_ = np.broadcast_arrays(*(np.asarray(v, float) for v in (m, n, k)))
        odd = ~np.asarray(aligned, bool)
        c, terms = self.coefficients, self.terms(m_, n_, k_, odd)
        loss = np.zeros_like(m_) if c.losses is None else c.losses.at(m_, n_, k_)
        if c.odd is not None and odd.any():
            loss = np.where(odd, c.odd.at(m_, n_, k_), loss)
        reading = 1.0 if c.reading is None else np.exp(c.reading.at(n_, k_))
        ideal = terms.ideal * np.exp(loss)
        compute = terms.tiles**c.quantised * ideal ** (1.0 - c.quantised)
        memory = terms.weights * reading + terms.inputs
        total = terms.fixed + p_norm(compute, memory, c.sharpness)
        return np.asarray(np.maximum(total, terms.floor))

    def terms(self, m: Array, n: Array, k: Array, odd: Array) -> GemmTerms:
        """Give the parts the time is put together from, before the grids."""
        c, top = self.coefficients, self.ceilings
        reach = top.bandwidth * min(c.memory, 1.0) / np.where(odd, c.odd_memory, 1.0)
        prepare = c.row * m + c.prepare * (2.0 + top.input_bytes) * m * k / top.bandwidth
        return GemmTerms(
            c.launch + prepare,
            self._compute(m, n, k, np.where(odd, c.odd_compute, 1.0)),
            2.0 * m * n * k / top.peak_flops,
            top.weight_bytes * n * k / reach,
            (top.input_bytes * m * k + 2.0 * m * n) / reach + c.memory_delay,
            self.floor(m, n, k),
        )

    def floor(self, m: ArrayLike, n: ArrayLike, k: ArrayLike) -> Array:
        """Roofline: no time can be below it."""
        m_, n_, k_ = (np.asarray(v, float) for v in (m, n, k))
        top = self.ceilings
        moved = top.input_bytes * m_ * k_ + top.weight_bytes * n_ * k_ + 2.0 * m_ * n_
        return np.asarray(np.maximum(2.0 * m_ * n_ * k_ / top.peak_flops, moved / top.bandwidth))

    def _compute(self, m: Array, n: Array, k: Array, slower: Array) -> Array:
        """Best time over tile shapes and slices of the inner sum."""
        c, top = self.coefficients, self.ceilings
        flops = top.peak_flops * min(c.compute, 1.0) / top.multiprocessors
        cache = top.bandwidth * c.cache / top.multiprocessors
        along = (len(TILES),) + (1,) * np.ndim(m)
        rows, columns, relative = (
            np.reshape(v, along) for v in (*np.array(TILES, float).T, np.array(c.tiles))
        )
        tiles = soft_ceil(m / rows, ROW_RAMP) * np.ceil(n / columns)
        feed = (rows * top.input_bytes + columns * top.weight_bytes) / cache
        step = p_norm(2.0 * rows * columns / (flops * relative) * slower, feed, 4.0)
        best = np.full(np.shape(m), np.inf)
        for slices in SLICES:
            depth = k if slices == 1 else np.maximum(k / slices, LEAST_SLICE)
            waves = soft_ceil(tiles * slices / top.multiprocessors, c.wave_ramp)
            time = (waves * (depth * step + c.tile_overhead)).min(axis=0)
            if slices > 1:
                time += c.slice_overhead + slices * m * n * 4.0 / cache / top.multiprocessors
            best = np.minimum(best, time)
        return best

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; :meth:`from_dict` reads them back."""
        return {"ceilings": self.ceilings.to_dict(), "coefficients": self.coefficients.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> GemmCurve:
        """Read what :meth:`to_dict` wrote."""
        return cls(Ceilings(**data["ceilings"]), GemmCoefficients.from_dict(data["coefficients"]))
