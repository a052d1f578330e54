"""Statements that write observations; called inside a transaction."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from lengthwise.interfaces.service import rows as reading
from lengthwise.interfaces.service.seal import batch_sum
from lengthwise.interfaces.service.sql_laws import plain_time
from lengthwise.interfaces.service.sql_link import Run
from lengthwise.interfaces.service.store import Observed, Receipt, Rejected, Stored

READ_BYTES = 16 << 20
"""Bodies read at once, where one is not longer itself."""
CHUNK = 500
"""Ids looked up by one statement."""
BATCH = "last, count, received_s, body, skip, crc"
DAMAGED = "the stored batch is damaged"
SHOWN, SHOWN_CUT = 8192, 1000
"""Characters read of a row kept apart, and shown of one that is longer."""
MOST, MOST_ROWS = 1 << 53, 1_000_000
"""No counter is higher, and no batch has more rows."""


def append(run: Run, group: Sequence[Observed]) -> list[Receipt]:
    """Write batches and their ids, number the rows, move the counters."""
    last = run("SELECT accepted FROM totals")[0][0]
    first, ttft, tpot, duplicates = last, 0, 0, 0
    receipts: list[Receipt] = []
    rows: list[tuple[Any, ...]] = []
    for batch in group:
        skip, hashes = _repeated(run, batch.ids)
        kept = batch.count - len(skip)
        about = (batch.ttft, batch.tpot)
        if skip:
            about = said(reading.kept(Stored(0, kept, 0.0, batch.body, tuple(skip))))
        last += kept
        if hashes:
            run.many("INSERT INTO ids(hash, sequence) VALUES (?, ?)", [(h, last) for h in hashes])
        if kept:
            about_it = (last, kept, float(batch.received_s or time.time()), batch.body,
                        json.dumps(skip) if skip else None)  # fmt: skip
            rows.append((*about_it, batch_sum(*about_it)))
        ttft, tpot, duplicates = ttft + about[0], tpot + about[1], duplicates + len(skip)
        receipts.append(Receipt(kept, len(skip), last))
    if rows:
        run.many("INSERT INTO batches(last, count, received_s, body, skip, crc)"
                 " VALUES (?, ?, ?, ?, ?, ?)", rows)  # fmt: skip
    run("UPDATE totals SET accepted = accepted + ?, ttft = ttft + ?, tpot = tpot + ?,"
        " duplicates = duplicates + ?", last - first, ttft, tpot, duplicates)  # fmt: skip
    return receipts


def stored(row: Sequence[Any]) -> Stored:
    """Return a batch from the columns ``BATCH``; with a fault when it is not what was written.

    >>> stored((2, 2, 5.0, b"[{}, {}]", None, 7)).fault
    'the stored batch is damaged'
    """
    last, count, received_s, body, skip, crc = row
    body = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)
    fine = isinstance(received_s, float) and is_count(count)
    skipped: tuple[int, ...] = ()
    if fine and crc is not None:
        fine = sum_fits(row)
    try:
        skipped = tuple(json.loads(skip)) if skip and fine else ()
        fine = fine and all(isinstance(index, int) for index in skipped)
    except (ValueError, TypeError):
        fine = False
    if fine:
        return Stored(last, count, received_s, body, skipped)
    known = count if is_count(count) and count <= MOST_ROWS else 1
    return Stored(last, known, plain_time(received_s), body, fault=DAMAGED)


def sum_fits(row: Sequence[Any]) -> bool:
    """Whether the columns ``BATCH`` of a batch are what was written (with a checksum)."""
    last, count, received_s, body, skip, crc = row
    if not is_count(count) or not isinstance(received_s, float) or not isinstance(body, bytes):
        return False
    return bool(crc == batch_sum(last, count, received_s, body, skip))


def is_count(value: Any) -> bool:
    """Whether a value can be a counter.

    >>> is_count(5), is_count(-1), is_count("5"), is_count(2**60)
    (True, False, False, False)
    """
    return isinstance(value, int) and 0 <= value < MOST


def _repeated(run: Run, ids: Sequence[str]) -> tuple[list[int], list[bytes]]:
    """Find rows accepted before (or twice in this batch), and the hashes of the new ids."""
    if not ids:
        return [], []
    hashes = [blake2b(i.encode("utf-8", "surrogatepass"), digest_size=16).digest() if i else b""
              for i in ids]  # fmt: skip
    asked = [h for h in hashes if h]
    known: set[bytes] = set()
    for start in range(0, len(asked), CHUNK):
        part = asked[start : start + CHUNK]
        marks = ",".join("?" * len(part))
        known |= {bytes(r[0]) for r in run(f"SELECT hash FROM ids WHERE hash IN ({marks})", *part)}
    skip: list[int] = []
    new: list[bytes] = []
    for index, digest in enumerate(hashes):
        if digest and digest in known:
            skip.append(index)
        elif digest:
            known.add(digest)
            new.append(digest)
    return skip, new


def said(rows: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Count rows that say something about TTFT and about TPOT."""
    ttft, tpot = reading.targets(rows)
    return int((ttft == ttft).sum()), int((tpot == tpot).sum())


def rejected(row: Sequence[Any]) -> Rejected:
    """Return a row kept apart, from its columns; what is damaged of it is left out."""
    sequence, reason, received_s, body = row
    try:
        found = json.loads(body) if len(body) < SHOWN else {"body": body[:SHOWN_CUT]}
    except (ValueError, TypeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        found = {"damaged": str(body)[:200]}
    return Rejected(sequence, str(reason), plain_time(received_s), found)


def reject(run: Run, rows: Sequence[Rejected], keep: int) -> None:
    """Keep rows apart, the newest of all; one that is there already is not counted again."""
    for start in range(0, len(rows), CHUNK):
        part = {row.sequence: row for row in reversed(rows[start : start + CHUNK])}
        marks = ",".join("?" * len(part))
        for known in run(f"SELECT sequence FROM rejected WHERE sequence IN ({marks})", *part):
            del part[known[0]]
        run.many("INSERT INTO rejected(sequence, reason, received_s, body) VALUES (?, ?, ?, ?)",
                 [(r.sequence, r.reason, r.received_s, json.dumps(dict(r.row)))
                  for r in part.values()])  # fmt: skip
        for reason, count in Counter(row.reason for row in part.values()).items():
            run("INSERT INTO reasons(reason, count) VALUES (?, ?)"
                " ON CONFLICT(reason) DO UPDATE SET count = reasons.count + EXCLUDED.count",
                reason, count)  # fmt: skip
    if rows:
        run("DELETE FROM rejected WHERE sequence <= (SELECT sequence FROM rejected"
            " ORDER BY sequence DESC LIMIT 1 OFFSET ?)", keep)  # fmt: skip
