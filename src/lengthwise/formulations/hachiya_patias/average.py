r"""The average over members, as one law of the family.

    t(x) = sum_m w_m law_m(x) exp(W_m(x))

w are posterior weights, W the discrepancy that the measured steps give every member (kriging).
Linear terms of laws with positive coefficients add up, so without W the sum is a law of the family
again: the mean coefficient of every term, and a blend of the floors. What W adds is taken apart:
its value at the longest measured step goes into alpha_1, the rest is E3, a surface over tokens and
context.

The covariance of theta holds what the members say of each coefficient and how far they disagree:
with v = coefficient over its mean,

    Cov(v) = sum_m w_m [(v_m - 1)(v_m - 1)' + v_m v_m' * G Sigma_m G'],   ln t = sum_j share_j v_j
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.formulations.hachiya_patias.blend import Blend
from lengthwise.formulations.hachiya_patias.members import Members
from lengthwise.formulations.hachiya_patias.scaling import Floor, Off, Scaling
from lengthwise.formulations.hachiya_patias.structures import effective_tokens
from lengthwise.formulations.hachiya_patias.terms import linear_basis
from lengthwise.units import FloatArray, IndexArray

NEGLIGIBLE = 1e-3
"""Members below this share of the best one's weight, and floors below it, are left out."""


@dataclass(frozen=True)
class Flat:
    """Members that matter, one after another, M in all.

    Attributes
    ----------
    weight
        Shape (M,), sum 1.
    theta, covariance, present
        Shapes (M, P), (M, P, P), (M, P).
    sharpness
        k of the short end, shape (M,).
    alpha
        K^-1 residual, shape (M, n).
    noise_index
        Which pair of noise each member has, shape (M,).
    """

    members: Members
    weight: FloatArray
    theta: FloatArray
    covariance: FloatArray
    present: FloatArray
    sharpness: FloatArray
    alpha: FloatArray
    noise_index: IndexArray

    @classmethod
    def of(cls, members: Members, structure: int | None = None) -> Flat:
        """Take the members that matter, of all structures or of one."""
        weights = members.weight
        if structure is not None:
            weights = np.where(np.arange(len(weights))[:, None] == structure, weights, 0.0)
        s, h = np.nonzero(weights > NEGLIGIBLE * weights.max())
        weight = members.weight[s, h]
        whiten = members.whiten[h]
        white = np.matmul(whiten, members.residual[s, h][..., None])
        alpha = np.matmul(np.swapaxes(whiten, 1, 2), white)[..., 0]
        return cls(
            members, weight / weight.sum(), members.theta[s, h], members.covariance[s, h],
            members.design.present[s], members.design.sharpness[s], alpha,
            h // len(members.hypotheses),
        )  # fmt: skip

    def log_times(self, at: Work) -> FloatArray:
        """Return ln t of every member without its discrepancy, shape (M, len(at))."""
        linear, _ = effective_tokens(
            at.new_tokens, np.exp(self.theta[:, 1:2]), self.sharpness[:, None]
        )
        for j, name in enumerate(self.members.design.names, start=2):
            rate = np.exp(self.theta[:, j]) * self.present[:, j]
            linear = linear + rate[:, None] * linear_basis(name, at)
        return np.asarray(self.theta[:, :1] + np.log(linear))

    def discrepancy(self, at: Work) -> FloatArray:
        """W of every member given the measured steps, shape (M, len(at))."""
        shared = self.alpha @ self.members.discrepancy.kernel(self.members.work, at)
        return np.asarray(self.members.noise.tau[self.noise_index, None] ** 2 * shared)

    def correction(self, at: Work) -> FloatArray:
        """How far the average with W lies from the one without, ln, shape (len(at),)."""
        return np.asarray(self.log_mean(at) - _log_mean(self.weight, self.log_times(at)))

    def share_of_tokens(self, at: Work) -> FloatArray:
        """Part of the average that the scaled tokens take, overhead included, shape (len(at),)."""
        linear, _ = effective_tokens(
            at.new_tokens, np.exp(self.theta[:, 1:2]), self.sharpness[:, None]
        )
        tokens = self.weight @ (np.exp(self.theta[:, :1]) * linear)
        return np.asarray(tokens / (self.weight @ np.exp(self.log_times(at))))

    def log_mean(self, at: Work) -> FloatArray:
        """Return ln of the average with W, shape (len(at),)."""
        return _log_mean(self.weight, self.log_times(at) + self.discrepancy(at))


def _log_mean(weight: FloatArray, log_t: FloatArray) -> FloatArray:
    shift = log_t.max(axis=0)
    return np.asarray(shift + np.log(weight @ np.exp(log_t - shift)))


