"""Statements that write laws and documents; called inside a transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from lengthwise.interfaces.service.sql_link import Run

KEEP_NEWEST, KEEP_SPANS, SPAN_S = 20, 1008, 600.0


def publish(run: Run, law: Mapping[str, Any], note: str) -> int:
    """Write the next version, make it the active one and drop superseded ones."""
    version = int(run("SELECT newest FROM totals")[0][0]) + 1
    body = json.dumps({**law, "version": version}, allow_nan=False)
    now_s = time.time()
    run("INSERT INTO laws(version, sha256, created_s, note, size, body) VALUES (?, ?, ?, ?, ?, ?)",
        version, sha256(body.encode()).hexdigest(), now_s, note, len(body), body)  # fmt: skip
    run("UPDATE totals SET newest = ?, active = ?", version, version)
    known = run("SELECT version, created_s FROM laws ORDER BY version DESC")
    pinned = run("SELECT pinned FROM totals")[0][0]
    gone = [v for v in superseded(known) if v != pinned]
    if gone:
        run.many("DELETE FROM laws WHERE version = ?", [(v,) for v in gone])
    return version


def superseded(versions: Sequence[tuple[int, float]]) -> list[int]:
    """Choose versions to drop: all but the newest 20 and, for a week, the last of each ten minutes.

    Parameters
    ----------
    versions
        Version and when it was made, newest first.

    Examples
    --------
    >>> superseded([(v, 60.0 * v) for v in range(100, 0, -1)])[:3]
    [80, 78, 77]
    """
    seen: set[int] = set()
    gone: list[int] = []
    for index, (version, created_s) in enumerate(versions):
        span = int(created_s // SPAN_S)
        first = span not in seen
        seen.add(span)
        if index >= KEEP_NEWEST and (not first or len(seen) > KEEP_SPANS):
            gone.append(version)
    return gone


def put(run: Run, name: str, body: str) -> None:
    """Write a document."""
    run("INSERT INTO documents(name, body) VALUES (?, ?)"
        " ON CONFLICT(name) DO UPDATE SET body = EXCLUDED.body", name, body)  # fmt: skip
