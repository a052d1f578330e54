r"""Learn from public curves what laws are like, and write ``lengthwise/calibration/learned.json``.

    LENGTHWISE_DATA=... OMP_NUM_THREADS=1 python benchmarks/learn_priors.py

Empirical Bayes by expectation and maximisation: every curve, thinned to twelve points, is fitted
under the present priors; the weights of noises and structures become the mean of their posteriors,
the priors of coefficients the mean and spread of theirs. ``PSEUDO`` set-ups of the starting priors
take part, so that nothing becomes impossible. Set-ups count once; a source with n of them counts
n^(1/4). Everything is learnt once from all sources and once without each of them; the priors that
learning starts from are written beside them (``untaught``).

What is not learnt, because it made a source that was left out worse (experiments/LOG.md): weights
of structures for whole prompts, where nearly all public curves are of full attention, and standard
deviations below those of ``LEAST_SD``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np

from lengthwise.calibration.average import Knowledge, average, members_of
from lengthwise.calibration.folds import is_interior
from lengthwise.calibration.groups import Group, groups_of
from lengthwise.calibration.held_out import left_out_one_by_one
from lengthwise.calibration.intervals import FEW
from lengthwise.calibration.learned import (
    ALL,
    KINDS,
    UNTAUGHT,
    KindPrior,
    attention_of,
    has_experts,
    kind_of,
)
from lengthwise.data import datasets
from lengthwise.domain.model import ModelSpec
from lengthwise.domain.work import Work
from lengthwise.formulations.hachiya_patias.discrepancy import SIGMAS, TAUS
from lengthwise.formulations.hachiya_patias.priors import attention_ratio, kv_cost
from lengthwise.units import FloatArray

SOURCES = ("ik_llama_sweep_bench", "ds4_speed_bench", "minference", "krisdcosta_edge",
           "turboquant_plus")  # fmt: skip
ROUNDS, PSEUDO, POWER, POINTS = 4, 2.0, 0.25, 12
EVEN = {"none": 0.25, "overhead": 0.25, "floor2": 0.25, "floor4": 0.25}
START: dict[str, dict[str, Any]] = {
    **{
        kind: {
            "short_end": EVEN, "e1": {"off": 0.5, "quadratic": 0.5},
            "depth": {"none": 0.7, "KV": 0.3, "KV_root": 0.01},
            "coefficients": {
                "ln_n0_tokens": (5.0, 2.0), "E1": (-9.9, 2.0), "E1_dense": (0.0, 1.0),
                "E1_experts": (0.0, 1.0), "KV": (-11.5, 2.0), "KV_known": (0.0, 1.5),
            },
        }
        for kind in ("prompt", "chunk")
    },
    "decode": {
        "short_end": {"none": 0.02, "overhead": 0.6, "floor2": 0.28, "floor4": 0.1},
        "e1": {"off": 1.0, "quadratic": 1.0},
        "depth": {"none": 0.33, "KV": 0.34, "KV_root": 0.33},
        "coefficients": {
            "ln_n0_tokens": (3.4, 2.0), "KV": (-11.7, 2.0), "KV_known": (0.0, 1.5),
            "KV_root": (-7.0, 2.0),
        },
    },
}  # fmt: skip
LEARNT = {"prompt": (), "chunk": ("e1", "depth"), "decode": ("depth",)}
"""Weights of alternatives that are learnt; the others stay as they start."""
LEAST_SD = {
    "ln_n0_tokens": 2.0, "E1": 2.0, "E1_dense": 0.7, "E1_experts": 1.0, "KV": 1.5, "KV_known": 1.2,
    "KV_root": 2.0,
}  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """One thinned curve with its weight."""

    source: str
    setup: str
    kind: str
    work: Work
    y_s: FloatArray
    spec: ModelSpec | None


@dataclass(frozen=True)
class Learnt:
    """Posterior of one curve: weights of noises and alternatives, moments of coefficients."""

    noise: FloatArray
    shares: dict[str, dict[str, float]]
    moments: dict[str, FloatArray]


def curves(source: str) -> Iterator[Curve]:
    """Read the curves of a source, at most ``POINTS`` points each, spread over their logarithm."""
    table = datasets.table(source)
    for setup, rows in table.groupby("setup", sort=True):
        for group in groups_of(rows.reset_index(drop=True)):
            length = np.log(group.work.length)
            targets = np.linspace(length.min(), length.max(), POINTS)
            picks = np.unique(np.abs(length[:, None] - targets[None]).argmin(axis=0))
            if len(picks) >= 3:
                sparse = attention_of(group.spec, group.labels) == "sparse"
                yield Curve(source, str(setup), kind_of(group.work), group.work.take(picks),
                            group.y_s[picks], None if sparse else group.spec)  # fmt: skip


def posterior(task: tuple[Curve, KindPrior]) -> Learnt:
    """Fit one curve under the present priors."""
    curve, prior = task
    members = members_of(curve.work, curve.y_s, Knowledge(prior))
    noises = members.noise
    weight = members.weight.reshape(len(members.structures), len(noises.sigma), -1).sum(axis=2)
    noise = np.zeros((len(SIGMAS), len(TAUS)))
    rows = [SIGMAS.index(s) for s in noises.sigma]
    columns = [TAUS.index(t) for t in noises.tau]
    noise[rows, columns] = weight.sum(axis=0)
    shares: dict[str, dict[str, float]] = {n: defaultdict(float) for n in ("e1", "depth")}
    for structure, share in zip(members.structures, weight.sum(axis=1), strict=True):
        depth = next((n for n in ("KV", "KV_root") if n in structure.terms), "none")
        shares["e1"][structure.e1] += float(share)
        shares["depth"][depth] += float(share)
    return Learnt(noise, shares, _moments(members, curve))


def _moments(members: Any, curve: Curve) -> dict[str, FloatArray]:
    """Weight, weighted sum and weighted sum of squares of every coefficient's logarithm."""
    found = {}
    fastest = float(np.log(curve.y_s.min()))
    for j, name in enumerate(("ln_n0_tokens", *members.design.names), start=1):
        if name not in LEAST_SD:
            continue
        weight = members.weight * members.design.present[:, None, j]
        value = members.theta[..., j]
        if name in ("KV", "KV_root"):
            value = value + members.theta[..., 0] - fastest
        second = value**2 + members.covariance[..., j, j]
        found[name] = np.array([weight.sum(), (weight * value).sum(), (weight * second).sum()])
    for name, (known, mean) in _expected(curve.spec).items():
        if name in found:
            w, m1, m2 = found[name]
            found[known] = np.array([w, m1 - mean * w, m2 - 2.0 * mean * m1 + mean**2 * w])
    return found


