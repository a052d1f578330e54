"""The store on any SQL database; :mod:`sqlite_store` and :mod:`postgres_store` say how to connect.

    batches     one row per accepted batch: number of its last row, count, body, checksum
    ids         BLAKE2 hash of the id of every kept row that has one
    rejected    rows that must not be learnt from; reasons: how many of each kind
    laws        versions of the law, each with its SHA-256
    documents   JSON by name with its checksum: state of the learner, status, live page
    asked       requests for the trainer
    totals      one row: counters, cursor of the trainer, active and pinned version

Writers take turns (``BEGIN IMMEDIATE``, or an advisory lock), so rows are numbered in the order in
which they become visible: a reader that goes on from a number misses none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from lengthwise.errors import ArtifactError, InputError
from lengthwise.interfaces.service import rows as reading
from lengthwise.interfaces.service.group_commit import GroupCommit
from lengthwise.interfaces.service.sql_documents import (
    DAMAGE,
    EARLIER,
    LEARNER,
    Found,
    get,
    get_learner,
    note,
    put,
    put_learner,
    put_totals,
    warn,
)
from lengthwise.interfaces.service.sql_laws import active, law_fits, plain_time, publish
from lengthwise.interfaces.service.sql_link import Link, Run
from lengthwise.interfaces.service.sql_rows import (
    BATCH,
    READ_BYTES,
    SHOWN,
    append,
    is_count,
    reject,
    rejected,
    said,
    stored,
)
from lengthwise.interfaces.service.store import (
    Entry,
    LawInfo,
    Observed,
    OvertakenError,
    Receipt,
    Rejected,
    Round,
    ServiceUnavailable,
    Stored,
)

MOST_BATCHES = 5000
UNWELL_S = 5.0
"""How long a failed write makes :meth:`SqlStore.check` say no."""


class SqlStore:
    """See :class:`~lengthwise.interfaces.service.store.Store`.

    Parameters
    ----------
    writing, reading
        Two connections: a reader never waits for a writer.
    """

    keep_rejected = 10_000
    """Rows kept apart, the newest."""

    def __init__(self, writing: Link, reading: Link) -> None:
        self._writing, self._reading = writing, reading
        self._group = GroupCommit(self._write_group)
        self._failure: tuple[float, str] | None = None
        self._bad_laws: set[str] = set()
        self._said: set[str] = set()
        self._told: list[Found] = []

    # observations ---------------------------------------------------------------------------

    def submit(self, batch: Observed) -> Future[Receipt]:
        """Hand a batch to the writer; batches that wait together share one commit."""
        return self._group.submit(batch)

    def append(
        self, body: bytes, count: int, *, ids: Sequence[str] = (), ttft: int = 0, tpot: int = 0
    ) -> Receipt:
        """Keep a batch; it is on disk when this returns."""
        return self.submit(Observed(body, count, ids, ttft, tpot)).result()

    def append_entries(self, entries: Sequence[Entry]) -> Receipt:
        """Keep rows given one by one."""
        fields = [{**e.fields, **({"id": e.id} if e.id is not None else {})} for e in entries]
        ids = [e.id or "" for e in entries] if any(e.id for e in entries) else ()
        ttft, tpot = said(fields)
        return self.append(reading.body_of(fields), len(fields), ids=ids, ttft=ttft, tpot=tpot)

    def read(self, after: int, limit: int) -> list[tuple[int, Entry]]:
        """Read rows with a sequence above ``after``, in order, at most ``limit``."""
        found: list[tuple[int, Entry]] = []
        last = after
        while len(found) < limit and (batches := self.batches(last, limit - len(found))):
            for batch in batches:
                rows = [] if batch.fault else reading.numbered(batch)
                found += [item for item in rows if item[0] > after]
            last = batches[-1].last
        return found[:limit]

    def batches(self, after: int, rows: int) -> list[Stored]:
        """Read whole batches that hold rows above ``after``: at least one, about ``rows`` rows."""
        found: list[Stored] = []
        held = 0
        with self._reading.use() as run:
            ends = run("SELECT last, count, length(body) FROM batches WHERE last > ?"
                       " ORDER BY last LIMIT ?", after, min(rows, MOST_BATCHES))  # fmt: skip
            until, size = after, 0
            for last, count, length in ends:
                length = length if isinstance(length, int) else 0
                if held >= rows or (held and size + length > READ_BYTES):
                    break
                until, size = last, size + length
                held += count if isinstance(count, int) else 1  # damaged: told when it is read
            for row in run(f"SELECT {BATCH} FROM batches WHERE last > ? AND last <= ?"
                           " ORDER BY last", after, until):  # fmt: skip
                found.append(stored(row))
                self._tell_fault(found[-1])
        return found

    def _tell_fault(self, batch: Stored) -> None:
        if batch.fault:
            self._tell(f"lost: {batch.count} observations up to number {batch.last}: "
                       f"{batch.fault}", batch.count)  # fmt: skip

    def counts(self) -> dict[str, Any]:
        """Count rows: accepted, duplicates, waiting, stored, ttft, tpot, quarantined by reason."""
        with self._reading.use() as run:
            row = run("SELECT accepted, duplicates, ttft, tpot, learnt, pruned FROM totals")[0]
            found = dict(zip(("accepted", "duplicates", "ttft", "tpot", "learnt", "pruned"), row,
                             strict=True))  # fmt: skip
            kept = run("SELECT reason, count FROM reasons ORDER BY reason")
        reasons = {str(reason): count for reason, count in kept if is_count(count)}
        waiting = found["accepted"] - max(found["learnt"], found["pruned"])
        found |= {"waiting": max(waiting, 0)}
        found |= {"stored": found["accepted"] - found["pruned"], "quarantined": reasons}
        return found | {"waiting_bytes": self._group.waiting_bytes}

    def flush(self, training: bool, test: bool, metrics: bool) -> dict[str, int]:
        """Drop kept observations, and ask the trainer to drop what it holds of them."""
        live = self.get("live") or {}
        tested = {t: len(live.get("recent", {}).get(t, {}).get("time_s", [])) for t in
                  ("ttft", "tpot")}  # fmt: skip
        gone = (0, 0)
        with self._changing() as run:
            if training:
                gone = run("SELECT ttft, tpot FROM totals")[0]
                run("DELETE FROM batches")
                run("UPDATE totals SET ttft = 0, tpot = 0, pruned = accepted")
                put_totals(run)
            detail = {"training": training, "test": test, "metrics": metrics}
            run("INSERT INTO asked(command, detail) VALUES (?, ?)", "flush", json.dumps(detail))
        return {"ttft_training": gone[0], "tpot_training": gone[1],
                "ttft_test": tested["ttft"] if test else 0,
                "tpot_test": tested["tpot"] if test else 0}  # fmt: skip

    def prune(self, keep_rows: int, old: int = 0) -> int:
        """Drop rows that were learnt and are old or beyond the number; gives how many."""
        with self._changing() as run:
            accepted, learnt, pruned = run("SELECT accepted, learnt, pruned FROM totals")[0]
            gone = run("SELECT MAX(last) FROM batches WHERE last <= ?",
                       min(learnt, max(accepted - keep_rows, old)))[0][0]  # fmt: skip
            if gone is None or gone <= pruned:  # pruned may be ahead: a flush
                return 0
            run("DELETE FROM batches WHERE last <= ?", gone)
            run("DELETE FROM ids WHERE sequence <= ?", gone)
            run("UPDATE totals SET pruned = ?", gone)
            run("DELETE FROM asked WHERE number <= (SELECT MAX(number) FROM asked) - 1000")
            put_totals(run)
        return int(gone - pruned)

    # rows kept apart ------------------------------------------------------------------------

    def quarantine(self, rows: Sequence[Rejected]) -> None:
        """Keep rows apart; a sequence that is there already is not counted again."""
        with self._changing() as run:
            reject(run, rows, self.keep_rejected)

    def quarantined(self, after: int = 0, limit: int = 1000) -> list[Rejected]:
        """Read rows kept apart."""
        with self._reading.use() as run:
            found = run("SELECT sequence, reason, received_s, substr(body, 1, ?) FROM rejected"
                        " WHERE sequence > ? ORDER BY sequence LIMIT ?", SHOWN, after,
                        limit)  # fmt: skip
        return [rejected(row) for row in found]

    # laws -----------------------------------------------------------------------------------

    def publish(self, law: str | Mapping[str, Any], note: str) -> int:
        """Keep a law as the next version; it becomes active unless another one is pinned."""
        data = json.loads(law) if isinstance(law, str) else law
        with self._changing() as run:
            return publish(run, data, note)

    def laws(self) -> list[LawInfo]:
        """List the versions kept, newest first."""
        with self._reading.use() as run:
            active = run("SELECT COALESCE(pinned, active) FROM totals")[0][0]
            found = run("SELECT version, sha256, created_s, note, size FROM laws"
                        " ORDER BY version DESC")  # fmt: skip
        return [LawInfo(v, str(sha), plain_time(at), str(note), size if is_count(size) else 0,
                        v == active) for v, sha, at, note, size in found]  # fmt: skip

    def law(self, version: int) -> str | None:
        """Read one version as JSON."""
        if not 0 <= version < 1 << 62:
            return None
        with self._reading.use() as run:
            found = run("SELECT sha256, body FROM laws WHERE version = ?", version)
        return str(found[0][1]) if found and law_fits(*found[0]) else None

    def active(self, known: str = "") -> tuple[int, str, str | None] | None:
        """Give version, SHA-256 and JSON of the active law; no JSON when the hash is ``known``.

        Where it is damaged the newest law that is not takes its place.
        """
        bad = len(self._bad_laws)
        with self._reading.use() as run:
            found = active(run, known, self._bad_laws)
        if len(self._bad_laws) > bad:
            instead = "none" if found is None else f"version {found[0]}"
            self._tell(f"the law in use is damaged; instead: {instead}")
        return found

    def activate(self, version: int | None) -> None:
        """Pin a version (promote or roll back); None: follow the newest again."""
        with self._changing() as run:
            if version is not None and not (
                0 <= version < 1 << 62 and run("SELECT 1 FROM laws WHERE version = ?", version)
            ):
                raise InputError("a law to activate must be one of the versions kept",
                                 got=f"version {version}",
                                 remedy="list the laws first")  # fmt: skip
            run("UPDATE totals SET pinned = ?", version)
            put_totals(run)
            run("INSERT INTO asked(command, detail) VALUES (?, ?)", "activate",
                json.dumps({"version": version}))  # fmt: skip

    def pinned(self) -> int | None:
        """Give the pinned version."""
        with self._reading.use() as run:
            found: int | None = run("SELECT pinned FROM totals")[0][0]
        return found

    # documents and requests -----------------------------------------------------------------

    def put(self, name: str, value: Any) -> None:
        """Keep a JSON document under a name."""
        with self._changing() as run:
            put(run, name, json.dumps(value))

    def get(self, name: str) -> Any:
        """Read a document; None where there is none, or a damaged one."""
        with self._reading.use() as run:
            try:
                return get(run, name)
            except ArtifactError as error:
                self._tell(f"document {name!r} is not used: {error.finding}")
                return None

    def ask(self, command: str, detail: Mapping[str, Any] | None = None) -> int:
        """Leave a request for the trainer; gives its number."""
        with self._changing() as run:
            run("INSERT INTO asked(command, detail) VALUES (?, ?)", command,
                json.dumps(dict(detail or {})))  # fmt: skip
            number = run("SELECT MAX(number) FROM asked")[0][0]
        return int(number)

    def asked(self, after: int) -> list[tuple[int, str, dict[str, Any]]]:
        """Read the requests above a number."""
        with self._reading.use() as run:
            found = run("SELECT number, command, detail FROM asked WHERE number > ?"
                        " ORDER BY number", after)  # fmt: skip
        return [(number, str(command), _detail(detail)) for number, command, detail in found]

    # training -------------------------------------------------------------------------------

    def progress(self) -> tuple[int, str | None]:
        """Read the cursor and the state of the learner that belongs to it."""
        with self._reading.use() as run:
            cursor = run("SELECT learnt FROM totals")[0][0]
            found = self._learner(run, LEARNER)
        return cursor, None if found is None else found[1]

    def earlier(self) -> tuple[int, str] | None:
        """Read the second copy of a learner (``Round.twice``) and the cursor that it had."""
        with self._reading.use() as run:
            pruned = run("SELECT pruned FROM totals")[0][0]
            found = self._learner(run, EARLIER)
        return None if found is None or found[0] is None else (max(found[0], pruned), found[1])

    def _learner(self, run: Run, name: str) -> tuple[int | None, str] | None:
        try:
            return get_learner(run, name)
        except ArtifactError as error:
            self._tell(f"the state of the learner is not used: {error.finding}")
            return None

    def commit(self, change: Round) -> int | None:
        """Write a round of training at once; gives the version of the law published in it."""
        with self._changing() as run:
            if change.before is not None:
                found = run("SELECT learnt FROM totals")[0][0]
                if found != change.before:
                    raise OvertakenError("only one trainer may learn from this state",
                                         got=f"cursor {found}, not {change.before}")  # fmt: skip
            reject(run, change.rejected, self.keep_rejected)
            version = None if change.law is None else publish(run, change.law, change.note)
            if change.cursor is not None:
                run("UPDATE totals SET learnt = ?", change.cursor)
                put_totals(run)
            if change.learner is not None:
                learnt = run("SELECT learnt FROM totals")[0][0]
                put_learner(run, learnt, change.learner, twice=change.twice)
            while self._told:
                note(run, self._told.pop())
            for name, value in change.documents.items():
                put(run, name, json.dumps(value))
        return version

    def lead(self) -> bool:
        """Become, or still be, the one trainer of this state; False while another one is."""
        raise NotImplementedError

    # health ---------------------------------------------------------------------------------

    def damage(self) -> list[dict[str, Any]]:
        """List what was found damaged, newest last: ``time_s``, ``what``, ``rows_lost``."""
        found = self.get(DAMAGE)
        return found if isinstance(found, list) else []

    def _tell(self, what: str, rows_lost: int = 0) -> None:
        """Say once what is damaged; the next round of training keeps it."""
        if what not in self._said:
            self._said.add(what)
            self._told.append(Found(what, rows_lost))
            warn(self._told[-1])

    def check(self) -> None:
        """Raise :class:`ServiceUnavailable` unless rows can be read and were written lately."""
        failure = self._failure
        if failure and time.monotonic() - failure[0] < UNWELL_S:
            raise ServiceUnavailable(failure[1])
        with self._reading.use() as run:
            run("SELECT id FROM totals")

    def close(self) -> None:
        """Finish what was submitted and close."""
        self._group.close()
        self._writing.close()
        self._reading.close()

    @contextmanager
    def _changing(self) -> Iterator[Run]:
        try:
            with self._writing.change() as run:
                yield run
        except ServiceUnavailable as error:
            self._failure = (time.monotonic(), error.reason)
            raise
        self._failure = None

    def _write_group(self, group: Sequence[Observed]) -> list[Receipt]:
        with self._changing() as run:
            receipts = append(run, group)
        self.acknowledged(receipts[-1].last_sequence)
        return receipts

    def acknowledged(self, last: int) -> None:
        """Take note that rows up to this one are kept; a store that may lose them counts them."""


def _detail(text: Any) -> dict[str, Any]:
    """Return what was asked for in detail; nothing where it is damaged."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
