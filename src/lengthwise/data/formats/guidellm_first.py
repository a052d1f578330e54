"""Reports of GuideLLM 0.1 in the shape of later versions.

A file holds reports of ``mode`` and ``rate`` with ``results`` and ``errors``. Times are unix
seconds; the very first versions have durations instead: ``first_token_time`` since the request was
sent, and ``decode_times`` of the tokens after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.fields import at, number, numbers

_MODES = {"synchronous": "synchronous", "throughput": "throughput", "asynchronous": "constant"}
_NAMES = {"prompt_token_count": "prompt_tokens", "output_token_count": "output_tokens"}


def is_first_report(found: Any) -> bool:
    """Return whether an object is a report of the first version.

    >>> is_first_report({"benchmarks": [{"benchmarks": [{"mode": "synchronous", "results": []}]}]})
    True
    """
    return bool(_runs(found))


def as_later_report(found: Any) -> dict[str, Any]:
    """Return a report of the first version in the shape of later ones."""
    return {"benchmarks": [_benchmark(run, args) for run, args in _runs(found)]}


def _runs(found: Any) -> list[tuple[Mapping[str, Any], Any]]:
    """List the runs, each with the arguments of its report."""
    reports = at(found, "benchmarks")
    return [
        (run, at(report, "args"))
        for report in (reports if isinstance(reports, list) else [])
        for run in (at(report, "benchmarks") or [])
        if isinstance(run, Mapping) and {"mode", "results"} <= set(run)
    ]


def _benchmark(run: Mapping[str, Any], args: Any) -> dict[str, Any]:
    busy = [number(at(point, "processing"), "processing") for point in run.get("concurrencies", [])]
    mean = sum(busy) / len(busy) if busy else None
    strategy = {"type_": _MODES.get(str(run["mode"]), "constant"), "rate": run.get("rate")}
    return {
        "config": {"strategy": strategy, "backend": {"model": at(args, "model")}},
        "metrics": {"request_concurrency": {"successful": {"mean": mean}}},
        "requests": {
            "successful": [_request(result) for result in run["results"]],
            "errored": run.get("errors", []),
        },
    }


def _request(result: Mapping[str, Any]) -> dict[str, Any]:
    found = {_NAMES.get(name, name): value for name, value in result.items()}
    first = number(found.get("first_token_time"), "first_token_time")
    start = number(found.get("start_time"), "start_time")
    if first < start:  # a duration
        gaps = numbers(at(found, "decode_times", "data"), "decode_times")
        found["first_token_time"] = start + first
        found["last_token_time"] = start + first + float(gaps.sum())
    return found
