r"""Every structure fitted under every noise, all at once, and how well the data speak for each.

A member is one structure (see structures) under one pair of sigma and tau (see discrepancy) and one
hypothesis about which points are spoilt. Its parameters maximise the posterior

    -1/2 |L^-1 [ln y - m - ln t(theta)]|^2 - 1/2 |prior rows theta - target|^2,   L L' = K

K the covariance of the measured log-times; a spoilt point has the variance ``SPOILT_SD``^2 more and
the mean m = ``SPOILT_MEAN``: cold caches and other tenants make a step slower far more often than
faster. Its weight is its evidence (Laplace) times the prior weights of structure, noise and
hypothesis. Averaging instead of picking: Hoeting et al. 1999, Bayesian model averaging,
doi 10.1214/ss/1009212519.

The solver is Levenberg and Marquardt's, run on all members side by side: they are many and small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.domain.work import Work
from lengthwise.formulations.hachiya_patias.discrepancy import Discrepancy, Noise
from lengthwise.formulations.hachiya_patias.structures import Design, Structure
from lengthwise.units import FloatArray, IndexArray

Spoilt = tuple[int, ...]
"""Positions of the points that a hypothesis takes for spoilt."""

SPOILT_SHARE = 0.02
SPOILT_MEAN, SPOILT_SD = 0.5, 0.6
MAX_STEPS = 40
LONGEST_STEP = 2.5
SETTLED = 1e-3
"""Gain of the log-posterior below which a member has settled."""
LARGEST_DAMPING = 1e5
WORTHLESS = 12.0
"""A member this far below the best one in ln posterior is waited for only while it catches up."""


@dataclass(frozen=True)
class Members:
    """Fitted members: S structures, H = noises x hypotheses.

    Attributes
    ----------
    work, log_y
        Measured steps and the logarithms of their times, shape (n,).
    structures, design, noise, discrepancy, hypotheses
        What was fitted.
    theta
        Posterior modes, shape (S, H, P).
    covariance
        Laplace covariance of theta, shape (S, H, P, P).
    whiten
        Inverse Cholesky factor of the covariance of the data, shape (H, n, n).
    residual
        ln y - m - ln t at the mode, shape (S, H, n).
    jacobian
        d ln t / d theta at the mode, shape (S, H, n, P).
    weight
        Posterior weights, shape (S, H), sum 1.
    log_evidence
        Logarithm of the evidence of all members together.
    """

    work: Work
    log_y: FloatArray
    structures: tuple[Structure, ...]
    design: Design
    noise: Noise
    discrepancy: Discrepancy
    hypotheses: tuple[Spoilt, ...]
    theta: FloatArray
    covariance: FloatArray
    whiten: FloatArray
    residual: FloatArray
    jacobian: FloatArray
    weight: FloatArray
    log_evidence: float

    @property
    def by_hypothesis(self) -> FloatArray:
        """Posterior weight of each hypothesis."""
        shape = (len(self.structures), len(self.noise.sigma), len(self.hypotheses))
        return np.asarray(self.weight.reshape(shape).sum(axis=(0, 1)))

    @property
    def spoilt(self) -> FloatArray:
        """Probability of each point to be spoilt, shape (n,)."""
        found = np.zeros(len(self.log_y))
        for share, points in zip(self.by_hypothesis, self.hypotheses, strict=True):
            found[list(points)] += share
        return found

    def mean_square(self, values: FloatArray) -> float:
        """Root of the weighted mean square of a value per noise, shape (noises,)."""
        each = np.repeat(values, len(self.hypotheses))
        return float(np.sqrt((self.weight * each**2).sum()))


def fit_members(
    work: Work, y_s: FloatArray, structures: tuple[Structure, ...], design: Design, noise: Noise,
    hypotheses: tuple[Spoilt, ...] = ((),), discrepancy: Discrepancy | None = None,
) -> Members:  # fmt: skip
    """Fit all members.

    Parameters
    ----------
    work, y_s
        Distinct steps and their times, seconds.
    structures, design
        Structures and their layout over these steps.
    noise
        Pairs of sigma and tau.
    hypotheses
        Sets of points to take for spoilt, each in turn.
    discrepancy
        Covariance of what the laws miss.
    """
    discrepancy = discrepancy or Discrepancy()
    log_y = np.log(y_s)
    marks = np.zeros((len(hypotheses), len(log_y)))
    for mark, points in zip(marks, hypotheses, strict=True):
        mark[list(points)] = 1.0
    base = noise.covariance(discrepancy.kernel(work, work))
    spread = SPOILT_SD**2 * marks[:, :, None] * np.eye(len(log_y))
    covariance = (base[:, None] + spread).reshape(-1, *base.shape[1:])
    whiten, log_det = _whitening(covariance)
    target = log_y - SPOILT_MEAN * np.tile(marks, (len(noise.sigma), 1))
    solver = _Solver(design, whiten, target, log_det)
    solver.run()
    shape = (len(structures), len(whiten))
    evidence = (solver.log_volume() - solver.cost).reshape(shape) - log_det
    evidence += design.log_weight[:, None] + _log_prior(noise, marks)
    top = float(evidence.max())
    total = top + float(np.log(np.exp(evidence - top).sum()))
    found = (solver.theta, solver.covariance(), solver.residual, solver.jacobian)
    theta, sigma, residual, jacobian = (a.reshape(*shape, *a.shape[1:]) for a in found)
    return Members(
        work, log_y, structures, design, noise, discrepancy, hypotheses, theta, sigma, whiten,
        residual, jacobian, np.exp(evidence - total), total,
    )  # fmt: skip


def _whitening(covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Inverse Cholesky factors and half the log-determinants."""
    factor = np.linalg.cholesky(covariance)
    log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    return np.linalg.inv(factor), log_det


