"""What is to be said about tokens, lengths and failures of a point: observation - effect - remedy.

No remedy names a number that is not known to be right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lengthwise.measurement.http.reconcile import COUNTS, HIDDEN, LATE_START, ONE_PIECE
from lengthwise.measurement.http.record import Record

TAIL_MS, TAIL_SHARE = 50.0, 0.05
ZERO_SHARE, FULL_LOAD = 0.05, 0.9
CACHED = 16

NOTES = {
    ONE_PIECE: (
        "arrived in one piece at their end", "they have e2e_ms only, no ttft_ms and no tpot_ms",
        "a proxy that buffers is the likely cause: measure the server itself, or switch buffering "
        "off (nginx: proxy_buffering off)",
    ),
    LATE_START: (
        "begin with several tokens at once", "the first of them may have waited for the others, "
        "so ttft_ms is left out (first_chunk_ms has the arrival)",
        "let the server or the proxy send each token as it comes",
    ),
    HIDDEN: (
        "have tokens without a chunk before their first text, such as hidden reasoning",
        "when the first token came is not known, so ttft_ms is left out, and tpot_ms where the "
        "rest does not add up",
        "let the server show its reasoning, or switch reasoning off",
    ),
    COUNTS: (
        "have chunks that do not account for the tokens the server counts",
        "the time per token is not known, so tpot_ms is left out, and ttft_ms where the first "
        "chunk has several words",
        "let the server send each token in a chunk of its own, and report usage",
    ),
}  # fmt: skip
"""Observation, effect and remedy for each reason of a missing time."""

FEW_IN_ONE_PIECE = (
    "they waited for a proxy that buffers, or for a client kept from its core: measure the server "
    "itself, and give the client a free core (taskset)"
)
"""Remedy where most answers did not."""


def token_warnings(good: Sequence[Record]) -> list[str]:
    """Return what weakens times and lengths of the requests that succeeded."""
    if not good:
        return []
    return [*_notes(good), *_bundled(good), *_lengths(good), *_tail(good), *_cached(good),
            *_zero_gaps(good)]  # fmt: skip


def failure_warnings(counted: Sequence[Record], concurrency: int | None) -> list[str]:
    """Return what failures do to the load of a point.

    Parameters
    ----------
    counted
        All requests but those that warm up.
    concurrency
        Of a closed loop; None in an open one.
    """
    good = [r for r in counted if r.ok]
    failed = len(counted) - len(good)
    if not failed or not good:
        return []
    found = f"{failed} of {len(counted)} requests failed - they are left out of all figures"
    limited = any(r.error == "http_429" for r in counted)
    remedy = "raise the limit of the server, or ask for less" if limited else "see its log"
    span_ns = max(r.last_ns for r in good) - min(r.sent_ns for r in good)
    in_flight = sum(r.last_ns - r.sent_ns for r in good) / max(span_ns, 1)
    if concurrency is not None and concurrency > 1 and in_flight < FULL_LOAD * concurrency:
        found += (f", but the load was lighter for it: {in_flight:.1f} requests at a time on "
                  f"average where {concurrency} were asked")  # fmt: skip
    return [f"{found} - {remedy}"]


def _notes(good: Sequence[Record]) -> list[str]:
    found = []
    for note, (seen, effect, remedy) in NOTES.items():
        noted = [r for r in good if r.timing_note == note]
        if noted:
            counts = f" ({_counts(noted[0])})" if note in (HIDDEN, COUNTS) else ""
            if note == ONE_PIECE and 2 * len(noted) < len(good):
                remedy = FEW_IN_ONE_PIECE
            found.append(
                f"{len(noted)} of {len(good)} answers {seen}{counts} - {effect} - {remedy}"
            )
    return found


def _counts(one: Record) -> str:
    return f"{one.osl_client} chunks, {one.osl or 'no'} tokens"


def _bundled(good: Sequence[Record]) -> list[str]:
    known = [r for r in good if r.tpot_ms is not None]
    several = [r for r in known if (r.osl or 0) > 1 and not r.single_tokens]
    if not several:
        return []
    return [
        f"{len(several)} of {len(good)} answers come with several tokens in a chunk or chunks in "
        f"bursts ({_counts(several[0])}) - single gaps say nothing about tokens, so ITL is left "
        "out - use tpot_ms, the time per token after the first chunk"
    ]


def _lengths(good: Sequence[Record]) -> list[str]:
    found, n = [], len(good)
    other = [r for r in good if r.osl is not None and r.osl != r.job.osl]
    other = [r for r in other if r.osl_server or r.timing_note != COUNTS]
    if other:
        one = other[0]
        stopped = any(r.finish_reason != "length" and (r.osl or 0) < r.job.osl for r in other)
        remedy = "let the server ignore the end-of-sequence token"
        if not stopped:
            remedy = "see which limit of the server ends them, and what its usage counts"
        found.append(
            f"{len(other)} of {n} answers have another length than asked ({one.osl} instead of "
            f"{one.job.osl}) - end-to-end times are of those lengths - {remedy}"
        )
    if any(r.osl_server is None for r in good):
        found.append("the server gave no token counts - lengths are those asked and the chunks "
                     "seen - switch usage on at the server")  # fmt: skip
    return found


def _tail(good: Sequence[Record]) -> list[str]:
    tails = [((r.last_ns - r.sent_ns) * 1e-6 - r.e2e_ms, r.e2e_ms) for r in good if r.e2e_ms]
    late = [tail for tail, e2e in tails if tail > max(TAIL_MS, TAIL_SHARE * e2e)]
    if not late:
        return []
    return [f"{len(late)} of {len(good)} streams stayed open for {np.median(late):.0f} ms after "
            "their answer was complete - e2e_ms ends with the answer, not with what follows it "
            "(usage, [DONE]) - nothing to do"]  # fmt: skip


def _cached(good: Sequence[Record]) -> list[str]:
    cached = [r for r in good if (r.cached_tokens or 0) > CACHED]
    if not cached:
        return []
    return [f"{len(cached)} of {len(good)} prompts were partly in a prefix cache - their TTFT is "
            "too short for their length - switch prefix caching off at the server"]  # fmt: skip


def _zero_gaps(good: Sequence[Record]) -> list[str]:
    gaps = np.concatenate([r.itl_ms for r in good])
    zero = float((gaps == 0).mean()) if len(gaps) else 0.0
    if zero <= ZERO_SHARE:
        return []
    return [f"{zero:.0%} of the gaps are zero: chunks arrived together - percentiles of ITL say "
            "nothing about tokens - use tpot_ms, or go around the proxy"]  # fmt: skip
