"""What is kept of one request, and how it becomes a row of the measurement table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lengthwise.measurement.http.exchange import Exchange
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
    gaps_ms
        Time between chunks with text.
    osl_client, osl_server
        Tokens by the number of chunks, and by the count of the server.
    in_flight
        Requests of this client on their way when it was sent, itself included.
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
    isl_server: int | None = None
    osl_server: int | None = None
    osl_client: int = 0
    cached_tokens: int | None = None
    finish_reason: str = ""
    server_prefill_ms: float | None = None
    server_tpot_ms: float | None = None
    in_flight: int = 0
    sent_ns: int = 0
    last_ns: int = 0
    gaps_ms: FloatArray = field(default_factory=lambda: np.empty(0))

    @property
    def ok(self) -> bool:
        """Whether the answer was complete."""
        return self.status == "ok"

    @property
    def osl(self) -> int | None:
        """Tokens of the answer: the server's count where it gives one."""
        return self.osl_server or self.osl_client or None

    @property
    def token_mismatch(self) -> bool:
        """Whether the two counts differ by more than 5 %."""
        if not self.ok or not self.osl_server:
            return False
        return abs(self.osl_client - self.osl_server) > MISMATCH * self.osl_server

    def to_row(self) -> dict[str, Any]:
        """Give the request as a row of the measurement table; unknown values are None."""
        job, p = self.job, _percentiles(self.gaps_ms)
        known = job.request_rate is not None
        return {
            "phase": "request", "ttft_ms": self.ttft_ms, "tpot_ms": self.tpot_ms,
            "e2e_ms": self.e2e_ms, "isl": self.isl_server or job.isl,
            "osl": self.osl if self.ok else None, "cached_tokens": self.cached_tokens,
            "request_rate" if known else "concurrency": (
                job.request_rate if known else job.concurrency
            ),
            "repeat": job.repeat, "warmup": job.warmup, "timestamp": self.timestamp,
            "clock": "client", "request_id": job.request_id, "point": job.point,
            "status": self.status, "error": self.error, "error_detail": self.detail,
            "client_queue_ms": self.client_queue_ms, "connect_ms": self.connect_ms,
            "asked_isl": job.isl, "asked_osl": job.osl, "osl_client": self.osl_client,
            "token_mismatch": self.token_mismatch, "finish_reason": self.finish_reason,
            "in_flight": self.in_flight, **p, "server_prefill_ms": self.server_prefill_ms,
            "server_tpot_ms": self.server_tpot_ms,
        }  # fmt: skip

    def request_line(self, labels: Mapping[str, Any]) -> str:
        """Write the request as a line of ``requests.jsonl``, without what is unknown."""
        row = self.to_row() | dict(labels)
        known = {k: v for k, v in row.items() if v is not None and v != ""}
        return json.dumps(known) + "\n"

    def step_lines(self) -> str:
        """Write one line per gap for ``steps.jsonl``; index 1 is the second token."""
        name, warm = json.dumps(self.job.request_id), json.dumps(self.job.warmup)
        isl = self.isl_server or self.job.isl
        return "".join(
            f'{{"request_id":{name},"output_index":{i},"context_len":{isl + i},'
            f'"gap_ms":{gap:.4f},"warmup":{warm}}}\n'
            for i, gap in enumerate(self.gaps_ms.tolist(), 1)
        )


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
    _counts(record, exchange)
    times = stream.arrivals_ns
    if times:
        record.ttft_ms = (times[0] - sent) * MS_PER_NS
        record.gaps_ms = np.diff(np.array(times, dtype=np.float64)) * MS_PER_NS
        tokens = record.osl or 0
        if tokens >= 2 and len(times) >= 2:
            record.tpot_ms = (times[-1] - times[0]) * MS_PER_NS / (tokens - 1)
        record.e2e_ms = (exchange.last_ns - sent) * MS_PER_NS
    return record


def _counts(record: Record, exchange: Exchange) -> None:
    stream = exchange.stream
    usage, timings = stream.usage, stream.timings
    record.osl_client, record.finish_reason = len(stream.arrivals_ns), stream.finish_reason
    record.isl_server = _count(usage.get("prompt_tokens"))
    record.osl_server = _count(usage.get("completion_tokens"))
    details = usage.get("prompt_tokens_details")
    if isinstance(details, dict):
        record.cached_tokens = _count(details.get("cached_tokens"))
    if timings:
        cached, new = _count(timings.get("cache_n")), _count(timings.get("prompt_n"))
        if record.isl_server is None and new is not None:
            record.isl_server = new + (cached or 0)
        record.osl_server = record.osl_server or _count(timings.get("predicted_n"))
        record.cached_tokens = cached if record.cached_tokens is None else record.cached_tokens
        record.server_prefill_ms = _number(timings.get("prompt_ms"))
        record.server_tpot_ms = _number(timings.get("predicted_per_token_ms"))
    if record.cached_tokens is not None and record.isl_server:
        record.cached_tokens = min(record.cached_tokens, record.isl_server - 1)


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None or number < 0 else int(number)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and np.isfinite(value) else None


def _percentiles(gaps_ms: FloatArray) -> dict[str, float | None]:
    names = ("itl_ms_mean", "itl_ms_p50", "itl_ms_p90", "itl_ms_p99", "itl_ms_max")
    if not len(gaps_ms):
        return dict.fromkeys(names)
    found = np.percentile(gaps_ms, (50, 90, 99, 100))
    return dict(zip(names, map(float, (gaps_ms.mean(), *found)), strict=True))
