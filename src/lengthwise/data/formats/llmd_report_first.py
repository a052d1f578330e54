"""llm-d benchmark report 0.1 in the shape of 0.2.

It has ``metrics`` where later ones have ``results``, throughput as plain numbers, and lists of
hosts and engines that belong together by their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.fields import at, damaged, first

_RATES = {
    "input_tokens_per_sec": "input_token_rate", "output_tokens_per_sec": "output_token_rate",
    "total_tokens_per_sec": "total_token_rate", "requests_per_sec": "request_rate",
}  # fmt: skip


def as_second(report: Any) -> dict[str, Any]:
    """Return a report of version 0.1 in the shape of version 0.2.

    Raises
    ------
    FileFormatError
        If it has no metrics.

    Examples
    --------
    >>> latency = {"request_latency": {"units": "s", "mean": 0.5}}
    >>> later = as_second({"version": "0.1", "metrics": {"latency": latency}})
    >>> later["results"]["request_performance"]["aggregate"]["latency"] == latency
    True
    """
    metrics, scenario = at(report, "metrics"), at(report, "scenario")
    if not isinstance(metrics, Mapping):
        raise damaged("a benchmark report 0.1 must hold metrics", repr(report)[:60])
    rates = at(metrics, "throughput") or {}
    throughput = {_RATES[name]: {"mean": rates[name]} for name in _RATES if name in rates}
    aggregate = {"requests": at(metrics, "requests"), "latency": at(metrics, "latency")}
    return {
        "version": "0.2",
        "run": {"time": {"start": at(metrics, "time", "start")}},
        "scenario": {"stack": [_engine(scenario)], "load": {"standardized": _load(scenario)}},
        "results": {"request_performance": {"aggregate": aggregate | {"throughput": throughput}}},
    }


def _engine(scenario: Any) -> dict[str, Any]:
    """Engine of the first host that decodes."""
    roles = _list(at(scenario, "host", "type"))
    place = next((i for i, role in enumerate(roles) if role != "prefill"), 0)
    hosts = _list(at(scenario, "host", "accelerator"))
    engines = _list(at(scenario, "platform", "engine"))
    host = hosts[place] if place < len(hosts) else None
    engine = engines[place] if place < len(engines) else None
    name = at(scenario, "model", "name")
    return {
        "standardized": {
            "tool": at(engine, "name"), "tool_version": at(engine, "version"),
            "model": {"name": None if name == "unknown" else name},
            "accelerator": host or {}, "replicas": len(hosts) or None,
        },
        "native": {"args": at(engine, "args")},
    }  # fmt: skip


def _load(scenario: Any) -> dict[str, Any]:
    load = at(scenario, "load")
    args, stage = at(load, "args"), at(load, "metadata", "stage")
    stages = _list(at(args, "load", "stages"))
    own = stages[stage] if isinstance(stage, int) and stage < len(stages) else None
    return {
        "tool": at(load, "name"), "stage": stage,
        "rate_qps": first(at(own, "rate"), at(args, "request_rate")),
        "concurrency": first(at(own, "concurrency_level"), at(args, "max_concurrency")),
    }  # fmt: skip


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
