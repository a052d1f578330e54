"""Statements that read and write sealed documents; called inside a transaction."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from lengthwise.errors import ArtifactError
from lengthwise.interfaces.service.seal import read_document, seal, unseal
from lengthwise.interfaces.service.sql_link import Run

LEARNER, EARLIER, TOTALS, DAMAGE = "learner", "learner_before", "totals", "damage"
ASIDE = ".damaged"
MOST_DAMAGE, LONGEST = 50, 400
_LEARNER = re.compile(r'\{"cursor": (\d{1,18}), "learner": (.*)\}', re.DOTALL)
FIXED = ("learnt", "pruned", "newest", "active", "pinned")
"""Totals that change seldom: a sealed copy of them is kept."""


class Found(NamedTuple):
    """Something damaged, in plain words, and how many observations are lost by it."""

    what: str
    rows_lost: int = 0


def put(run: Run, name: str, text: str) -> None:
    """Write a document, JSON, with its checksum."""
    run("INSERT INTO documents(name, body) VALUES (?, ?)"
        " ON CONFLICT(name) DO UPDATE SET body = EXCLUDED.body", name, seal(text))  # fmt: skip


def get(run: Run, name: str) -> Any:
    """Read a document; None where there is none.

    Raises
    ------
    ArtifactError
        If it is damaged.
    """
    found = run("SELECT body FROM documents WHERE name = ?", name)
    return read_document(name, str(found[0][0])) if found else None


def put_learner(run: Run, cursor: int, text: str, *, twice: bool) -> None:
    """Write the state of a learner with the cursor that belongs to it."""
    for name in (LEARNER, EARLIER) if twice else (LEARNER,):
        put(run, name, f'{{"cursor": {cursor}, "learner": {text}}}')


def get_learner(run: Run, name: str) -> tuple[int | None, str] | None:
    """Read the state of a learner and its cursor (None: written before it was kept beside it)."""
    found = run("SELECT body FROM documents WHERE name = ?", name)
    if not found:
        return None
    text, sealed = unseal(str(found[0][0]))
    if not sealed:
        return None, text
    match = _LEARNER.fullmatch(text)
    return (None, text) if match is None else (int(match[1]), match[2])


def put_totals(run: Run) -> None:
    """Keep a sealed copy of the totals that change seldom."""
    row = run(f"SELECT {', '.join(FIXED)} FROM totals")[0]
    put(run, TOTALS, json.dumps(dict(zip(FIXED, row, strict=True))))


def note(run: Run, found: Found) -> None:
    """Remember that something was found damaged."""
    try:
        known = get(run, DAMAGE) or []
    except ArtifactError:
        known = []
    known.append({"time_s": time.time(), "what": found.what[:LONGEST],
                  "rows_lost": found.rows_lost})  # fmt: skip
    put(run, DAMAGE, json.dumps(known[-MOST_DAMAGE:]))


def warn(found: Found) -> None:
    """Say on standard error what is damaged.

    >>> warn(Found("the clock was damaged"))
    """
    print(f"warning: {found.what}", file=sys.stderr, flush=True)


def set_aside(run: Run, name: str) -> None:
    """Give a document another name, so that it is not read again but can be looked at."""
    run("DELETE FROM documents WHERE name = ?", name + ASIDE)
    run("UPDATE documents SET name = ? WHERE name = ?", name + ASIDE, name)


def fits(name: str, stored: str) -> bool:
    """Whether a stored document is what was written.

    >>> fits("live", "[1,2"), fits("live", seal("{}"))
    (False, True)
    """
    try:
        if name in (LEARNER, EARLIER):
            text, sealed = unseal(stored)
            return sealed or isinstance(json.loads(text), Mapping)
        read_document(name, stored)
    except (ArtifactError, ValueError, RecursionError):
        return False
    return True
