"""What vLLM and SGLang say about themselves between two scrapes of ``/metrics``.

Means come from ``_sum`` and ``_count`` and are exact. Buckets only bound a quantile: the first one
of vLLM's ITL ends at 10 ms, so nothing inside it can be told apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lengthwise.data.prometheus_names import ENGINES, LENGTHS, TIMES
from lengthwise.data.prometheus_text import Histogram, Metrics, parse
from lengthwise.errors import FileFormatError
from lengthwise.measurement.http.discover import fetch, split_url
from lengthwise.measurement.http.exchange import Transport, WireError
from lengthwise.units import s_to_ms

__all__ = ["ServerView", "difference", "parse", "scrape"]


@dataclass(frozen=True)
class ServerView:
    """What the server counted between two scrapes.

    Attributes
    ----------
    engine
        ``vllm`` or ``sglang``, empty if it is neither.
    times
        Histograms in seconds by our name.
    lengths
        Histograms in tokens.
    problems
        What could not be told, and why.
    """

    engine: str
    times: Mapping[str, Histogram]
    lengths: Mapping[str, Histogram]
    problems: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Give means and bounds in milliseconds, ready for JSON."""
        found: dict[str, Any] = {"engine": self.engine, "clock": "server"}
        for name, histogram in self.times.items():
            bounds = histogram.quantile_bounds(0.5)
            found[name] = {
                "mean": _ms(histogram.mean), "n": int(histogram.count),
                "p50_between": [_ms(b) for b in bounds] if bounds else None,
                "source": self.sources.get(name, ""),
            }  # fmt: skip
        for name, histogram in self.lengths.items():
            found[name] = {"mean": histogram.mean, "n": int(histogram.count)}
        return found | ({"problems": list(self.problems)} if self.problems else {})

    def to_rows(self) -> list[dict[str, Any]]:
        """Give one row per figure: ``metric``, ``mean_ms``, ``n``, ``p50_lo_ms``, ``p50_hi_ms``."""
        rows = []
        for name, histogram in self.times.items():
            lo, hi = histogram.quantile_bounds(0.5) or (None, None)
            rows.append({
                "metric": name, "clock": "server", "mean_ms": _ms(histogram.mean),
                "n": int(histogram.count), "p50_lo_ms": _ms(lo), "p50_hi_ms": _ms(hi),
            })  # fmt: skip
        return rows


async def scrape(
    transport: Transport, url: str, headers: Mapping[str, str] | None = None
) -> tuple[Metrics | None, str]:
    """Read the metrics of a server; None and the reason if it gives none."""
    prefix = split_url(url)[1].removesuffix("/v1")
    problem = "no answer"
    for path in dict.fromkeys((f"{prefix}/metrics", "/metrics")):
        try:
            answer = await fetch(transport, path, headers or {}, 10.0)
        except WireError as error:
            return None, f"{error.label}: {error.detail}"
        if answer.status != 200:
            problem = f"status {answer.status} from {path}"
            continue
        try:
            return parse(bytes(answer.body).decode(errors="replace")), ""
        except FileFormatError as error:
            problem = str(error)
    return None, problem


def difference(before: Metrics, after: Metrics) -> ServerView:
    r"""Give what happened between two scrapes.

    Examples
    --------
    >>> name = "vllm:time_to_first_token_seconds"
    >>> first, second = (parse(f"{name}_sum {s}\n{name}_count {n}") for s, n in ((1, 2), (4, 8)))
    >>> difference(first, second).times["ttft_ms"].mean
    0.5
    """
    times: dict[str, Histogram] = {}
    lengths: dict[str, Histogram] = {}
    sources: dict[str, str] = {}
    problems: list[str] = []
    for table, into, unit in ((TIMES, times, "_ms"), (LENGTHS, lengths, "")):
        for name, candidates in table.items():
            known = (f"{engine}:{candidate}" for candidate in candidates for engine in ENGINES)
            source = next((c for c in known if after.histogram(c) is not None), None)
            if source is None:
                continue
            added = _added(before, after, source)
            if added is None:
                problems.append(f"{source} began anew: the server was restarted in between")
            elif added.count:
                into[name + unit], sources[name + unit] = added, source
    names = " ".join(after.samples)
    engine = next((e for e in ENGINES if f"{e}:" in names), "")
    return ServerView(engine, times, lengths, tuple(problems), sources)


def _added(before: Metrics, after: Metrics, name: str) -> Histogram | None:
    later, earlier = after.histogram(name), before.histogram(name)
    assert later is not None
    return later if earlier is None else later.minus(earlier)


def _ms(value_s: float | None) -> float | None:
    finite = value_s is not None and abs(value_s) != float("inf")
    return float(s_to_ms(value_s)) if finite else None
