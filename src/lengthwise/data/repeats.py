"""Nothing is counted twice: a summary beside its own requests, a file named twice."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.data.opening import open_file

SUMMARY_OF = "summary of requests that are read"

CLOSE = 0.01
"""Share by which a summary's means may differ from those of the requests it sums up."""

_TIMES = ("ttft_ms", "e2e_ms")


def summaries_of(index: int, frames: Sequence[pd.DataFrame]) -> npt.NDArray[np.bool_]:
    """Say which rows of a frame are means of the requests of another frame, shape (n,).

    A summary belongs to requests when it counts as many as there are and its mean TTFT and E2E are
    theirs; file names say nothing.

    Examples
    --------
    >>> requests = pd.DataFrame({"phase": "request", "ttft_ms": [10.0, 30.0]})
    >>> mean = pd.DataFrame({"phase": ["request"], "statistic": "mean", "n_requests": 2,
    ...                      "ttft_ms": 20.0})
    >>> summaries_of(1, [requests, mean]).tolist()
    [True]
    """
    frame = frames[index]
    told = np.zeros(len(frame), dtype=bool)
    if not {"statistic", "n_requests"} <= set(frame):
        return told
    others = [f for i, f in enumerate(frames) if i != index and _is_requests(f)]
    for row in np.flatnonzero((frame["statistic"] == "mean").to_numpy()):
        told[row] = any(_sums_up(frame.iloc[row], other) for other in others)
    return told


def repeated_files(paths: Sequence[Path]) -> dict[int, int]:
    """Map the position of each file to that of an earlier one with the same bytes."""
    by_size: dict[int, list[int]] = {}
    for index, path in enumerate(paths):
        by_size.setdefault(path.stat().st_size, []).append(index)
    found: dict[int, int] = {}
    for group in by_size.values():
        seen: dict[str, int] = {}
        for index in group if len(group) > 1 else []:
            with open_file(paths[index], packed=False) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest in seen:
                found[index] = seen[digest]
            seen.setdefault(digest, index)
    return found


def _is_requests(frame: pd.DataFrame) -> bool:
    requests = "phase" in frame and "statistic" not in frame
    return requests and bool((frame["phase"] == "request").all())


def _sums_up(mean: pd.Series[Any], requests: pd.DataFrame) -> bool:
    if mean["n_requests"] != len(requests):
        return False
    shared = [
        name for name in _TIMES
        if name in requests and name in mean.index and pd.notna(mean[name])
    ]  # fmt: skip
    return bool(shared) and all(
        abs(mean[name] - requests[name].mean()) <= CLOSE * abs(mean[name]) for name in shared
    )
