"""When the tokens of an answer came: from the arrivals of its chunks and the counts of the server.

A chunk is not a token. Tokens without text (special ones, half a character, those after the end
under ``ignore_eos``) may have an empty chunk each or none; the chunk of the role is none; several
tokens may share a chunk, or a proxy may hold chunks back. So a time per token is only given where
the chunks account for the tokens that the server counts:

1. the server counts along in each chunk;
2. there are as many chunks as tokens: those with text, then with the empty ones, then with the
   chunk that ends the answer;
3. the same without the reasoning that the server counts and does not show;
4. the time from first to last, shared by all tokens, is the usual gap between chunks (the tokens
   missing came in between or after), or the numbers differ by a few percent only;
5. the text of the chunks is about as many words as tokens are missing: several tokens per chunk.

Chunks that arrive together count as one arrival. With k tokens in the first arrival, the time per
token is (last - first arrival) / (tokens - k). An answer that arrives all at its end has neither a
time to first token nor a time per token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from lengthwise.measurement.http.pieces import pieces
from lengthwise.measurement.http.tokens import Chunk

ONE_PIECE = "arrived in one piece"
LATE_START = "the first tokens came together"
HIDDEN = "tokens without chunk before the first text"
COUNTS = "chunks and token counts disagree"

TOGETHER_NS = 200_000
"""Chunks closer than this arrive together."""

AT_THE_END = 0.05
"""Part of E2E within which a whole answer that was held back arrives."""

HELD_BACK_NS = 500_000
"""Time per token of an answer in bursts below which no engine made it just then."""

LATE = 0.1
"""Part of the TTFT by which it may be late."""

SAME_PACE, SAME_NUMBER, FEWEST_GAPS = 0.15, 0.05, 3
AS_WORDS, AS_TOKENS, NO_WORDS = 0.5, 1.8, 0.2
LATE_END = 3.0

Mark = tuple[int, float]
"""Arrival, and the tokens that came with it."""


@dataclass
class Timing:
    """Times of one answer, nanoseconds.

    Attributes
    ----------
    first_ns
        Arrival of the first token, None where it is not known.
    token_ns
        Mean time per token after the first, None where it is not known.
    arrivals_ns
        Of the chunks taken for tokens.
    single
        Whether each of them is one token, arriving by itself.
    note
        Why a time is missing, empty if none is.
    """

    first_ns: int | None = None
    token_ns: float | None = None
    arrivals_ns: list[int] = field(default_factory=list)
    single: bool = False
    note: str = ""


def reconcile(
    chunks: Sequence[Chunk], tokens: int | None, *, sent_ns: int, end_ns: int, hidden: int = 0,
    doubtful: bool = False,
) -> Timing:  # fmt: skip
    """Return the times that chunks and counts agree on.

    Parameters
    ----------
    tokens
        Of the answer, by the server; None if nobody counts.
    sent_ns, end_ns
        When the request was sent, and when its answer was complete.
    hidden
        Those among ``tokens`` that are known to be reasoning that was not shown.
    doubtful
        Whether the count may be one of chunks: then the words must agree with it.

    Examples
    --------
    >>> empty = [Chunk(50 + 10 * i, "a " if i < 2 else "") for i in range(6)]
    >>> found = reconcile(empty, 6, sent_ns=0, end_ns=100)
    >>> found.first_ns, found.token_ns
    (50, 10.0)
    """
    shown = [chunk for chunk in chunks if chunk.text] or [c for c in chunks if not c.role]
    if not shown:
        return Timing(note=COUNTS)
    if (tokens is None or tokens > 1) and _at_the_end(shown, tokens, end_ns - sent_ns):
        return Timing(arrivals_ns=_arrivals(shown), note=ONE_PIECE)
    if tokens is None:
        tokens = len(shown) if _words(shown) < AS_TOKENS * len(shown) else 0
    if doubtful and _words(shown) >= AS_TOKENS * len(shown):
        tokens = 0
    along = _counted_along(chunks, tokens)
    if along:
        return _timed(along, sent_ns)
    for before in (0, hidden) if hidden else (0,):
        equal = _one_each(chunks, tokens - before)
        if equal:
            return _timed(equal, sent_ns, before=before)
    return _uneven(chunks, shown, tokens, sent_ns)


def _at_the_end(shown: Sequence[Chunk], tokens: int | None, e2e_ns: int) -> bool:
    """Say whether an answer of several tokens arrived all at once."""
    window = shown[-1].at_ns - shown[0].at_ns
    if window > AT_THE_END * e2e_ns:
        return False
    if len(shown) == 1 and tokens is None:
        return pieces(shown[0].text) > 1
    bursts = sum(1 for _ in _bursts([(chunk.at_ns, 1.0) for chunk in shown]))
    per_token = window / max((tokens or len(shown)) - 1, 1)
    in_bursts = len(shown) >= 2 * bursts
    return bursts == 1 or per_token < (HELD_BACK_NS if in_bursts else TOGETHER_NS)


def _counted_along(chunks: Sequence[Chunk], tokens: int) -> list[Mark]:
    """Mark the chunks of a stream in which the server counts along; none if it does not."""
    marks: list[Mark] = []
    before = 0
    for chunk in chunks:
        if chunk.tokens > before:
            marks.append((chunk.at_ns, chunk.tokens - before))
            before = chunk.tokens
    return marks if len(marks) > 1 and before == tokens else []


def _one_each(chunks: Sequence[Chunk], tokens: int) -> list[Mark]:
    """Mark one chunk per token if the kinds of chunk allow it, else none."""
    first = next((i for i, chunk in enumerate(chunks) if chunk.text), len(chunks))
    empty = [i for i, chunk in enumerate(chunks) if not (chunk.text or chunk.end)]
    text = [i for i, chunk in enumerate(chunks) if chunk.text]
    end = [i for i, chunk in enumerate(chunks) if chunk.end and not chunk.text]
    later = [i for i in empty if i > first]
    plain = [i for i in empty if not chunks[i].role]
    for extra in ([], later, plain, empty):
        for last in ([], end):
            if len(text) + len(extra) + len(last) == tokens:
                marks = [(chunks[i].at_ns, 1.0) for i in sorted(text + extra + last)]
                return _without_late_end(marks) if last else marks
    return []


def _without_late_end(marks: list[Mark]) -> list[Mark]:
    """Drop the chunk that ends the answer where it came long after the others."""
    gaps = _gaps(marks)
    if len(gaps) >= FEWEST_GAPS and gaps[-1] > LATE_END * median(gaps[:-1]) + TOGETHER_NS:
        return marks[:-1]
    return marks


def _uneven(chunks: Sequence[Chunk], shown: list[Chunk], tokens: int, sent_ns: int) -> Timing:
    """Time an answer with another number of chunks than tokens."""
    found = Timing(shown[0].at_ns, arrivals_ns=_arrivals(shown), note=COUNTS)
    found.token_ns = _same_pace(chunks, shown, tokens)
    if found.token_ns is not None:
        found.note = ""
        return found
    if pieces(shown[0].text) >= AS_TOKENS:
        found.first_ns = None  # nobody knows for how many others the first token waited
    arrivals, words = len(shown), _words(shown)
    if tokens <= arrivals:
        return found
    share = (words - arrivals) / (tokens - arrivals)
    if share >= AS_WORDS:
        each = tokens / words
        marks = [(chunk.at_ns, pieces(chunk.text) * each) for chunk in shown]
        return _timed(marks, sent_ns)
    if share < NO_WORDS:
        found.first_ns, found.note = None, HIDDEN
    return found


def _same_pace(chunks: Sequence[Chunk], shown: list[Chunk], tokens: int) -> float | None:
    """Find the time per token if it is the usual gap between chunks, ns."""
    plain = [chunk for chunk in chunks if not chunk.role and chunk.at_ns >= shown[0].at_ns]
    for kept in (shown, [c for c in plain if not c.end]):
        gaps = [gap for gap in _gaps([(c.at_ns, 1.0) for c in kept]) if gap > TOGETHER_NS]
        if len(gaps) < FEWEST_GAPS or tokens < 2:
            continue
        if abs(len(kept) - tokens) <= SAME_NUMBER * tokens:
            return (kept[-1].at_ns - kept[0].at_ns) / (tokens - 1)
        for last in (kept[-1], plain[-1]):
            each = (last.at_ns - kept[0].at_ns) / (tokens - 1)
            if abs(each / median(gaps) - 1) <= SAME_PACE:
                return each
    return None


def _timed(marks: list[Mark], sent_ns: int, *, before: int = 0) -> Timing:
    """Time marks that account for all tokens, ``before`` of them ahead of the first mark."""
    merged = list(_bursts(marks))
    in_bursts = len(marks) >= 2 * len(merged) > 2
    used = merged if in_bursts else marks
    first_ns, together = used[0]
    rest = sum(tokens for _, tokens in used[1:])
    timing = Timing(first_ns, arrivals_ns=[at_ns for at_ns, _ in marks])
    if rest > 0:
        timing.token_ns = (used[-1][0] - first_ns) / rest
    timing.single = not in_bursts and all(tokens == 1 for _, tokens in marks)
    ahead = max(together, 1.0) - 1 + before
    if ahead >= 1 and ahead * (timing.token_ns or 0) > LATE * (first_ns - sent_ns):
        timing.first_ns, timing.note = None, HIDDEN if before else LATE_START
    return timing


def _bursts(marks: Sequence[Mark]) -> Iterator[Mark]:
    """Join marks that came together: their tokens arrived with the last of them."""
    at_ns, together = marks[0]
    for next_ns, tokens in marks[1:]:
        if next_ns - at_ns > TOGETHER_NS:
            yield at_ns, together
            together = 0.0
        at_ns, together = next_ns, together + tokens
    yield at_ns, together


def _arrivals(shown: Sequence[Chunk]) -> list[int]:
    return [chunk.at_ns for chunk in shown]


def _gaps(marks: Sequence[Mark]) -> list[int]:
    return [b - a for (a, _), (b, _) in pairwise(marks)]


def _words(shown: Sequence[Chunk]) -> int:
    return sum(pieces(chunk.text) for chunk in shown)
