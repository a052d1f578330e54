"""What is kept of one request, and how it becomes a row of the measurement table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lengthwise.measurement.http.counts import Counts, counts_of, number
from lengthwise.measurement.http.exchange import Exchange
from lengthwise.measurement.http.reconcile import reconcile
from lengthwise.units import FloatArray

MS_PER_NS = 1e-6
MISMATCH = 0.05
"""Relative difference of token counts from which client and server disagree."""


@dataclass(frozen=True)
class Job:
    """A request to be sent.

    Attributes
    ----------
    scheduled_ns
        When it ought to leave, by ``time.perf_counter_ns``.
    concurrency, request_rate
        The load it is part of; one of them is None.
    """

    request_id: str
    isl: int
    osl: int
    point: int = 0
    repeat: int = 0
    warmup: bool = False
    concurrency: int | None = None
    request_rate: float | None = None
    scheduled_ns: int = 0


@dataclass
class Record:
    """One finished request; times are None where they are not known.

    Attributes
    ----------
    status
        ``ok`` or ``error``; ``error`` is then the label, ``detail`` the words.
    client_queue_ms
        Scheduled to send: waiting for this client, opening the connection included.
    first_chunk_ms
        Send to the first chunk with text, which is not always the first token.
    timing_note
        Why ``ttft_ms`` or ``tpot_ms`` is missing, empty if none is; see :mod:`~.reconcile`.
    gaps_ms
        Time between the chunks taken for tokens.
    single_tokens
        Whether each of them is one token.
    osl_client, osl_server
        Tokens by the number of chunks, and by the count of the server.
    retry_after_s
        How long the server asks to be left alone.
    in_flight
        Requests of this client on their way when it was sent, itself included.
    in_flight_mean
        The same, on average over its time; 0 if it was never sent.
    """

    job: Job
    status: str
    error: str = ""
    detail: str = ""
    timestamp: float = 0.0
    client_queue_ms: float | None = None
    connect_ms: float | None = None
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None
    first_chunk_ms: float | None = None
    timing_note: str = ""
    isl_server: int | None = None
    osl_server: int | None = None
    osl_client: int = 0
    cached_tokens: int | None = None
    finish_reason: str = ""
    server_prefill_ms: float | None = None
    server_tpot_ms: float | None = None
    in_flight: int = 0
    in_flight_mean: float = 0.0
    sent_ns: int = 0
    last_ns: int = 0
    retry_after_s: float = 0.0
    gaps_ms: FloatArray = field(default_factory=lambda: np.empty(0))
    single_tokens: bool = False

    @property
    def ok(self) -> bool:
        """Whether the answer was complete."""
        return self.status == "ok"

    @property
    def osl(self) -> int | None:
        """Tokens of the answer: the server's count, else those asked if that is why it ended."""
        asked = self.job.osl if self.finish_reason == "length" else 0
        return self.osl_server or max(asked, self.osl_client) or None

    @property
    def itl_ms(self) -> FloatArray:
        """Time between tokens, where each came in a chunk of its own; else empty."""
        return self.gaps_ms if self.single_tokens else np.empty(0)

    @property
    def token_mismatch(self) -> bool:
        """Whether the two counts differ by more than 5 %."""
        if not self.ok or not self.osl_server:
            return False
        return abs(self.osl_client - self.osl_server) > MISMATCH * self.osl_server

    def to_row(self) -> dict[str, Any]:
        """Give the request as a row of the measurement table; unknown values are None."""
        job, p = self.job, _percentiles(self.itl_ms)
        return {
            "phase": "request", "ttft_ms": self.ttft_ms, "tpot_ms": self.tpot_ms,
            "e2e_ms": self.e2e_ms, "isl": self.isl_server or job.isl,
            "osl": self.osl if self.ok else None, "cached_tokens": self.cached_tokens,
            **self._load(),
            "repeat": job.repeat, "warmup": job.warmup, "timestamp": self.timestamp,
            "clock": "client", "request_id": job.request_id, "point": job.point,
            "status": self.status, "error": self.error, "error_detail": self.detail,
            "timing_note": self.timing_note, "first_chunk_ms": self.first_chunk_ms,
            "client_queue_ms": self.client_queue_ms, "connect_ms": self.connect_ms,
            "asked_isl": job.isl, "asked_osl": job.osl, "osl_client": self.osl_client,
            "token_mismatch": self.token_mismatch, "finish_reason": self.finish_reason,
            "in_flight": self.in_flight, **p, "server_prefill_ms": self.server_prefill_ms,
            "server_tpot_ms": self.server_tpot_ms,
        }  # fmt: skip

    def _load(self) -> dict[str, Any]:
        """Columns of the load: what was held in flight, or what was while it ran at a rate."""
        if self.job.request_rate is None:
            return {"concurrency": self.job.concurrency}
        met = max(round(self.in_flight_mean, 2), 1.0) if self.in_flight_mean else None
        return {"concurrency": met, "request_rate": self.job.request_rate,
                "load_from": "measured" if met else "rate"}  # fmt: skip

    def request_line(self, labels: Mapping[str, Any]) -> str:
        """Write the request as a line of ``requests.jsonl``, without what is unknown."""
        row = self.to_row() | dict(labels)
        known = {k: v for k, v in row.items() if v is not None and v != ""}
        return json.dumps(known) + "\n"

    def step_lines(self) -> str:
        """Write one line per gap for ``steps.jsonl``; index 1 is the second token or chunk."""
        name, warm = json.dumps(self.job.request_id), json.dumps(self.job.warmup)
        head, isl = f'{{"request_id":{name},', self.isl_server or self.job.isl
        return "".join(
            head + (f'"output_index":{i},"context_len":{isl + i},' if self.single_tokens
                    else f'"chunk_index":{i},')
            + f'"gap_ms":{gap:.4f},"warmup":{warm}}}\n'
            for i, gap in enumerate(self.gaps_ms.tolist(), 1)
        )  # fmt: skip


