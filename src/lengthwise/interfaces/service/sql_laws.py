"""Statements that read and write laws; called inside a transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from lengthwise.interfaces.service.sql_documents import put_totals
from lengthwise.interfaces.service.sql_link import Run

KEEP_NEWEST, KEEP_SPANS, SPAN_S = 20, 1008, 600.0
LAST_S = 253_402_300_000.0
"""The end of the year 9999."""
MOST_TRIED = 100
"""Laws looked at for a good one."""


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
    gone = [v for v in superseded([(v, plain_time(at)) for v, at in known]) if v != pinned]
    if gone:
        run.many("DELETE FROM laws WHERE version = ?", [(v,) for v in gone])
    put_totals(run)
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


def plain_time(value: Any) -> float:
    """Return a stored time in seconds; 0 where it is none that a calendar has.

    >>> plain_time(5.0), plain_time(1e300), plain_time("x")
    (5.0, 0.0, 0.0)
    """
    return value if isinstance(value, float) and 0 <= value < LAST_S else 0.0


def active(run: Run, known: str, bad: set[str]) -> tuple[int, str, str | None] | None:
    """Read the law in use, or the newest good one when that is damaged.

    Parameters
    ----------
    known
        SHA-256 of a law whose body need not be given.
    bad
        Checksums of laws known to be damaged; those found are added.
    """
    used = "(SELECT COALESCE(pinned, active) FROM totals)"
    found = run(f"SELECT version, sha256 FROM laws WHERE version = {used}")
    if not found or str(found[0][1]) in bad:
        found += run("SELECT version, sha256 FROM laws ORDER BY version DESC LIMIT ?", MOST_TRIED)
    for version, sha in found:
        if str(sha) in bad:
            continue
        if sha == known:
            return version, sha, None
        body = run("SELECT body FROM laws WHERE version = ?", version)
        if body and law_fits(sha, body[0][0]):
            return version, sha, str(body[0][0])
        bad.add(str(sha))
        return active(run, known, bad)
    return None


def law_fits(digest: Any, body: Any) -> bool:
    """Whether a law is what was written.

    >>> law_fits("0" * 64, "{}")
    False
    """
    return bool(sha256(str(body).encode("utf-8", "surrogatepass")).hexdigest() == digest)
