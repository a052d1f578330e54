r"""The sets of terms that are averaged over, and what each looks like on given steps.

    short end   none        T                      time proportional to tokens
                overhead    T + n0                 launches and weights, paid on top (linear law)
                floor k     (T^k + n0^k)^(1/k)     paid instead (E2), k = 2, 4
    E1          off, quadratic                     attention pairs
    depth       none, KV, root                     decode steps: constant, linear in the context,
                                                   or as its square root (selective attention)

All structures of one fit share the parameters

    theta = ln alpha_1, ln n0, rho_1 ... rho_J    t = alpha_1 [ S(T; n0) + sum_j exp(rho_j) phi_j ]

and differ in which of them are present. Averages of such laws are laws of the family again: linear
terms add up, and what is left of S is a blend of floors (see average).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.formulations.hachiya_patias.priors import LogNormal
from lengthwise.formulations.hachiya_patias.terms import KERNELS, Term, linear_basis
from lengthwise.units import FloatArray, IndexArray

SHORT_ENDS = ("none", "overhead", "floor2", "floor4")
SHARPNESS = {"none": 0, "overhead": 1, "floor2": 2, "floor4": 4}
"""k of each short end; with k = 1 a floor is an overhead."""
SCALE_SD = 3.0
"""Standard deviation of ln alpha_1 around the median time per token."""


@dataclass(frozen=True)
class Structure:
    """One set of terms.

    Attributes
    ----------
    short_end
        One of ``SHORT_ENDS``.
    terms
        Names of the linear terms beside the tokens.
    """

    short_end: str
    terms: tuple[str, ...]

    @property
    def e1(self) -> str:
        """Kind of E1: ``quadratic`` or ``off``."""
        return "quadratic" if "E1" in self.terms else "off"

    @property
    def e2(self) -> str:
        """Kind of E2: ``floor`` or ``off``."""
        return "floor" if self.short_end.startswith("floor") else "off"


def structures_of(
    phase: str, terms: tuple[Term, ...], *, e1: str, e2: str, flat: bool
) -> tuple[Structure, ...]:
    """List the structures that data with these identified terms can tell apart.

    Parameters
    ----------
    phase
        Phase of the steps.
    terms
        Linear terms that the data identify; of a decode step without E1.
    e1, e2
        Kinds to allow: ``auto``, or one kind.
    flat
        Whether all steps have the same number of new tokens, so that the short end is a constant.

    Examples
    --------
    >>> from lengthwise.formulations.hachiya_patias.priors import LogNormal
    >>> pairs = Term("E1", "s/pair", LogNormal(-10.0, 1.0))
    >>> [s.short_end for s in structures_of("prefill", (pairs,), e1="off", e2="auto", flat=False)]
    ['none', 'overhead', 'floor2', 'floor4']
    """
    chosen = ("E1", "KV", "KV_root", *KERNELS)
    names = [t.name for t in terms if t.name not in chosen]
    kernels: tuple[tuple[str, ...], ...] = ((),)
    if any(t.name in KERNELS for t in terms):
        kernels = ((), *((name,) for name in KERNELS))
    ends = ("none",) if flat else _short_ends(e2)
    pairs: tuple[tuple[str, ...], ...] = ((), ("E1",))
    if not any(t.name == "E1" for t in terms) or e1 == "off":
        pairs = ((),)
    elif e1 == "quadratic":
        pairs = (("E1",),)
    depth: tuple[tuple[str, ...], ...] = ((),)
    if any(t.name == "KV" for t in terms):
        depth = ((), ("KV",), ("KV_root",)) if phase == "decode" else ((), ("KV",))
    if phase == "mixed":
        depth = (("KV",),)
    every = product(ends, pairs, depth, kernels)
    return tuple(Structure(end, (*p, *d, *k, *names)) for end, p, d, k in every)


def _short_ends(e2: str) -> tuple[str, ...]:
    if e2 == "off":
        return ("none", "overhead")
    if e2 == "floor":
        return ("floor2", "floor4")
    return SHORT_ENDS


@dataclass(frozen=True)
class Design:
    """Structures laid out over steps, ready for a batched fit.

    Attributes
    ----------
    tokens
        New tokens, shape (n,).
    bases
        Basis of each linear term, shape (J, n).
    present
        Which parameters each structure has, shape (S, 2 + J).
    sharpness
        k of each structure's short end, shape (S,).
    rows, target
        Gaussian prior of theta: rows @ theta ~ N(target, 1), shapes (S, 2 + J, 2 + J), (S, 2 + J).
    log_weight
        Prior log-weight of each structure, shape (S,).
    """

    tokens: FloatArray
    bases: FloatArray
    present: FloatArray
    sharpness: FloatArray
    rows: FloatArray
    target: FloatArray
    log_weight: FloatArray
    names: tuple[str, ...]

    @classmethod
    def of(
        cls, work: Work, y_s: FloatArray, structures: tuple[Structure, ...],
        priors: Mapping[str, LogNormal], log_weight: FloatArray,
    ) -> Design:  # fmt: skip
        """Lay structures out over measured steps.

        Parameters
        ----------
        work, y_s
            Steps and their times, seconds.
        structures
            What to fit.
        priors
            Priors by name: ``ln_n0_tokens``, every term, and ``ln_a1`` if it has one.
        log_weight
            Prior log-weight of each structure.
        """
        names = tuple(dict.fromkeys(name for s in structures for name in s.terms))
        columns = ("ln_a1", "ln_n0_tokens", *names)
        present = np.array(
            [[True, s.short_end != "none", *(n in s.terms for n in names)] for s in structures],
            dtype=float,
        )
        scale = LogNormal(float(np.median(np.log(y_s / work.new_tokens))), SCALE_SD)
        given = [priors.get(name, scale) for name in columns]
        one = np.diag([1.0 / p.sd for p in given])
        one[:, 0] += [p.absolute / p.sd for p in given]
        target = np.array([p.mean / p.sd for p in given])
        keep = present[:, :, None]
        return cls(
            work.new_tokens,
            np.array([linear_basis(name, work) for name in names]).reshape(len(names), len(work)),
            present,
            np.array([float(SHARPNESS[s.short_end]) for s in structures]),
            keep * one + (1.0 - keep) * np.eye(len(columns)),
            present * target,
            log_weight,
            names,
        )

    def times(self, theta: FloatArray, which: IndexArray) -> tuple[FloatArray, FloatArray]:
        """Compute ln t and its Jacobian for many members at once.

        Parameters
        ----------
        theta
            Parameters of the members, shape (m, 2 + J).
        which
            Structure of each member, shape (m,).

        Returns
        -------
        ln t of shape (m, n) and d ln t / d theta of shape (m, n, 2 + J).
        """
        grown = np.exp(theta)
        linear, slope = effective_tokens(self.tokens, grown[:, 1:2], self.sharpness[which, None])
        parts = (grown[:, 2:] * self.present[which, 2:])[:, :, None] * self.bases
        total = linear + parts.sum(axis=1)
        jacobian = np.empty((*total.shape, theta.shape[-1]))
        jacobian[..., 0] = 1.0
        jacobian[..., 1] = slope * linear / total
        jacobian[..., 2:] = np.swapaxes(parts / total[:, None, :], 1, 2)
        return theta[:, :1] + np.log(total), jacobian

    def start(self) -> FloatArray:
        """Return the start of a fit, shape (S, 2 + J).

        Prior means; linear terms as near a fifth of the tokens as their priors allow.
        """
        mean = np.asarray(np.linalg.solve(self.rows, self.target[..., None])[..., 0], dtype=float)
        if len(self.bases):
            fifth = np.log(0.2 * self.tokens.max() / np.maximum(self.bases.max(axis=1), 1e-300))
            spread = 2.0 / np.diagonal(self.rows, axis1=1, axis2=2)[:, 2:]
            low, high = mean[:, 2:] - spread, mean[:, 2:] + spread
            mean[:, 2:] = self.present[:, 2:] * np.clip(fifth, low, high)
        return mean


def effective_tokens(
    tokens: FloatArray, n0: FloatArray, k: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Effective tokens S(T; n0) of every short end, and d ln S / d ln n0.

    Parameters
    ----------
    tokens
        T, shape (n,).
    n0, k
        Floor in tokens and its sharpness, shapes that broadcast with (n,); k = 0 means no floor.

    Examples
    --------
    >>> value, slope = effective_tokens(np.array([300.0]), np.array([400.0]), np.array([2.0]))
    >>> float(value[0]), float(slope[0].round(2))
    (500.0, 0.64)
    """
    has, safe = k > 0, np.maximum(k, 1.0)
    peak = np.maximum(tokens, n0)
    low = np.where(has, (n0 / peak) ** safe, 0.0)
    peak = np.where(has, peak, tokens)
    total = (tokens / peak) ** safe + low
    return peak * total ** (1.0 / safe), low / total
