"""Time of the routed experts of one layer on one processor.

    T = launch + tokens * row + sum over both products of (Tc^s + Tm^s)^(1/s)

and never below the roofline.

Both products (into the experts, out of them) are grouped: each expert that got a token reads its
own weights and pads its rows to whole tiles.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lengthwise.formulations.operators import routing
from lengthwise.formulations.operators.ceilings import Ceilings
from lengthwise.formulations.operators.tiles import Array, p_norm, soft_ceil

ROWS = (16, 32, 64, 128, 256)
COLUMNS = (64, 128, 256)
ROW_RAMP = 0.25


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

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ExpertsCoefficients:
        """Read plain JSON values."""
        return cls(**{f.name: data[f.name] for f in fields(cls)})


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
    array([0.0001, 0.0015, 0.0036])
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
        t, h, i, a, on, e, g = (
            np.atleast_1d(v).astype(float)
            for v in np.broadcast_arrays(
                tokens, hidden, inter, active, experts_on_gpu, experts, gated
            )
        )
        c, top = self.coefficients, self.ceilings
        load = routing.loads(t, a, e, on, skew)
        touched = np.maximum(on * np.minimum(1.0, load).mean(axis=1), 1.0)
        routed = np.maximum(on * load.mean(axis=1), 1.0)
        inward = (1.0 + g) * i
        moved = routed * (4.0 * h + 2.0 * (inward + i))
        total = c.launch + c.row * t + c.expert * touched + c.moves * moved / top.bandwidth
        floor = np.zeros_like(t)
        for n, k in ((inward, h), (h, i)):
            weights = touched * n * k * top.weight_bytes
            flops = 2.0 * routed * n * k
            compute = self._compute(load, on, n, k)
            memory = weights / (top.bandwidth * min(c.memory, 1.0))
            total += p_norm(compute, memory, c.sharpness)
            floor += np.maximum(flops / top.peak_flops, weights / top.bandwidth)
        shape = np.broadcast(tokens, hidden, inter, active, experts_on_gpu, experts, gated).shape
        return np.asarray(np.maximum(total, floor).reshape(shape))

    def _compute(self, load: Array, on: Array, n: Array, k: Array) -> Array:
        """Best time of a grouped product over tile shapes; ``load`` is (rows, quantiles)."""
        c, top = self.coefficients, self.ceilings
        flops = top.peak_flops * min(c.compute, 1.0) / top.multiprocessors
        cache = top.bandwidth * c.cache / top.multiprocessors
        best = np.full(n.shape, np.inf)
        for rows in ROWS:
            padded = np.where(load < 1.0, load, soft_ceil(load / rows, ROW_RAMP))
            groups = np.maximum(on * padded.mean(axis=1), 1.0)
            for columns in COLUMNS:
                feed = (rows * top.input_bytes + columns * top.weight_bytes) / cache
                work = 2.0 * rows * columns / flops
                step = float(p_norm(np.array(work), np.array(feed), 4.0))
                waves = soft_ceil(groups * np.ceil(n / columns) / top.multiprocessors, c.wave_ramp)
                best = np.minimum(best, waves * (k * step + c.tile_overhead))
        return best

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; :meth:`from_dict` reads them back."""
        return {"ceilings": self.ceilings.to_dict(), "coefficients": asdict(self.coefficients)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ExpertsCurve:
        """Read what :meth:`to_dict` wrote."""
        return cls(
            Ceilings(**data["ceilings"]), ExpertsCoefficients.from_dict(data["coefficients"])
        )