def _expected(spec: ModelSpec | None) -> dict[str, tuple[str, float]]:
    """Return what the architecture says of coefficients, and the name of the deviation from it."""
    if spec is None:
        return {}
    found = {}
    if spec.flops_per_pair:
        name = "E1_experts" if has_experts(spec) else "E1_dense"
        found["E1"] = (name, attention_ratio(spec).mean)
    if spec.kv_bytes_per_token:
        found["KV"] = ("KV_known", kv_cost(spec, 1.0).mean)
    return found


def learn(every: list[Curve], pool: Any) -> dict[str, dict[str, Any]]:
    """Run the rounds of expectation and maximisation on some curves."""
    present = starting()
    weights = _weights(every)
    for _ in range(ROUNDS):
        tasks = [(c, KindPrior.of(present[c.kind])) for c in every]
        results = pool.map(posterior, tasks, chunksize=8)
        present = {
            kind: _maximised(kind, [(r, w) for c, r, w in zip(every, results, weights, strict=True)
                                    if c.kind == kind])
            for kind in START
        }  # fmt: skip
    return _with_mixed(present)


def starting() -> dict[str, dict[str, Any]]:
    """Return the priors that learning starts from, by kind."""
    return {kind: _start(kind) for kind in START}


def _with_mixed(priors: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Let mixed steps be like chunks: no public curve is of them."""
    return priors | {"mixed": priors["chunk"]}


def _start(kind: str) -> dict[str, Any]:
    even = np.full((len(SIGMAS), len(TAUS)), 1.0 / (len(SIGMAS) * len(TAUS)))
    return {"noise": even.tolist(), **START[kind]}


def _weights(every: list[Curve]) -> list[float]:
    of_setup: dict[tuple[str, str, str], int] = defaultdict(int)
    setups: dict[tuple[str, str], set[str]] = defaultdict(set)
    for c in every:
        of_setup[c.source, c.kind, c.setup] += 1
        setups[c.source, c.kind].add(c.setup)
    return [len(setups[c.source, c.kind]) ** (POWER - 1.0) / of_setup[c.source, c.kind, c.setup]
            for c in every]  # fmt: skip


def _maximised(kind: str, found: list[tuple[Learnt, float]]) -> dict[str, Any]:
    start, total = _start(kind), sum(w for _, w in found)
    noise = _smooth(np.sum([w * r.noise for r, w in found], axis=0))
    noise = (noise + PSEUDO * np.array(start["noise"])) / (noise.sum() + PSEUDO)
    out = start | {"noise": np.round(noise, 5).tolist()}
    for name in LEARNT[kind]:
        out[name] = {
            k: round((sum(w * r.shares[name].get(k, 0.0) for r, w in found) + PSEUDO * p)
                     / (total + PSEUDO), 4)
            for k, p in start[name].items()
        }  # fmt: skip
    out["coefficients"] = {
        name: _coefficient(name, pair, found) for name, pair in start["coefficients"].items()
    }
    return out


def _coefficient(
    name: str, start: tuple[float, float], found: list[tuple[Learnt, float]]
) -> tuple[float, float]:  # fmt: skip
    mean, sd = start
    total = PSEUDO * np.array([1.0, mean, sd**2 + mean**2])
    for one, weight in found:
        total = total + weight * one.moments.get(name, np.zeros(3))
    centre = total[1] / total[0]
    spread = float(np.sqrt(max(total[2] / total[0] - centre**2, 0.0)))
    return round(float(centre), 3), round(max(spread, LEAST_SD[name]), 3)


def _smooth(noise: FloatArray) -> FloatArray:
    """Give a little of every cell to its neighbours."""
    wide = np.pad(noise, 1)
    around = wide[2:, 1:-1] + wide[:-2, 1:-1] + wide[1:-1, 2:] + wide[1:-1, :-2]
    return np.asarray(0.7 * noise + 0.075 * around)


@dataclass(frozen=True)
class Misses:
    """|residual| / s of one curve, by law without its source: in range, and beyond by points."""

    source: str
    kind: str
    inside: FloatArray
    few: FloatArray
    many: FloatArray


def misses(task: tuple[str, Group, KindPrior]) -> Misses:
    """Predict the long part of one curve from its short one, and from a few points of it."""
    source, group, prior = task
    length = group.work.length
    short, far = (
        np.flatnonzero(length <= length.max() / 4),
        np.flatnonzero(length > length.max() / 4),
    )
    knowledge = Knowledge(prior, group.spec, attention_of(group.spec, group.labels))
    rng = np.random.default_rng(len(group))
    found: dict[str, list[FloatArray]] = {"inside": [], "few": [], "many": []}
    for number in (0, 3, 4, 6):
        if len(short) < max(number, 3):
            continue
        some = short if not number else np.append(
            np.sort(rng.choice(short[:-1], number - 1, replace=False)), short[-1])  # fmt: skip
        fitted = average(group.work.take(some), group.y_s[some], knowledge)
        at = group.work.take(far)
        residual = np.log(group.y_s[far] / fitted.law.predict_work(at))
        name = "few" if len(some) <= FEW else "many"
        found[name].append(np.abs(residual) / fitted.law.log_scale(at))
        if not number:
            near = left_out_one_by_one(fitted.members, fitted.law)
            inner = is_interior(fitted.members.work)[near.index]
            found["inside"].append((np.abs(near.residual) / near.scale)[inner])
    parts = {k: np.concatenate([np.empty(0), *v]) for k, v in found.items()}
    return Misses(source, kind_of(group.work), **parts)


def scores_of(found: list[Misses], kind: str) -> dict[str, list[float]]:
    """Quantiles of the misses of a kind, every curve of a source and every source alike."""
    out = {}
    for name, count in (("inside", 5), ("few", 40), ("many", 40)):
        values, weights = [], []
        mine = [m for m in found if m.kind == kind and len(getattr(m, name))]
        for m in mine:
            of_source = sum(o.source == m.source for o in mine)
            values.append(getattr(m, name))
            weights.append(np.full(len(values[-1]), 1.0 / len(values[-1]) / of_source))
        value, weight = np.concatenate(values), np.concatenate(weights)
        order = np.argsort(value)
        reached = np.cumsum(weight[order]) / weight.sum()
        levels = (np.arange(count) + 0.5) / count
        out[name] = np.round(value[order][np.searchsorted(reached, levels)], 4).tolist()
    return out


def all_misses(priors: dict[str, Any], pool: Any) -> list[Misses]:
    """Judge every curve by priors without its source."""
    tasks = []
    for source in SOURCES:
        for group in groups_of(datasets.table(source)):
            lengths = np.unique(group.work.length)
            if (lengths <= lengths.max() / 4).sum() >= 3:
                taught = priors[f"without {source}"][kind_of(group.work)]
                tasks.append((source, group, KindPrior.of(taught)))
    return list(pool.map(misses, tasks, chunksize=8))


def main() -> None:
    """Learn from all sources and without each, and write the file."""
    every = [c for source in SOURCES for c in curves(source)]
    with Pool(2) as pool:
        priors = {UNTAUGHT: _with_mixed(starting()), ALL: learn(every, pool)}
        for source in SOURCES:
            rest = [c for c in every if c.source != source]
            priors[f"without {source}"] = learn(rest, pool)
            print(source, {k: priors[f"without {source}"][k]["coefficients"] for k in START})
        found = all_misses(priors, pool)
    for name, by_kind in priors.items():
        rest = [m for m in found if name != f"without {m.source}"]
        kinds = {m.kind for m in rest}
        for kind in ("prompt", "chunk", "decode"):
            by_kind[kind] = by_kind[kind] | {
                "scores": scores_of(rest if kind in kinds else found, kind)
            }
        by_kind["mixed"] = by_kind["chunk"]
    data = {
        "made_by": "benchmarks/learn_priors.py", "kinds": list(KINDS),
        "sources": {s: sorted({c.setup for c in every if c.source == s}) for s in SOURCES},
        "licences": {s: datasets.describe(s).licence for s in SOURCES}, "priors": priors,
    }  # fmt: skip
    path = Path(str(files("lengthwise.calibration"))) / "learned.json"
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
