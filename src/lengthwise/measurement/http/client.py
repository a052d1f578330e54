"""One streaming request to an OpenAI-compatible server, and the figures of its answer."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lengthwise.measurement.http.exchange import Exchange, Transport, WireError
from lengthwise.measurement.http.failure import failure_of, retry_after_s
from lengthwise.measurement.http.flight import Flight
from lengthwise.measurement.http.prompts import Prompts
from lengthwise.measurement.http.record import Job, Record, fail, record_of

MARK = "\0"


@dataclass(frozen=True)
class Target:
    """What to ask of a server, and how; see :func:`~.discover.find_target`.

    Attributes
    ----------
    ids
        Whether prompts are sent as token ids; else as words.
    tokens_per_word, template_tokens
        A prompt of words has ``template_tokens + tokens_per_word * words`` tokens.
    extras
        Further fields of the request, such as ``ignore_eos``.
    headers
        Sent with each request; may hold a key and is never shown.
    """

    origin: str
    path: str
    model: str
    chat: bool = False
    ids: bool = True
    tokens_per_word: float = 1.0
    template_tokens: float = 0.0
    vocabulary: int = 8000
    extras: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    engine: str = ""
    engine_version: str = ""
    server: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def words_for(self, isl: int) -> int:
        """Give the number of words that make a prompt of ``isl`` tokens, at least 1.

        >>> Target("", "", "m", tokens_per_word=1.5, template_tokens=10).words_for(100)
        60
        """
        return max(1, round((isl - self.template_tokens) / self.tokens_per_word))


class Client:
    """Sends requests of given lengths to one target.

    Parameters
    ----------
    target
        Where and how.
    transport
        Carries them.
    timeout_s
        Limit for one whole answer.
    seed
        Of the prompts.
    """

    def __init__(
        self, target: Target, transport: Transport, *, timeout_s: float = 600.0, seed: int | str = 0
    ) -> None:
        self.target, self.prompts = target, Prompts(seed, target.vocabulary)
        self._flight = Flight()
        self._transport, self._timeout_s = transport, timeout_s
        self._unix_offset_s = time.time() - time.perf_counter()
        self._templates: dict[int, tuple[bytes, bytes]] = {}
        self._headers = {"Content-Type": "application/json", "Accept": "text/event-stream",
                         **target.headers}  # fmt: skip

    @property
    def in_flight(self) -> int:
        """Requests on their way."""
        return self._flight.count

    @property
    def clock(self) -> str:
        """Who stamps arriving bytes: ``kernel`` or ``process``."""
        return self._transport.clock

    async def request(self, job: Job) -> Record:
        """Send one request and time its answer; failures are labelled, not raised.

        Labels are ``connect``, ``timeout`` and those of :func:`~.failure.failure_of`.
        """
        exchange = self.exchange(job)
        mark = self._flight.leave_ground()
        in_flight, failure = self.in_flight, None
        try:
            await self._transport.send(exchange, self._timeout_s)
        except WireError as error:
            failure = (error.label, error.detail)
        finally:
            mean = self._flight.land(mark)
        exchange.close()
        record = record_of(job, exchange, in_flight, self._unix_offset_s)
        record.in_flight_mean = mean
        failure = failure or failure_of(exchange, job.osl)
        if failure:
            fail(record, *failure)
            record.retry_after_s = retry_after_s(exchange)
        return record

    def exchange(self, job: Job) -> Exchange:
        """Write the request of a job."""
        head, tail = self._template(job.osl)
        target = self.target
        if target.ids:
            prompt = self.prompts.ids(job.isl)
        else:
            prompt = self.prompts.words(target.words_for(job.isl))
        headers = {**self._headers, "X-Request-Id": job.request_id}
        return Exchange("POST", target.path, head + prompt.encode() + tail, headers)

    def _template(self, osl: int) -> tuple[bytes, bytes]:
        """Bytes of a request before and after its prompt."""
        if osl not in self._templates:
            target = self.target
            body: dict[str, Any] = {"model": target.model}
            if target.chat:
                body["messages"] = [{"role": "user", "content": MARK}]
            else:
                body["prompt"] = [MARK] if target.ids else MARK
            body |= {"max_tokens": osl, "temperature": 0.0, "stream": True, **target.extras}
            if "min_tokens" in target.extras:
                body["min_tokens"] = osl
            quoted = json.dumps(MARK) if target.ids and not target.chat else json.dumps(MARK)[1:-1]
            head, _, tail = json.dumps(body).partition(quoted)
            self._templates[osl] = head.encode(), tail.encode()
        return self._templates[osl]
