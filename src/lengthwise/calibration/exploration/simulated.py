r"""Simulated deployments whose law is not of the form that the light law has.

    prefill  (C^k + M^k)^{1/k} + o,  C = a N (1 + (N_h/N)^h) + q B n^p,  N: n B up to whole tiles
    decode   M + b B^r + c B l min(1, l/l_0)^{-0.1} + o, and a jump of the kernel beyond a batch

k in [1.5, 6], p in [1.6, 2.2]: rooflines, tiles, efficiency that grows with the work, an attention
kernel that is not quadratic. Both are multiplied by a slow wave in ln n and ln B (kernels chosen by
size). Readings have log-normal noise, and one in fifty is held up. The points form a full grid, two
sweeps through one point, a few lengths with all batches, or lengths at batch 1, as tables do.
"""

from __future__ import annotations

import numpy as np

from lengthwise.calibration.exploration.deployment import REACH, Deployment
from lengthwise.calibration.exploration.points import BoolArray, Points
from lengthwise.calibration.exploration.recorded import fill_seconds
from lengthwise.units import FloatArray

LENGTHS = 2.0 ** np.arange(6, 15)
BATCHES = 2.0 ** np.arange(7)
MOST_TOKENS = 65536.0
READINGS = 5
HELD_UP = 0.02
"""Share of readings that something else held up, by up to three times."""
WAVE = 0.12
"""Largest amplitude of the wave, in ln t."""


def simulate(seed: int, reach: float = REACH) -> Deployment:
    """Draw one deployment.

    Parameters
    ----------
    seed
        The same seed gives the same deployment and the same readings.
    reach
        Lengths asked about over the longest that may be measured.

    Examples
    --------
    >>> here = simulate(1)
    >>> here.name, len(here.points)
    ('simulated 1', 18)
    """
    rng = np.random.default_rng([20261121, seed])
    n, b = (a.ravel() for a in np.meshgrid(LENGTHS, BATCHES, indexing="ij"))
    kept = _shape(n, b, rng)
    n, b = n[kept], b[kept]
    phases = np.repeat(np.array(["prefill", "decode"], dtype=object), len(n))
    points = Points.of(phases, np.tile(n, 2), np.tile(b, 2))
    prefill, decode = _laws(points, rng)
    clean = np.where(points.decode, decode, prefill) * _wave(points, rng)
    spread = np.exp(rng.uniform(np.log(0.01), np.log(0.08)))
    readings = tuple(_read(t, spread, rng) for t in clean)
    return Deployment(f"simulated {seed}", points, readings, fill_seconds(points, readings), reach)


def _shape(n: FloatArray, b: FloatArray, rng: np.random.Generator) -> BoolArray:
    """Choose which points of the grid the table has."""
    fits = n * b <= MOST_TOKENS
    kind = int(rng.integers(4))
    if kind == 0:
        return np.asarray(fits & (np.log2(b) % 2 == 0))
    if kind == 1:
        return np.asarray(fits & ((b == 1) | (n == 512)))
    if kind == 2:
        few = 2.0 ** rng.choice(np.arange(6, 13), 3, replace=False)
        return np.asarray(fits & (np.isin(n, few) | (b == 1) & (n == LENGTHS[-1])))
    return np.asarray(b == 1)


def _wave(points: Points, rng: np.random.Generator) -> FloatArray:
    out = np.zeros(len(points))
    for phase in (False, True):
        mine = points.decode == phase
        x, y = np.log2(points.length[mine]), np.log2(points.batch[mine])
        a, turn = rng.uniform(0.0, WAVE, 2), rng.uniform(0.0, 2 * np.pi, 2)
        out[mine] = a[0] * np.sin(x * rng.uniform(0.5, 1.5) + turn[0])
        out[mine] += a[1] * np.sin(y * rng.uniform(0.5, 1.5) + turn[1])
    return np.asarray(np.exp(out))


def _laws(points: Points, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Seconds of the points as prefills and as decodes."""
    n, b = points.length, points.batch
    speed = np.exp(rng.uniform(np.log(0.01), np.log(3.0)))
    k, p, tile = rng.uniform(1.5, 6.0), rng.uniform(1.6, 2.2), rng.choice([1, 64, 256])
    tokens = np.ceil(n * b / tile) * tile
    half, h = np.exp(rng.uniform(np.log(16), np.log(1024))), rng.uniform(0.3, 1.0)
    linear = speed * 1e-3 * tokens * (1.0 + (half / tokens) ** h)
    pairs = speed * np.exp(rng.uniform(np.log(0.005), np.log(0.3))) * b * (n / 1000.0) ** p
    memory = speed * np.exp(rng.uniform(np.log(0.01), np.log(0.6)))
    overhead = np.exp(rng.uniform(np.log(5e-4), np.log(2e-2)))
    prefill = ((linear + pairs) ** k + memory**k) ** (1.0 / k) + overhead
    sequence = memory * np.exp(rng.uniform(np.log(0.002), np.log(0.1))) * b ** rng.uniform(0.7, 1)
    context = memory * np.exp(rng.uniform(np.log(0.003), np.log(0.2))) * b * n / 1000.0
    context *= np.minimum(1.0, n / 1024.0) ** -0.1
    jump = np.where(b > rng.choice([2, 8, 32]), rng.uniform(1.0, 1.4), 1.0)
    return prefill, (memory + sequence * jump + context) + overhead


def _read(seconds: float, spread: float, rng: np.random.Generator) -> FloatArray:
    out = seconds * np.exp(rng.normal(0.0, spread, READINGS))
    held = rng.random(READINGS) < HELD_UP
    return np.asarray(np.where(held, out * rng.uniform(1.3, 3.0, READINGS), out))


def varied(deployment: Deployment, seed: int) -> Deployment:
    """Make a relative of a deployment: slower or faster, some points left out, another reach.

    Few deployments are recorded; a policy that learns on relatives of them learns less by heart.

    Examples
    --------
    >>> here = simulate(0)
    >>> len(varied(here, 1).points) < len(here.points)
    True
    """
    rng = np.random.default_rng([20261122, seed])
    factor = float(np.exp(rng.uniform(np.log(0.2), np.log(5.0))))
    keep = rng.random(len(deployment.points)) < rng.uniform(0.6, 0.95)
    for phase in (False, True):  # the ends of each phase stay: they say how far the question goes
        mine = np.flatnonzero(deployment.points.decode == phase)
        length = deployment.points.length[mine]
        keep[mine[np.isin(length, [length.min(), length.max()])]] = True
    index = np.flatnonzero(keep)
    readings = tuple(deployment.readings[i] * factor for i in index)
    return Deployment(
        f"{deployment.name}, varied {seed}", deployment.points.take(index), readings,
        deployment.fill_s[index] * factor, float(rng.choice([1.0, 2.0, 4.0, 8.0])),
    )  # fmt: skip
