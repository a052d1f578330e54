"""The store on any SQL database; :mod:`sqlite_store` and :mod:`postgres_store` say how to connect.

    batches     one row per accepted batch: number of its last row, count, body as it was sent
    ids         BLAKE2 hash of the id of every kept row that has one
    rejected    rows that must not be learnt from; reasons: how many of each kind
    laws        versions of the law, each with its SHA-256
    documents   JSON by name: state of the learner, status, live page
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

from lengthwise.errors import InputError
from lengthwise.interfaces.service import rows as reading
from lengthwise.interfaces.service.group_commit import GroupCommit
from lengthwise.interfaces.service.sql_laws import publish, put
from lengthwise.interfaces.service.sql_link import Link, Run
from lengthwise.interfaces.service.sql_rows import append, reject, said
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

LEARNER = "learner"
UNWELL_S = 5.0
"""How long a failed write makes :meth:`SqlStore.check` say no."""


class SqlStore:
    """See :class:`~lengthwise.interfaces.service.store.Store`.

    Parameters
    ----------
    writing, reading
        Two connections: a reader never waits for a writer.
    """

    def __init__(self, writing: Link, reading: Link) -> None:
        self._writing, self._reading = writing, reading
        self._group = GroupCommit(self._write_group)
        self._failure: tuple[float, str] | None = None

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
        while len(found) < limit:
            batches = self.batches(found[-1][0] if found else after, limit - len(found))
            if not batches:
                break
            for batch in batches:
                found += [item for item in reading.numbered(batch) if item[0] > after]
        return found[:limit]

    def batches(self, after: int, rows: int) -> list[Stored]:
        """Read whole batches that hold rows above ``after``: at least one, about ``rows`` rows."""
        found: list[Stored] = []
        held = 0
        with self._reading.use() as run:
            while held < rows:
                got = run("SELECT last, count, received_s, body, skip FROM batches WHERE last > ?"
                          " ORDER BY last LIMIT 16",
                          found[-1].last if found else after)  # fmt: skip
                for last, count, received_s, body, skip in got:
                    if held < rows:
                        found.append(Stored(last, count, received_s, bytes(body),
                                            tuple(json.loads(skip)) if skip else ()))  # fmt: skip
                        held += count
                if len(got) < 16:
                    break
        return found

    def counts(self) -> dict[str, Any]:
        """Count rows: accepted, duplicates, waiting, stored, ttft, tpot, quarantined by reason."""
        with self._reading.use() as run:
            row = run("SELECT accepted, duplicates, ttft, tpot, learnt, pruned FROM totals")[0]
            found = dict(zip(("accepted", "duplicates", "ttft", "tpot", "learnt", "pruned"), row,
                             strict=True))  # fmt: skip
            reasons: dict[str, int] = dict(run("SELECT reason, count FROM reasons ORDER BY reason"))
        found |= {"waiting": found["accepted"] - max(found["learnt"], found["pruned"])}
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
            detail = {"training": training, "test": test, "metrics": metrics}
            run("INSERT INTO asked(command, detail) VALUES (?, ?)", "flush", json.dumps(detail))
        return {"ttft_training": gone[0], "tpot_training": gone[1],
                "ttft_test": tested["ttft"] if test else 0,
                "tpot_test": tested["tpot"] if test else 0}  # fmt: skip

    def prune(self, keep_rows: int, keep_s: float, now_s: float) -> int:
        """Drop rows that were learnt and are old or beyond the number; gives how many."""
        with self._changing() as run:
            accepted, learnt, pruned = run("SELECT accepted, learnt, pruned FROM totals")[0]
            old = run("SELECT MAX(last) FROM batches WHERE last <= ? AND (last <= ? OR"
                      " received_s < ?)", learnt, accepted - keep_rows,
                      now_s - keep_s)[0][0]  # fmt: skip
            if old is None or old <= pruned:  # pruned may be ahead: a flush
                return 0
            run("DELETE FROM batches WHERE last <= ?", old)
            run("DELETE FROM ids WHERE sequence <= ?", old)
            run("UPDATE totals SET pruned = ?", old)
        return int(old - pruned)

    # rows kept apart ------------------------------------------------------------------------

    def quarantine(self, rows: Sequence[Rejected]) -> None:
        """Keep rows apart; a sequence that is there already is not counted again."""
        with self._changing() as run:
            reject(run, rows)

    def quarantined(self, after: int = 0, limit: int = 1000) -> list[Rejected]:
        """Read rows kept apart."""
        with self._reading.use() as run:
            found = run("SELECT sequence, reason, received_s, body FROM rejected"
                        " WHERE sequence > ? ORDER BY sequence LIMIT ?", after, limit)  # fmt: skip
        return [Rejected(s, reason, at, json.loads(body)) for s, reason, at, body in found]

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
        return [LawInfo(v, sha, at, note, size, v == active) for v, sha, at, note, size in found]

    def law(self, version: int) -> str | None:
        """Read one version as JSON."""
        if not 0 <= version < 1 << 62:
            return None
        with self._reading.use() as run:
            found = run("SELECT body FROM laws WHERE version = ?", version)
        return found[0][0] if found else None

    def active(self, known: str = "") -> tuple[int, str, str | None] | None:
        """Give version, SHA-256 and JSON of the active law; no JSON when the hash is ``known``."""
        with self._reading.use() as run:
            found = run("SELECT version, sha256 FROM laws WHERE version ="
                        " (SELECT COALESCE(pinned, active) FROM totals)")  # fmt: skip
            if not found:
                return None
            version, sha = found[0]
            if sha == known:
                return version, sha, None
            body = run("SELECT body FROM laws WHERE version = ?", version)
        return (version, sha, body[0][0]) if body else None

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
        """Read a document; None where there is none."""
        with self._reading.use() as run:
            found = run("SELECT body FROM documents WHERE name = ?", name)
        return json.loads(found[0][0]) if found else None

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
        return [(number, command, json.loads(detail)) for number, command, detail in found]

    # training -------------------------------------------------------------------------------

    def progress(self) -> tuple[int, str | None]:
        """Read the cursor and the state of the learner that belongs to it."""
        with self._reading.use() as run:
            cursor = run("SELECT learnt FROM totals")[0][0]
            state = run("SELECT body FROM documents WHERE name = ?", LEARNER)
        return cursor, state[0][0] if state else None

    def commit(self, change: Round) -> int | None:
        """Write a round of training at once; gives the version of the law published in it."""
        with self._changing() as run:
            if change.before is not None:
                found = run("SELECT learnt FROM totals")[0][0]
                if found != change.before:
                    raise OvertakenError("only one trainer may learn from this state",
                                         got=f"cursor {found}, not {change.before}")  # fmt: skip
            reject(run, change.rejected)
            version = None if change.law is None else publish(run, change.law, change.note)
            if change.cursor is not None:
                run("UPDATE totals SET learnt = ?", change.cursor)
            if change.learner is not None:
                put(run, LEARNER, change.learner)
            for name, value in change.documents.items():
                put(run, name, json.dumps(value))
        return version

    def lead(self) -> bool:
        """Become, or still be, the one trainer of this state; False while another one is."""
        raise NotImplementedError

    # health ---------------------------------------------------------------------------------

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
            return append(run, group)