@dataclass(frozen=True)
class Averaged:
    """Coefficients of the average: what ``HachiyaPatias.set_fitted`` takes."""

    form: Scaling
    names: tuple[str, ...]
    theta: FloatArray
    covariance: FloatArray


def coefficients(flat: Flat) -> Averaged:
    """Average the members' coefficients."""
    rate = np.exp(flat.theta[:, 0])
    n0 = np.exp(flat.theta[:, 1])
    names, values, rows = ["tokens"], [rate], [_row(flat, 0)]
    for j, name in enumerate(flat.members.design.names, start=2):
        value = rate * np.exp(flat.theta[:, j]) * flat.present[:, j]
        if (flat.weight @ value) > 0.0:
            names.append(name)
            values.append(value)
            rows.append(_row(flat, 0, j))
    over = rate * n0 * (flat.sharpness == 1.0)
    if (flat.weight @ over) > 0.0:
        names.append("overhead")
        values.append(over)
        rows.append(_row(flat, 0, 1))
    form, floors = _form(flat, rate, n0)
    mean = flat.weight @ np.array(values).T
    relative = np.array(values).T / mean
    spread = [relative[:, 0] - 1.0, *(relative[:, 1:] - 1.0).T]
    scale, gradient = [relative[:, 0], *relative[:, 1:].T], rows
    psi = _psi(form)
    if len(psi):
        inside = (flat.sharpness > 1.0).astype(float)
        moved = inside * np.clip(np.log(n0) - np.log(floors), -3.0, 3.0)
        level, slope = _level(flat, rate, n0, form)
        spread[0], scale[0] = level - 1.0 - slope * moved, level
        spread.insert(1, moved)
        scale.insert(1, inside * level)
        gradient.insert(1, _row(flat, 1))
    covariance = _covariance(flat, np.array(spread).T, np.array(scale).T, np.array(gradient))
    turn = np.eye(len(covariance))
    turn[1 + len(psi) :, 0] = -1.0
    theta = np.concatenate([[np.log(mean[0])], psi, np.log(mean[1:] / mean[0])])
    return Averaged(form, tuple(names[1:]), theta, turn @ covariance @ turn.T)


def _level(flat: Flat, rate: FloatArray, n0: FloatArray, form: Scaling) -> tuple[FloatArray, float]:
    """Time of each member's tokens at the largest step over the mean, and how the floor moves it.

    Where all steps are small alpha_1 and n0 are unknown and their product is known. The logarithms
    of two large deviations would not cancel to first order, this level does.
    """
    most = flat.members.work.new_tokens.max()[None]
    sharp = np.where(flat.sharpness > 1.0, flat.sharpness, 0.0)
    effective = effective_tokens(most, n0, sharp)[0]
    slope = float(form.tokens(most, _psi(form))[1][0, 0])
    return rate * effective / (flat.weight @ (rate * effective)), slope


def _row(flat: Flat, *columns: int) -> FloatArray:
    """Gradient of the logarithm of a coefficient: a sum of parameters."""
    row = np.zeros(flat.theta.shape[1])
    row[list(columns)] = 1.0
    return row


def _covariance(
    flat: Flat, spread: FloatArray, scale: FloatArray, gradient: FloatArray
) -> FloatArray:
    within = np.einsum("ip,mpq,jq->mij", gradient, flat.covariance, gradient)
    within *= scale[:, :, None] * scale[:, None, :]
    between = spread[:, :, None] * spread[:, None, :]
    return np.asarray(np.einsum("m,mij->ij", flat.weight, within + between))


def _form(flat: Flat, rate: FloatArray, n0: FloatArray) -> tuple[Scaling, FloatArray]:
    """Blend the floors; also the floor of the blend that each member went into, shape (M,)."""
    mass = flat.weight * rate
    total, floors = float(mass.sum()), np.ones_like(n0)
    shares, ks, tokens = [], [], []
    for k in (2, 4):
        of_k = flat.sharpness == k
        share = float(mass[of_k].sum()) / total
        if share > NEGLIGIBLE:
            shares.append(share)
            ks.append(k)
            tokens.append(float((mass * n0)[of_k].sum() / mass[of_k].sum()))
            floors[of_k] = tokens[-1]
    if not shares:
        return Off(), floors
    if len(shares) == 1 and shares[0] > 1.0 - NEGLIGIBLE:
        return Floor(ks[0], prior_tokens=tokens[0]), floors
    return Blend(tuple(shares), tuple(ks), tuple(tokens)), floors


def _psi(form: Scaling) -> FloatArray:
    """Values of the parameters of a form that was just built."""
    if isinstance(form, Floor):
        return np.array([np.log(form.prior_tokens)])
    return np.zeros(len(form.parameters))
