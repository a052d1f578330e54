"""The metrics of llm-d's training server, named and written as its own are.

No HELP or TYPE lines, and `{}` where a metric has no label: clients look for these very strings.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from lengthwise.interfaces.http.context import Context
from lengthwise.interfaces.http.exchange import IN_THREAD, Call, Reply, Route, text
from lengthwise.interfaces.http.influence import influences
from lengthwise.interfaces.http.linear import plane
from lengthwise.interfaces.http.llmd_training import FLUSHED
from lengthwise.interfaces.http.metrics import number
from lengthwise.interfaces.http.tally import CACHES, PREFIXES, QUEUES, TARGETS, Tally, span
from lengthwise.interfaces.service.store import ServiceUnavailable

CONTENT_TYPE = "text/plain; version=0.0.4"
MOST_SCORES = 5


class LlmdMetrics:
    """Handler of `/metrics`.

    Parameters
    ----------
    context
        Settings, store and law.
    tally
        Counts by bucket.
    """

    def __init__(self, context: Context, tally: Tally) -> None:
        self._context, self._tally = context, tally

    def metrics(self, call: Call) -> Reply:
        """All metrics as text; as they were last while the database is away."""
        with suppress(ServiceUnavailable):
            self._tally.fresh()
        tally = self._tally
        lines = [*self._settings(), *self._law(), *_samples(tally), *_prefixes(tally)]
        return text("\n".join([*lines, *self._scores()]) + "\n", CONTENT_TYPE)

    def _settings(self) -> list[str]:
        settings = self._context.settings
        return [
            f'model_type{{type="{settings.model_type}"}} 1',
            f'objective_type{{type="{settings.objective}"}} 1',
            f"model_quantile{{}} {number(settings.alpha)}",
            "ensemble_active{} 0",
            f"ensemble_mode{{}} {int(settings.ensemble_mode)}",
        ]

    def _law(self) -> list[str]:
        law = self._context.current.law
        lines: list[str] = []
        for target in TARGETS:
            if self._context.settings.model_type == "bayesian_ridge":
                intercept, values = plane(law, target)
                lines.append(f"{target}_intercept{{}} {number(intercept)}")
                name = f"{target}_coef"
            else:
                values, name = influences(law, target), f"{target}_importance"
            lines += [f'{name}{{feature="{f}"}} {number(v)}' for f, v in values.items()]
        return lines

    def _scores(self) -> list[str]:
        """Scores of the last observations, each predicted before it was learnt."""
        store, settings = self._context.kept, self._context.settings
        since = 0.0
        recent: dict[str, Any] = {}
        with suppress(ServiceUnavailable):
            since = (store.get(FLUSHED) or {}).get("metrics", 0.0)
            recent = (store.get("live") or {}).get("recent", {})
        lines: list[str] = []
        for target in TARGETS:
            found = _columns(recent.get(target, {}), since)
            for idx, part in enumerate(np.array_split(found, MOST_SCORES, axis=1)):
                if part.shape[1]:
                    lines += _score(target, idx, part, settings.objective, settings.alpha)
        if settings.objective == "quantile":
            lines.append(f"target_coverage_percent{{}} {number(100 * settings.alpha)}")
            lines.append(f"target_violation_rate_percent{{}} {number(100 * (1 - settings.alpha))}")
        return lines

    def routes(self) -> list[Route]:
        """List the endpoint."""
        return [Route("GET", "/metrics", self.metrics, "Metrics of the training server", IN_THREAD,
                      tag="llm-d")]  # fmt: skip


def _columns(recent: dict[str, Any], since: float) -> Any:
    """Observed, predicted, lower and upper end in ms, shape (4, n)."""
    if not recent.get("time_s"):
        return np.zeros((4, 0))
    names = ("observed_ms", "predicted_ms", "lo_ms", "hi_ms")
    table = np.array([recent[name] for name in names], dtype=float)
    return table[:, np.array(recent["time_s"]) > since]


def _score(target: str, idx: int, part: Any, objective: str, alpha: float) -> list[str]:
    observed, predicted, lo, hi = part
    if objective == "mean":
        error = predicted - observed
        values = {"mae": np.abs(error).mean(), "rmse": np.sqrt((error**2).mean())}
    else:
        # the record holds mean and interval: the quantile asked for lies in between, in logarithm
        upper = _quantile_of(predicted, lo, hi, alpha)
        short = observed - upper
        covered = 100.0 * float((short <= 0).mean())
        values = {
            "quantile_loss": np.maximum(alpha * short, (alpha - 1) * short).mean(),
            "coverage_percent": covered,
            "violation_rate_percent": 100.0 - covered,
        }
    return [f'{target}_{name}{{idx="{idx}"}} {number(v)}' for name, v in values.items()]


def _quantile_of(predicted: Any, lo: Any, hi: Any, alpha: float) -> Any:
    from statistics import NormalDist

    place = NormalDist().inv_cdf(alpha) / NormalDist().inv_cdf(0.95)
    middle = np.sqrt(np.maximum(lo, 1e-9) * np.maximum(hi, 1e-9))
    end = hi if place >= 0 else lo
    return middle * (np.maximum(end, 1e-9) / middle) ** abs(place)


def _samples(tally: Tally) -> list[str]:
    lines: list[str] = []
    for target, counts in tally.counts.items():
        model = f'model="{target}"'
        lines += [
            f'training_samples_count{{{model},queue_bucket="{q}",cache_bucket="{c}",'
            f'prefix_bucket="{p}"}} {counts[q, c, p]}'
            for q in range(QUEUES)
            for c in range(CACHES)
            for p in range(PREFIXES)
        ]
        for axes, name, label in (
            ((1, 2), "queue", "queue_bucket"), ((0, 2), "cache", "cache_bucket"),
        ):  # fmt: skip
            totals = counts.sum(axis=axes)
            lines += [
                f'training_samples_{name}_total{{{model},{label}="{i}"}} {n}'
                for i, n in enumerate(totals)
            ]
        lines += [
            f'training_samples_prefix_total{{{model},prefix_bucket="{i}",range="{span(i)}"}} {n}'
            for i, n in enumerate(counts.sum(axis=(0, 1)))
        ]
    return lines


def _prefixes(tally: Tally) -> list[str]:
    lines: list[str] = []
    if tally.shares:
        shares = np.array(tally.shares)
        values = {
            "mean": shares.mean(), "std": shares.std(), "min": shares.min(), "max": shares.max(),
        }  # fmt: skip
        lines += [f"prefix_score_{name}{{}} {number(v)}" for name, v in values.items()]
    for prefix, found in tally.by_prefix().items():
        for name, key in (("avg", "mean_ttft_ms"), ("median", "median_ttft_ms")):
            lines.append(f'{name}_ttft_by_prefix{{range="{prefix}"}} {number(found[key])}')
    return lines
