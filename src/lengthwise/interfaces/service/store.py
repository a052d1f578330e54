"""What the service keeps, and the promises of whatever keeps it.

Observations come in batches: the body of a request, kept as the bytes that were sent, and how many
rows it holds. Rows are numbered 1, 2, 3, ... in the order they were accepted (their **sequence**).

Promises
--------
- :meth:`Store.append` returns after the rows are on disk; a row whose id was accepted before is
  counted as a duplicate and not kept again. A caller that got an error does not know whether its
  rows are kept: send them again, with ids.
- :meth:`Store.commit` writes everything one round of training changes, or nothing.
- Rows that must not be learnt from are kept apart with the reason (:class:`Rejected`).
- Old rows go only after training has used them (:meth:`Store.prune`); with them go the ids by
  which a repeated row is known.
- What is read is what was written: batches, laws and documents have checksums. One that does not
  fit is not given; the last good one is, where there is one (:meth:`Store.earlier`).
- When it cannot keep its promise it raises :class:`ServiceUnavailable` and works again by itself
  when the cause is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from lengthwise.errors import LengthwiseError


class ServiceUnavailable(LengthwiseError):  # noqa: N818 - the name of the HTTP status it becomes
    """State cannot be read or written now; ``reason`` says why in plain words."""

    def __init__(self, reason: str, *, got: str = "", remedy: str = "try again later") -> None:
        self.reason = reason
        super().__init__(reason, got=got, remedy=remedy)


class OvertakenError(LengthwiseError):
    """Another trainer went on from the same place."""


@dataclass(frozen=True)
class Entry:
    """One observation: the row of the contract (milliseconds, as sent) and when it came."""

    id: str | None
    received_s: float
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Observed:
    """A batch on its way in.

    Parameters
    ----------
    body
        JSON: a list of rows, or an object with the list under ``entries``.
    count
        Rows in it.
    ids
        Id of each row ("" for a row without), or empty when no row has one.
    ttft, tpot
        Rows that say something about each target.
    """

    body: bytes
    count: int
    ids: Sequence[str] = ()
    ttft: int = 0
    tpot: int = 0
    received_s: float = 0.0


@dataclass(frozen=True)
class Receipt:
    """What became of a batch; ``last_sequence`` is the number of its last kept row."""

    accepted: int
    duplicates: int
    last_sequence: int


@dataclass(frozen=True)
class Stored:
    """A batch as it is kept; rows of the body at ``skip`` were duplicates and have no number.

    ``fault`` says why it must not be learnt from: it is not what was written.
    """

    last: int
    count: int
    received_s: float
    body: bytes
    skip: tuple[int, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Rejected:
    """A row that must not be learnt from, with the reason."""

    sequence: int
    reason: str
    received_s: float
    row: Mapping[str, Any]


@dataclass(frozen=True)
class LawInfo:
    """A version of the law without its body."""

    version: int
    sha256: str
    created_s: float
    note: str
    size_bytes: int
    active: bool = False


@dataclass(frozen=True)
class Round:
    """What one round of training changes; ``cursor`` and ``learner`` belong together.

    ``before`` is the cursor this round began from: when another trainer has moved it meanwhile,
    nothing is written and :class:`OvertakenError` is raised. With ``twice`` the learner is written
    a second time, as the one to return to when the first is damaged.
    """

    before: int | None = None
    cursor: int | None = None
    learner: str | None = None
    twice: bool = False
    law: Mapping[str, Any] | None = None
    note: str = ""
    rejected: Sequence[Rejected] = ()
    documents: Mapping[str, Any] = field(default_factory=dict)


class Store(Protocol):
    """State of the service; every method may raise :class:`ServiceUnavailable`."""

    def submit(self, batch: Observed) -> Future[Receipt]:
        """Hand a batch to the writer; batches that wait together share one commit."""

    def append(
        self, body: bytes, count: int, *, ids: Sequence[str] = (), ttft: int = 0, tpot: int = 0
    ) -> Receipt:
        """Keep a batch; it is on disk when this returns."""

    def append_entries(self, entries: Sequence[Entry]) -> Receipt:
        """Keep rows given one by one."""

    def read(self, after: int, limit: int) -> list[tuple[int, Entry]]:
        """Read rows with a sequence above ``after``, in order, at most ``limit``."""

    def batches(self, after: int, rows: int) -> list[Stored]:
        """Read whole batches that hold rows above ``after``: at least one, about ``rows`` rows."""

    def counts(self) -> dict[str, Any]:
        """Count rows: accepted, duplicates, waiting, stored, ttft, tpot, quarantined by reason."""

    def quarantine(self, rows: Sequence[Rejected]) -> None:
        """Keep rows apart; a sequence that is there already is not counted again."""

    def quarantined(self, after: int = 0, limit: int = 1000) -> list[Rejected]:
        """Read rows kept apart."""

    def flush(self, training: bool, test: bool, metrics: bool) -> dict[str, int]:
        """Drop kept observations, and ask the trainer to drop what it holds of them.

        Returns ``ttft_training``, ``tpot_training``, ``ttft_test``, ``tpot_test``: rows dropped.
        """

    def publish(self, law: str | Mapping[str, Any], note: str) -> int:
        """Keep a law as the next version; it becomes active unless another one is pinned."""

    def laws(self) -> list[LawInfo]:
        """List the versions kept, newest first."""

    def law(self, version: int) -> str | None:
        """Read one version as JSON."""

    def active(self, known: str = "") -> tuple[int, str, str | None] | None:
        """Give version, SHA-256 and JSON of the active law; no JSON when the hash is ``known``."""

    def activate(self, version: int | None) -> None:
        """Pin a version (promote or roll back); None: follow the newest again.

        Raises
        ------
        InputError
            If there is no such version.
        """

    def pinned(self) -> int | None:
        """Give the pinned version."""

    def put(self, name: str, value: Any) -> None:
        """Keep a JSON document under a name."""

    def get(self, name: str) -> Any:
        """Read a document; None where there is none."""

    def ask(self, command: str, detail: Mapping[str, Any] | None = None) -> int:
        """Leave a request for the trainer; gives its number."""

    def asked(self, after: int) -> list[tuple[int, str, dict[str, Any]]]:
        """Read the requests above a number."""

    def progress(self) -> tuple[int, str | None]:
        """Read the cursor and the state of the learner that belongs to it."""

    def earlier(self) -> tuple[int, str] | None:
        """Read the second copy of a learner (``Round.twice``) and the cursor that it had."""

    def commit(self, change: Round) -> int | None:
        """Write a round of training at once; gives the version of the law published in it."""

    def lead(self) -> bool:
        """Become, or still be, the one trainer of this state; False while another one is."""

    def prune(self, keep_rows: int, old: int = 0) -> int:
        """Drop rows that were learnt and are old or beyond the number; gives how many.

        Parameters
        ----------
        keep_rows
            Number of rows that stay.
        old
            Rows up to this one are old, see :class:`~lengthwise.interfaces.service.ages.Ages`.
        """

    def damage(self) -> list[dict[str, Any]]:
        """List what was found damaged, newest last: ``time_s``, ``what``, ``rows_lost``."""

    def check(self) -> None:
        """Raise :class:`ServiceUnavailable` unless rows can be read and were written lately."""

    def close(self) -> None:
        """Finish what was submitted and close."""