def _log_prior(noise: Noise, marks: FloatArray) -> FloatArray:
    """Prior log-weight of every pair of noise and hypothesis, shape (H,)."""
    spoilt = marks.sum(axis=1)
    share = spoilt * np.log(SPOILT_SHARE) + (marks.shape[1] - spoilt) * np.log1p(-SPOILT_SHARE)
    return np.asarray((noise.log_weight[:, None] + share[None]).ravel())


class _Solver:
    """Levenberg-Marquardt on M = S H problems of P unknowns; those that have settled rest."""

    def __init__(
        self, design: Design, whiten: FloatArray, target: FloatArray, log_det: FloatArray
    ) -> None:  # fmt: skip
        count = len(design.log_weight)
        self.design, self.whiten, self.target, self.log_det = design, whiten, target, log_det
        self.structure = np.repeat(np.arange(count), len(whiten))
        self.column = np.tile(np.arange(len(whiten)), count)
        self.precision = np.einsum("spq,spr->sqr", design.rows, design.rows)
        self.theta = design.start()[self.structure]
        every = np.arange(len(self.theta))
        log_t = design.times(self.theta, self.structure)[0]
        self.theta[:, 0] += np.median(target[self.column] - log_t, axis=1)
        self.cost, self.residual, self.jacobian = self._evaluate(self.theta, every)

    def run(self) -> None:
        """Maximise the posterior of every problem."""
        damping = np.full(len(self.theta), 1e-2)
        active = np.arange(len(self.theta))
        for _ in range(MAX_STEPS):
            proposal = self.theta[active] + self._step(active, damping[active])
            cost, residual, jacobian = self._evaluate(proposal, active)
            gain = self.cost[active] - cost
            better = gain > 0.0
            moved = active[better]
            self.theta[moved], self.cost[moved] = proposal[better], cost[better]
            self.residual[moved], self.jacobian[moved] = residual[better], jacobian[better]
            damping[active] = np.where(better, damping[active] / 5.0, damping[active] * 6.0)
            loss = self.cost + self.log_det[self.column]
            behind = loss[active] - loss.min() - WORTHLESS
            going = np.where(better, gain > SETTLED, damping[active] < LARGEST_DAMPING)
            active = active[going & ((behind < 0.0) | ~better | (gain > 0.05 * behind))]
            if not len(active):
                break

    def log_volume(self) -> FloatArray:
        """Log of posterior over prior volume of theta, shape (M,)."""
        every = np.arange(len(self.theta))
        prior = 0.5 * np.linalg.slogdet(self.precision)[1]
        hessian = self._normal_equations(every)[1]
        return np.asarray(prior[self.structure] - 0.5 * np.linalg.slogdet(hessian)[1])

    def covariance(self) -> FloatArray:
        """Laplace covariance, shape (M, P, P); parameters that are not present have none."""
        hessian = self._normal_equations(np.arange(len(self.theta)))[1]
        present = self.design.present[self.structure]
        return np.linalg.inv(hessian) * present[:, :, None] * present[:, None, :]

    def _step(self, active: IndexArray, damping: FloatArray) -> FloatArray:
        gradient, hessian = self._normal_equations(active)
        diagonal = np.arange(gradient.shape[-1])
        hessian[:, diagonal, diagonal] *= 1.0 + damping[:, None]
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        return np.clip(step, -LONGEST_STEP, LONGEST_STEP)

    def _normal_equations(self, active: IndexArray) -> tuple[FloatArray, FloatArray]:
        whiten, structure = self.whiten[self.column[active]], self.structure[active]
        white = np.matmul(whiten, self.jacobian[active])
        error = np.matmul(whiten, self.residual[active][..., None])
        across = np.swapaxes(white, 1, 2)
        prior = self._prior(self.theta[active], structure)
        pull = np.matmul(np.swapaxes(self.design.rows, 1, 2)[structure], prior[..., None])
        gradient = (np.matmul(across, error) - pull)[..., 0]
        return gradient, np.matmul(across, white) + self.precision[structure]

    def _prior(self, theta: FloatArray, structure: IndexArray) -> FloatArray:
        rows = self.design.rows[structure]
        return np.asarray(np.matmul(rows, theta[..., None])[..., 0] - self.design.target[structure])

    def _evaluate(
        self, theta: FloatArray, active: IndexArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        column, structure = self.column[active], self.structure[active]
        log_t, jacobian = self.design.times(theta, structure)
        residual = self.target[column] - log_t
        white = np.matmul(self.whiten[column], residual[..., None])[..., 0]
        cost = (white**2).sum(axis=-1) + (self._prior(theta, structure) ** 2).sum(axis=-1)
        return 0.5 * cost, residual, jacobian
