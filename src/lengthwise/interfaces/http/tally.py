"""What is kept, counted by llm-d's buckets: queue, KV use and cached share.

The buckets are only told, never learnt by. They are counted from the store, incrementally, so that
every worker and every restart tells the same.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from threading import Lock
from typing import Any

import numpy as np

from lengthwise.interfaces.http.context import Context
from lengthwise.interfaces.service import rows as reading
from lengthwise.units import FloatArray

QUEUE_STARTS = np.array([1, 3, 6, 11])
"""Queue buckets: 0, 1-2, 3-5, 6-10, 11 and more."""
QUEUES, CACHES, PREFIXES = 5, 20, 4
MOST_ROWS = 100_000
"""Rows counted after a start; of more, the newest."""
KEPT_TIMES = 500
TARGETS = ("ttft", "tpot")


class Tally:
    """Counts by bucket.

    Parameters
    ----------
    context
        Where the store is.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = Lock()
        self.forget()

    def forget(self) -> None:
        """Begin anew: what was kept is gone."""
        self._after: int | None = None
        self.counts = {t: np.zeros((QUEUES, CACHES, PREFIXES), dtype=np.int64) for t in TARGETS}
        self.shares: deque[float] = deque(maxlen=KEPT_TIMES * PREFIXES)
        self.times_ms: list[deque[float]] = [deque(maxlen=KEPT_TIMES) for _ in range(PREFIXES)]

    def fresh(self) -> Tally:
        """Count what came since the last time."""
        with self._lock:
            store = self._context.kept
            counts = store.counts()
            if not counts["ttft"] + counts["tpot"]:
                self.forget()
                self._after = counts["accepted"]
            if self._after is None:
                self._after = max(counts["pruned"], counts["accepted"] - MOST_ROWS)
            while batches := store.batches(self._after, 5000):
                for batch in batches:
                    if not batch.fault:
                        with suppress(*reading.UNREADABLE):
                            self._take(reading.kept(batch))
                self._after = batches[-1].last
        return self

    def _take(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        columns = reading.columns(rows)
        ttft_s, tpot_s = reading.targets(rows)
        place = bucket(columns["waiting"], columns["kv_share"], columns["cached_share"])
        for target, observed in (("ttft", ttft_s), ("tpot", tpot_s)):
            said = np.isfinite(observed)
            np.add.at(self.counts[target], tuple(part[said] for part in place), 1)
        said = np.isfinite(ttft_s)
        self.shares.extend(columns["cached_share"][said].tolist())
        for prefix, time_ms in zip(place[2][said], ttft_s[said] * 1e3, strict=True):
            self.times_ms[prefix].append(float(time_ms))

    def queued(self) -> dict[str, int]:
        """Count samples of each target without and with a queue."""
        return {
            f"{target}_{name}_samples": int(part.sum())
            for target, counts in self.counts.items()
            for name, part in (("noqueue", counts[:1]), ("queued", counts[1:]))
        }

    def buckets(self) -> dict[str, int]:
        """Count samples of the buckets that have any."""
        both = self.counts["ttft"] + self.counts["tpot"]
        return {
            f"queue_{q}_cache_{c}_prefix_{p}": int(both[q, c, p])
            for q, c, p in np.argwhere(both).tolist()
        }

    def by_prefix(self) -> dict[str, Any]:
        """Observed TTFT by cached share; empty without data."""
        return {
            span(prefix): {
                "count": len(times),
                "mean_ttft_ms": float(np.mean(times)),
                "median_ttft_ms": float(np.median(times)),
                "std_ttft_ms": float(np.std(times)),
            }
            for prefix, times in enumerate(self.times_ms)
            if times
        }


def bucket(
    waiting: FloatArray, kv_share: FloatArray, cached_share: FloatArray
) -> tuple[Any, Any, Any]:
    """Bucket of each row, shape (n,) each.

    >>> [int(part[0]) for part in bucket(np.array([4.0]), np.array([0.51]), np.array([1.0]))]
    [2, 10, 3]
    """
    return (
        QUEUE_STARTS.searchsorted(np.nan_to_num(waiting), side="right"),
        np.clip(np.nan_to_num(kv_share) * CACHES, 0, CACHES - 1).astype(int),
        np.clip(np.nan_to_num(cached_share) * PREFIXES, 0, PREFIXES - 1).astype(int),
    )


def span(prefix: int) -> str:
    """Share that a prefix bucket spans.

    >>> span(1)
    '0.25-0.50'
    """
    return f"{prefix / PREFIXES:.2f}-{(prefix + 1) / PREFIXES:.2f}"
