r"""What measured curves teach about laws before the first own measurement.

Weights of structures and noises, and priors of their coefficients, are learnt by empirical Bayes
from public curves of latency against length (see ``benchmarks/learn_priors.py``, which writes
``learned.json``): every set-up counts once, and a source with many set-ups counts as the root of
their number. Whoever scores a law on one of these sources must take the priors of all others:
``learned(without="...")``; what learning starts from is ``untaught()``.

Four kinds of groups are told apart: ``prompt`` (whole prompts), ``chunk`` (prefill steps on cached
prefixes), ``decode`` and ``mixed`` steps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from lengthwise.calibration.intervals import PublicScores
from lengthwise.domain.attention_hint import attention_hint
from lengthwise.domain.model import ModelSpec
from lengthwise.domain.work import Work
from lengthwise.formulations.hachiya_patias.discrepancy import SIGMAS, TAUS, Noise
from lengthwise.formulations.hachiya_patias.priors import LogNormal, attention_ratio, kv_cost
from lengthwise.formulations.hachiya_patias.structures import Structure
from lengthwise.formulations.hachiya_patias.terms import KERNELS, Term
from lengthwise.units import FloatArray

KINDS = ("prompt", "chunk", "decode", "mixed")
ALL, UNTAUGHT = "all", "untaught"
E1_IF_FULL = 0.9
"""Prior probability of E1 when the model is known to have full attention."""
TWO_KERNELS = 0.3
"""Odds of either kernel to be dearer per token where steps with and without a prefix were timed."""
E1_IF_SPARSE = 0.2
"""The same when names say that attention is sparse or linear, or the model has none."""


@dataclass(frozen=True)
class KindPrior:
    """What is known of one kind of group.

    Attributes
    ----------
    noise
        Weights of (sigma, tau), shape (sigmas, taus), sum 1.
    short_end, e1, depth
        Prior probabilities of the alternatives of a structure, by name.
    coefficients
        Priors by parameter: mean and standard deviation of the logarithm. ``E1`` and ``KV`` are
        ratios to alpha_1 and to the fastest step; ``E1_dense``, ``E1_experts`` and ``KV_known`` are
        deviations from what the architecture of a known model says.
    scores
        How far laws were off in terms of the scale they state, on public curves.
    """

    noise: FloatArray
    short_end: Mapping[str, float]
    e1: Mapping[str, float]
    depth: Mapping[str, float]
    coefficients: Mapping[str, tuple[float, float]]
    scores: PublicScores | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> KindPrior:
        """Read one kind of ``learned.json``."""
        noise = np.asarray(data["noise"], dtype=float)
        if noise.shape != (len(SIGMAS), len(TAUS)):
            raise ValueError(f"noise must have shape {(len(SIGMAS), len(TAUS))}")
        pairs = {k: (float(v[0]), float(v[1])) for k, v in data["coefficients"].items()}
        kept = data.get("scores")
        scores = PublicScores(**{k: tuple(v) for k, v in kept.items()}) if kept else None
        weights = (data["short_end"], data["e1"], data["depth"])
        return cls(noise / noise.sum(), *weights, pairs, scores)

    def grid(self, *, discrepancy: bool = True) -> Noise:
        """Pairs of sigma and tau with their weights."""
        return Noise.grid(self.noise, discrepancy=discrepancy)

    def log_weights(
        self, structures: Iterable[Structure], attention: str | None = None
    ) -> FloatArray:
        """Prior log-weight of each structure.

        Parameters
        ----------
        structures
            Structures of one fit.
        attention
            ``full``, ``sparse`` or None when nothing is known (see :func:`attention_of`).
        """
        e1 = dict(self.e1)
        if attention is not None:
            share = E1_IF_FULL if attention == "full" else E1_IF_SPARSE
            e1 = {"quadratic": share, "off": 1.0 - share}
        found = [
            math.log(self.short_end[s.short_end])
            + math.log(e1[s.e1])
            + math.log(self._depth(s))
            + (math.log(TWO_KERNELS) if any(k in s.terms for k in KERNELS) else 0.0)
            for s in structures
        ]
        weights = np.exp(np.array(found) - max(found))
        return np.asarray(np.log(weights / weights.sum()))

    def _attention(self, spec: ModelSpec | None) -> LogNormal:
        """Prior of E1 over alpha_1: from the architecture, else from all curves."""
        if spec is None or not spec.flops_per_pair:
            return LogNormal(*self.coefficients["E1"])
        shift, sd = self.coefficients["E1_experts" if has_experts(spec) else "E1_dense"]
        return LogNormal(attention_ratio(spec).mean + shift, sd)

    def _depth(self, structure: Structure) -> float:
        name = next((n for n in ("KV", "KV_root") if n in structure.terms), "none")
        return self.depth[name]

    def priors(
        self, terms: Iterable[Term], spec: ModelSpec | None, fastest_s: float
    ) -> dict[str, LogNormal]:
        """Priors of all parameters of a fit.

        Parameters
        ----------
        terms
            Linear terms that the data identify, with their general priors.
        spec
            Architecture, when known: it sets E1 and KV.
        fastest_s
            Fastest time measured, seconds.
        """
        found = {t.name: t.prior for t in terms}
        found["ln_n0_tokens"] = LogNormal(*self.coefficients["ln_n0_tokens"])
        if "E1" in found:
            found["E1"] = self._attention(spec)
        for name in ("KV", "KV_root"):
            if name in found:
                mean, sd = self.coefficients[name]
                found[name] = LogNormal(mean + math.log(fastest_s), sd, absolute=True)
        if "KV" in found and spec is not None and spec.kv_bytes_per_token:
            known = kv_cost(spec, fastest_s)
            found["KV"] = _pooled(found["KV"], known, self.coefficients["KV_known"])
        return found


def has_experts(spec: ModelSpec) -> bool:
    """Tell whether a model uses a part of its weights only, whose products run well below peak.

    >>> from lengthwise.domain.model import find_model
    >>> has_experts(find_model("mixtral-8x7b")), has_experts(find_model("llama3.1-8b"))
    (True, False)
    """
    return spec.total_parameters > 1.3 * spec.active_parameters


def _pooled(general: LogNormal, known: LogNormal, deviation: tuple[float, float]) -> LogNormal:
    """Combine what all curves and what the architecture say, each with half the weight.

    Engines keep weights and caches in other formats than published, so neither is right alone.
    """
    mean = 0.5 * (general.mean + known.mean + deviation[0])
    return LogNormal(mean, max(0.5 * (general.sd + deviation[1]), 1.0), absolute=True)


def kind_of(work: Work) -> str:
    """Name the kind of a group of steps.

    >>> kind_of(Work.of("prefill", query_len=[512.0], context_len=[2048.0]))
    'chunk'
    """
    if work.phase != "prefill":
        return work.phase
    return "prompt" if bool(work.is_fresh.all()) else "chunk"


def attention_of(spec: ModelSpec | None, labels: Mapping[str, object]) -> str | None:
    """Tell what is known of the attention: ``full``, ``sparse`` or None.

    Parameters
    ----------
    spec
        Architecture, when known.
    labels
        Deployment labels: names of model and engine may say that attention is sparse or linear.

    Examples
    --------
    >>> attention_of(None, {"engine": "transformers MInference"})
    'sparse'
    """
    if attention_hint(labels) is not None:
        return "sparse"
    if spec is None:
        return None
    return "full" if spec.flops_per_pair else "sparse"


@cache
def _file() -> dict[str, Any]:
    text = files("lengthwise.calibration").joinpath("learned.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


@cache
def learned(without: str | None = None) -> dict[str, KindPrior]:
    """Read the learnt priors by kind.

    Parameters
    ----------
    without
        Source to leave out, as named in ``learned.json``; one that is not there changes nothing.

    Examples
    --------
    >>> sorted(learned())
    ['chunk', 'decode', 'mixed', 'prompt']
    """
    name = f"without {without}"
    return _priors(name if name in _file()["priors"] else ALL)


@cache
def untaught() -> dict[str, KindPrior]:
    """Read the priors by kind that learning starts from: even noise, wide coefficients.

    They tell what the curves have taught: fit with ``LawSet(learned=untaught())``.

    Examples
    --------
    >>> len(untaught()["prompt"].grid().sigma), float(untaught()["prompt"].noise.max().round(3))
    (36, 0.028)
    """
    return _priors(UNTAUGHT)


def _priors(name: str) -> dict[str, KindPrior]:
    return {kind: KindPrior.of(data) for kind, data in _file()["priors"][name].items()}
