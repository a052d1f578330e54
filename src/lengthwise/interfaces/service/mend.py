"""What is looked at when a state is opened: counters, documents and laws must be what was written.

A counter that cannot be is taken from its sealed copy or from the rows themselves; a damaged
document or law is set aside and the last good one takes over. What was found is returned in plain
words, for the log, and kept for ``/v1/status``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from lengthwise.errors import ArtifactError
from lengthwise.interfaces.service.sql_documents import (
    ASIDE,
    FIXED,
    LEARNER,
    TOTALS,
    Found,
    fits,
    get,
    get_learner,
    note,
    put,
    put_totals,
    set_aside,
)
from lengthwise.interfaces.service.sql_laws import law_fits
from lengthwise.interfaces.service.sql_link import Run
from lengthwise.interfaces.service.sql_rows import BATCH, READ_BYTES, is_count, reject, stored
from lengthwise.interfaces.service.store import Rejected, Stored

COUNTERS = ("accepted", "duplicates", "ttft", "tpot", "learnt", "pruned", "newest")
CHUNK, LONGEST = 500, 1000
"""Batches read at once, and bytes shown of a damaged one."""
KEEP_REJECTED = 10_000
NAMES = (*COUNTERS, "active", "pinned")


def mend(run: Run, batches: int = 1) -> list[Found]:
    """Look at a state, mend what can be, and return what was found; inside a transaction.

    Parameters
    ----------
    batches
        How many of the newest batches are looked at; others are when they are read.
    """
    learner_is_ours = _is_sealed(run, LEARNER)
    said = [*_documents(run), *_batches(run, batches)]
    said += _totals(run, trust_copy=learner_is_ours)
    said += _law_in_use(run)
    for found in said:
        note(run, found)
    if said:
        put_totals(run)
    return said


def _is_sealed(run: Run, name: str) -> bool:
    found = run("SELECT body FROM documents WHERE name = ?", name)
    return bool(found) and str(found[0][0]).startswith('{"sha256"')


def _documents(run: Run) -> list[Found]:
    said: list[Found] = []
    for name, body in run("SELECT name, body FROM documents ORDER BY name"):
        if not str(name).endswith(ASIDE) and not fits(str(name), str(body)):
            set_aside(run, name)
            said.append(Found(f"document {str(name)[:40]!r} was damaged and is set aside"))
    return said


def _batches(run: Run, most: int) -> list[Found]:
    """Set aside damaged ones of the newest batches; rows to come are numbered after the last."""
    said: list[Found] = []
    below, looked = 1 << 62, 0
    while looked < most:
        ends = run("SELECT last, length(body) FROM batches WHERE last < ? ORDER BY last DESC"
                   " LIMIT ?", below, min(CHUNK, most - looked))  # fmt: skip
        for first, last in _by_size(ends):
            some = f"SELECT {BATCH} FROM batches WHERE last BETWEEN ? AND ? ORDER BY last DESC"
            for row in run(some, first, last):
                batch = stored(row)
                if batch.fault:
                    said.append(_set_aside(run, batch))
        if len(ends) < CHUNK:
            break
        below, looked = ends[-1][0], looked + len(ends)
    return said


def _by_size(ends: Sequence[tuple[int, Any]]) -> Iterator[tuple[int, int]]:
    """Return numbers from and to of batches that are read together, newest first.

    >>> list(_by_size([(30, 5), (20, READ_BYTES - 5), (10, 5)]))
    [(20, 30), (10, 10)]
    """
    newest, size = 0, 0
    previous = 0
    for last, length in ends:
        if newest and size and size + (length if isinstance(length, int) else 0) > READ_BYTES:
            yield previous, newest
            newest, size = 0, 0
        newest, previous = newest or last, last
        size += length if isinstance(length, int) else 0
    if newest:
        yield previous, newest


def _set_aside(run: Run, batch: Stored) -> Found:
    row = {"rows": batch.count, "body": batch.body[:LONGEST].decode("utf-8", "replace")}
    reject(run, [Rejected(batch.last, batch.fault, batch.received_s, row)], KEEP_REJECTED)
    run("DELETE FROM batches WHERE last = ?", batch.last)
    run("DELETE FROM ids WHERE sequence = ?", batch.last)  # they may be sent again
    what = f"lost: {batch.count} observations up to number {batch.last}: {batch.fault}"
    return Found(what, batch.count)


def _totals(run: Run, *, trust_copy: bool) -> list[Found]:
    found = run(f"SELECT {', '.join(NAMES)} FROM totals WHERE id = 1")
    if not found:
        run("DELETE FROM totals")
        run("INSERT INTO totals(id) VALUES (1)")
        found = [(None,) * len(NAMES)]
    before = dict(zip(NAMES, found[0], strict=True))
    now: dict[str, Any] = {n: value if is_count(value) else None for n, value in before.items()}
    copy = _copy(run) if trust_copy else {}
    now |= {name: copy[name] for name in FIXED if name in copy}
    last = run("SELECT MAX(last) FROM batches")[0][0] or 0
    newest = run("SELECT MAX(version) FROM laws")[0][0] or 0
    now |= {name: now[name] or 0 for name in COUNTERS}
    now["newest"] = max(now["newest"], newest)
    most = max(last, now["pruned"], now["accepted"])
    now["learnt"] = min(max(now["learnt"], _cursor(run)), most)
    now["accepted"] = max(last, now["pruned"], now["learnt"])
    if now == before:
        return []
    run("UPDATE totals SET " + ", ".join(f"{name} = ?" for name in NAMES) + " WHERE id = 1",
        *(now[name] for name in NAMES))  # fmt: skip
    changed = [f"{name} {str(before[name])[:30]} is now {now[name]}"
               for name in NAMES if now[name] != before[name]]  # fmt: skip
    return [Found(f"counters were damaged: {', '.join(changed)}")]


def _cursor(run: Run) -> int:
    """Return how far the learner is that is kept; 0 where it does not say."""
    try:
        found = get_learner(run, LEARNER)
    except ArtifactError:
        return 0
    return 0 if found is None else found[0] or 0


def _copy(run: Run) -> dict[str, Any]:
    try:
        found = get(run, TOTALS)
    except ArtifactError:
        return {}
    return found if isinstance(found, dict) else {}


def _law_in_use(run: Run) -> list[Found]:
    """Set damaged laws aside until the one in use is a good one."""
    said: list[Found] = []
    while True:
        active, pinned = run("SELECT active, pinned FROM totals")[0]
        version = active if pinned is None else pinned
        if version is None:
            return said
        found = run("SELECT sha256, body FROM laws WHERE version = ?", version)
        if found and law_fits(*found[0]):
            return said
        if found:
            put(run, f"law{ASIDE}", json.dumps({"version": version, "body": str(found[0][1])}))
            run("DELETE FROM laws WHERE version = ?", version)
        newest = run("SELECT MAX(version) FROM laws")[0][0]
        run("UPDATE totals SET active = ?, pinned = NULL", newest)
        instead = "the prior" if newest is None else f"version {newest}"
        what = f"law version {version} was damaged and is set aside; {instead} takes over"
        said.append(Found(what))
