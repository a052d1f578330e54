r"""How much two measurements have in common: the covariance of their corrections.

The correction of a row is what remains of its log time after the physics. It is a sum of effects
of the engine, the model, the processor, their combinations, and the deployment, each of them smooth
in the settings (a hierarchical prior over deployments):

    k(x, x') = sum over levels l of [same(l; x, x')] (c_l^2 + r_l^2 exp(-|z - z'|^2 / 2))

where ``same`` says whether both rows have the same labels of the level, c is the spread of an
offset and r that of a smooth change, and z are either the settings (requests in flight, lengths,
degrees of parallelism) or the shares of the physics (how much of the time is memory, attention,
experts, links, host, other prompts), each divided by its length scale. A deployment nobody measured
borrows from its relatives; a few samples of its own then take over (Gaussian process regression,
Rasmussen and Williams 2006, chapters 2 and 5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.formulations.step.groups import GROUPS, HOST
from lengthwise.units import FloatArray

Labels = Any
"""Array of strings, shape (n,)."""

LEVELS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("all", (), "shares"),
    ("engine", ("engine",), "shares"),
    ("architecture", ("architecture",), "settings"),
    ("hardware", ("hardware",), "settings"),
    ("architecture, engine", ("architecture", "engine"), "settings"),
    ("hardware, engine", ("hardware", "engine"), "settings"),
    ("architecture, hardware, engine", ("architecture", "hardware", "engine"), "settings"),
    ("version", ("engine", "engine_version", "architecture"), "settings"),
    ("precision, hardware, engine", ("precision", "hardware", "engine"), "settings"),
    ("model, engine, precision", ("model", "engine", "precision"), "settings"),
    ("deployment", ("model", "hardware", "engine", "precision"), "settings"),
)
"""Name of a level, the columns that must agree, and the axes along which its effect is smooth."""

SETTINGS = ("concurrency", "isl", "osl", "tp", "dp", "ep")
SHARES = (
    "prompts", "attention", "experts", "products", "collectives", "host", "prompt attention",
    "gpus", "concurrency", "isl", "osl",
)  # fmt: skip
TINY = 1e-4


@dataclass(frozen=True)
class Kin:
    """What n rows are compared by.

    Attributes
    ----------
    settings, shares
        Shape (n, 6) and (n, 11), natural logarithms.
    labels
        For every level the labels of the rows, joined, shape (n,).
    """

    settings: FloatArray
    shares: FloatArray
    labels: tuple[Labels, ...]

    @classmethod
    def of(cls, columns: Mapping[str, Any], decode: FloatArray, prompt: FloatArray) -> Kin:
        """Read the axes from columns and from the group times of a decode step and of a prompt."""
        numbers = {k: np.asarray(columns[k], float) for k in SETTINGS}
        settings = np.log(np.column_stack([numbers[k] for k in SETTINGS]))
        gpus = numbers["tp"] * numbers["dp"]
        others = numbers["concurrency"] / numbers["osl"]
        step, first = decode.sum(axis=1), prompt.sum(axis=1)
        part = {name: i for i, name in enumerate(GROUPS)}
        in_step = [
            decode[:, part["attention_decode"]] + decode[:, part["recurrence"]],
            decode[:, part["experts"]],
            decode[:, part["projections"]] + decode[:, part["feed_forward"]],
            decode[:, part["collectives"]], sum(decode[:, part[name]] for name in HOST),
        ]  # fmt: skip
        shares = [np.log(others * first / step + TINY)]
        shares += [np.log(part_s / step + 0.01) for part_s in in_step]
        shares += [np.log(prompt[:, part["attention_prefill"]] / first + 0.01), np.log(gpus)]
        shares += [np.log(numbers[k]) for k in ("concurrency", "isl", "osl")]
        labels = tuple(_joined(columns, names, len(gpus)) for _, names, _ in LEVELS)
        return cls(settings, np.column_stack(shares), labels)

    def __len__(self) -> int:
        return len(self.settings)

    def join(self, other: Kin) -> Kin:
        """Put the rows of another set behind these."""
        labels = tuple(np.r_[a, b] for a, b in zip(self.labels, other.labels, strict=True))
        return Kin(np.vstack([self.settings, other.settings]),
                   np.vstack([self.shares, other.shares]), labels)  # fmt: skip

    def take(self, index: Any) -> Kin:
        """Select rows."""
        return Kin(self.settings[index], self.shares[index], tuple(x[index] for x in self.labels))


def _joined(columns: Mapping[str, Any], names: Sequence[str], n: int) -> Labels:
    if not names:
        return np.full(n, "", dtype=object)
    parts = [np.asarray(columns[name], dtype=object) for name in names]
    return np.array([" | ".join(map(str, row)) for row in zip(*parts, strict=True)], dtype=object)


@dataclass(frozen=True)
class Spreads:
    """Scales of the effects, all as natural logarithms in one vector.

    Attributes
    ----------
    offset, smooth
        c and r of every level, shape (levels,).
    settings, shares
        Length scales, shape (6,) and (11,), in natural logarithms of the axes.
    noise
        What repeats and unrecorded settings add.
    """

    offset: FloatArray
    smooth: FloatArray
    settings: FloatArray
    shares: FloatArray
    noise: float

    @classmethod
    def usual(cls) -> Spreads:
        """Give the spreads to start from: 12 % per effect, smooth over a factor of about four."""
        n = len(LEVELS)
        return cls(np.full(n, 0.12), np.full(n, 0.12), np.array([2.0, 1.5, 1.5, 1.0, 1.0, 1.0]),
                   np.full(len(SHARES), 1.5), 0.06)  # fmt: skip

    @property
    def vector(self) -> FloatArray:
        """Logarithms of all scales, one after the other."""
        scales = np.r_[self.offset, self.smooth, self.settings, self.shares, self.noise]
        return np.asarray(np.log(scales))

    @classmethod
    def from_vector(cls, vector: FloatArray) -> Spreads:
        """Read :attr:`vector` back."""
        n, s, m = len(LEVELS), len(SETTINGS), len(SHARES)
        scales = np.exp(vector)
        ends = np.cumsum([n, n, s, m])
        offset, smooth, settings, shares, noise = np.split(scales, ends)
        return cls(offset, smooth, settings, shares, float(noise[0]))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, four digits."""

        def short(values: Any) -> list[float]:
            return [float(f"{v:.4g}") for v in np.atleast_1d(values)]

        return {"levels": [name for name, _, _ in LEVELS], "offset": short(self.offset),
                "smooth": short(self.smooth), "settings": short(self.settings),
                "shares": short(self.shares), "noise": short(self.noise)[0]}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Spreads:
        """Read :meth:`to_dict` back."""
        arrays = {k: np.asarray(data[k], float) for k in ("offset", "smooth", "settings", "shares")}
        return cls(**arrays, noise=float(data["noise"]))