def record_of(job: Job, exchange: Exchange, in_flight: int, unix_offset_s: float) -> Record:
    """Work out the figures of a complete exchange; the caller sets status and error.

    Parameters
    ----------
    unix_offset_s
        Unix time minus ``time.perf_counter``.
    """
    stream, sent = exchange.stream, exchange.sent_ns
    record = Record(job, "ok", in_flight=in_flight, sent_ns=sent, last_ns=exchange.last_ns)
    if not sent:
        record.timestamp = job.scheduled_ns * 1e-9 + unix_offset_s
        return record
    record.timestamp = sent * 1e-9 + unix_offset_s
    record.client_queue_ms = max(sent - job.scheduled_ns, 0) * MS_PER_NS
    record.connect_ms = exchange.connect_ns * MS_PER_NS
    counts = counts_of(stream)
    _note_counts(record, exchange, counts)
    if not stream.chunks:
        return record
    end_ns = max(stream.end_ns or exchange.last_ns, stream.chunks[-1].at_ns)
    tokens = record.osl if counts.osl or record.finish_reason == "length" else None
    timing = reconcile(
        stream.chunks, tokens, sent_ns=sent, end_ns=end_ns, hidden=counts.hidden,
        doubtful=record.finish_reason == "length" and tokens != job.osl,
    )  # fmt: skip
    record.osl_client, record.timing_note = len(timing.arrivals_ns), timing.note
    record.e2e_ms = (end_ns - sent) * MS_PER_NS
    arrivals = stream.arrivals_ns
    record.first_chunk_ms = (arrivals[0] - sent) * MS_PER_NS if arrivals else None
    if timing.first_ns is not None:
        record.ttft_ms = (timing.first_ns - sent) * MS_PER_NS
    if timing.token_ns is not None:
        record.tpot_ms = timing.token_ns * MS_PER_NS
    record.single_tokens = timing.single
    record.gaps_ms = np.diff(np.array(timing.arrivals_ns, dtype=np.float64)) * MS_PER_NS
    return record


def fail(record: Record, label: str, detail: str) -> None:
    """Mark a request as failed: half an answer has no times."""
    record.status, record.error, record.detail = "error", label, detail[:200]
    record.ttft_ms = record.tpot_ms = record.e2e_ms = record.first_chunk_ms = None
    record.server_prefill_ms = record.server_tpot_ms = None
    record.timing_note, record.gaps_ms = "", np.empty(0)


def _note_counts(record: Record, exchange: Exchange, counts: Counts) -> None:
    stream = exchange.stream
    record.osl_client, record.finish_reason = len(stream.arrivals_ns), stream.finish_reason
    record.isl_server, record.osl_server = counts.isl, counts.osl
    record.cached_tokens = counts.cached
    record.server_prefill_ms = number(stream.timings.get("prompt_ms"))
    record.server_tpot_ms = number(stream.timings.get("predicted_per_token_ms"))


def _percentiles(gaps_ms: FloatArray) -> dict[str, float | None]:
    names = ("itl_ms_mean", "itl_ms_p50", "itl_ms_p90", "itl_ms_p99", "itl_ms_max")
    if not len(gaps_ms):
        return dict.fromkeys(names)
    found = np.percentile(gaps_ms, (50, 90, 99, 100))
    return dict(zip(names, map(float, (gaps_ms.mean(), *found)), strict=True))
