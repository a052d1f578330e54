"""The one header row of GuideLLM's older CSV, in the words of the three rows of later ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Key = tuple[str, ...]

_METRICS = {
    "Time to first token ms": ("Time to First Token", "Successful ms"),
    "Inter token latency ms": ("Inter Token Latency", "Successful ms"),
    "Request latency": ("Request Latency", "Successful Sec"),
    "Prompt token count": ("Token Metrics", "Successful Input Tokens"),
    "Output token count": ("Token Metrics", "Successful Output Tokens"),
}
_STATISTICS = {"mean": "Mean", "median": "Median", "std dev": "Std Dev"}
_NAMES: Mapping[str, Key] = {
    f"Successful {metric} {flat}": (*key, statistic)
    for metric, key in _METRICS.items() for flat, statistic in _STATISTICS.items()
} | {
    "Successful Requests": ("Request Counts", "Successful", ""),
    "Errored Requests": ("Request Counts", "Errored", ""),
    "Incomplete Requests": ("Request Counts", "Incomplete", ""),
    "Duration": ("Timings", "Duration", "Sec"), "Name": ("Benchmark", "Strategy", ""),
    "Worker": ("Run Info", "Worker", ""), "Backend": ("Run Info", "Backend", ""),
}  # fmt: skip


def is_one_row(header: Sequence[str]) -> bool:
    """Return whether a header is the only one of its file.

    >>> is_one_row(["Type", "Run Id", "Successful Requests", "Successful Request latency mean"])
    True
    """
    return {"Run Id", "Successful Requests"} <= set(header)


def as_three_rows(header: Sequence[str]) -> list[Key]:
    """Return the keys that the cells of a line have in later versions.

    >>> as_three_rows(["Errored Requests", "Successful Request latency mean"])
    [('Request Counts', 'Errored', ''), ('Request Latency', 'Successful Sec', 'Mean')]
    """
    return [_NAMES.get(name, ("", name, "")) for name in header]