def covariance(left: Kin, right: Kin, spreads: Spreads) -> FloatArray:
    """Prior covariance of the corrections of two sets of rows, shape (n, m)."""
    waves = {
        "settings": similarity(left.settings, right.settings, spreads.settings),
        "shares": similarity(left.shares, right.shares, spreads.shares),
    }
    out = np.zeros((len(left), len(right)))
    for i, (_, names, axis) in enumerate(LEVELS):
        effect = spreads.offset[i] ** 2 + spreads.smooth[i] ** 2 * waves[axis]
        out += effect if not names else np.where(same(left.labels[i], right.labels[i]), effect, 0.0)
    return out


def similarity(a: FloatArray, b: FloatArray, scales: FloatArray) -> FloatArray:
    """Squared-exponential similarity of points, shape (n, m), 1 where they coincide."""
    x, y = a / scales, b / scales
    squared = (x**2).sum(1)[:, None] + (y**2).sum(1)[None, :] - 2.0 * x @ y.T
    return np.asarray(np.exp(-0.5 * np.maximum(squared, 0.0)))


def same(a: Labels, b: Labels) -> Any:
    """Whether labels agree, shape (n, m)."""
    values = {label: i for i, label in enumerate(dict.fromkeys([*a, *b]))}
    left = np.fromiter((values[x] for x in a), dtype=int, count=len(a))
    right = np.fromiter((values[x] for x in b), dtype=int, count=len(b))
    return left[:, None] == right[None, :]


def prior_variance(kin: Kin, spreads: Spreads) -> FloatArray:
    """Prior variance of every row's correction, shape (n,): the same for all."""
    total = float((spreads.offset**2 + spreads.smooth**2).sum())
    return np.full(len(kin), total)
