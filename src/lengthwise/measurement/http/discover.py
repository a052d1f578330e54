"""Finding out what a server serves and understands, with a handful of small requests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from lengthwise.errors import InputError, LengthwiseError
from lengthwise.measurement.http.client import Client, Target
from lengthwise.measurement.http.counts import counts_of
from lengthwise.measurement.http.exchange import Exchange, Transport, WireError
from lengthwise.measurement.http.failure import failure_of, retry_after_s
from lengthwise.measurement.http.record import Job

KEY_VARIABLE = "LENGTHWISE_API_KEY"
ENDPOINTS = ("auto", "completions", "chat")
PROBE_ISL, PROBE_OSL = 48, 2
PROBES, PROBE_PAUSE_S, PROBE_WAIT_S = 3, 0.2, 5.0
"""Times that a probe is sent while the server is busy or stumbles, and pauses in between."""

CALIBRATION_WORDS = ((64, 320), (16, 64))
"""Two lengths that calibrate words; the second pair is for servers with a short context."""

_USAGE = {"stream_options": {"include_usage": True}}
_FULL = {**_USAGE, "ignore_eos": True, "min_tokens": 0}
EXTRAS: tuple[tuple[Mapping[str, Any], str], ...] = (
    (_FULL, ""),
    (_USAGE, "the server refuses ignore_eos: answers may be shorter than asked"),
    ({}, "the server refuses stream_options: it reports no token counts"),
)


def split_url(url: str) -> tuple[str, str]:
    """Split an address into origin and prefix of the API; ``/v1`` is added if it is not there.

    >>> split_url("http://127.0.0.1:8000"), split_url("https://host/openai/v1/")
    (('http://127.0.0.1:8000', '/v1'), ('https://host', '/openai/v1'))
    """
    parts = urlsplit(url)
    try:
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        port_fits = False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_fits:
        raise InputError("a server is an address with http:// or https://", got=repr(url),
                         remedy="write for example http://127.0.0.1:8000")  # fmt: skip
    if parts.username or parts.password or parts.query:
        raise InputError("an address must hold no password and no query", got="one that does",
                         remedy=f"put the key into the variable {KEY_VARIABLE}")  # fmt: skip
    path = parts.path.rstrip("/")
    for ending in ("/chat/completions", "/completions", "/models"):
        path = path.removesuffix(ending)
    return f"{parts.scheme}://{parts.netloc}", path if path.endswith("/v1") else f"{path}/v1"


async def find_target(
    transport: Transport, url: str, *, endpoint: str = "auto", model: str | None = None,
    timeout_s: float = 600.0,
) -> Target:  # fmt: skip
    """Find model and engine, and probe what the server accepts.

    Raises
    ------
    InputError
        If the address or the endpoint is none.
    LengthwiseError
        If the server does not answer, or takes no request that could be timed.
    """
    if endpoint not in ENDPOINTS:
        raise InputError(f"the endpoint must be one of {', '.join(ENDPOINTS)}", got=repr(endpoint),
                         remedy="leave it out to have it found")  # fmt: skip
    origin, prefix = split_url(url)
    key = os.environ.get(KEY_VARIABLE)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    base = Target(origin, f"{prefix}/completions", model or "", headers=headers)
    base = await _described(transport, base, prefix, model, timeout_s)
    tried: list[str] = []
    for chat in {"auto": (False, True), "completions": (False,), "chat": (True,)}[endpoint]:
        path = f"{prefix}/chat/completions" if chat else f"{prefix}/completions"
        found = await _probed(transport, replace(base, path=path, chat=chat), timeout_s, tried)
        if found:
            return found
    raise LengthwiseError(
        "the server must stream an answer to a small request", got=tried[-1],
        remedy="check the model name (--model) and the log of the server",
    )  # fmt: skip


async def fetch(
    transport: Transport, path: str, headers: Mapping[str, str], timeout_s: float
) -> Exchange:
    """Get a small page; raises :class:`WireError` if there is none."""
    exchange = Exchange("GET", path, headers=headers)
    await transport.send(exchange, min(timeout_s, 30.0))
    return exchange


async def _described(
    transport: Transport, base: Target, prefix: str, model: str | None, timeout_s: float
) -> Target:
    """Add model, engine and version."""
    try:
        answer = await fetch(transport, f"{prefix}/models", base.headers, timeout_s)
    except WireError as error:
        raise LengthwiseError(
            "the server must answer", got=f"{error.label} at {base.origin}: {error.detail}",
            remedy="start it, or check host and port",
        ) from None  # fmt: skip
    if answer.status in (401, 403):
        raise _unauthorised(answer.status)
    listed = answer.json()
    models = listed.get("data") if isinstance(listed, dict) else None
    entries = [m for m in models or [] if isinstance(m, dict) and m.get("id")]
    names = [str(m["id"]) for m in entries]
    if not names and model is None:
        raise LengthwiseError(
            "the server must list its model", got=f"status {answer.status} from {prefix}/models",
            remedy="name it with --model",
        )  # fmt: skip
    chosen = model or names[0]
    entry = next((m for m in entries if m["id"] == chosen), entries[0] if entries else {})
    server = answer.response_headers.get("server", "")
    engine = _engine(server, str(entry.get("owned_by", "")))
    notes = [f"{len(names)} models are served, the first is measured"] * (
        model is None and len(names) > 1
    )
    if model and names and model not in names:
        notes.append(f"{model} is not among the models listed: {', '.join(names[:5])}")
    meta = entry.get("meta")
    size = meta.get("n_vocab") if isinstance(meta, dict) else None
    return replace(
        base, model=chosen, engine=engine, server={"server": server} if server else {},
        engine_version=await _version(transport, engine, base, timeout_s), notes=tuple(notes),
        vocabulary=size if isinstance(size, int) else base.vocabulary,
    )  # fmt: skip


def _engine(server: str, owner: str) -> str:
    known = {"llama.cpp": "llama.cpp", "llamacpp": "llama.cpp", "vllm": "vllm", "sglang": "sglang",
             "lengthwise-mock": "mock"}  # fmt: skip
    return next((name for text, name in known.items() if text in (server + owner).lower()), "")


async def _version(transport: Transport, engine: str, base: Target, timeout_s: float) -> str:
    path, field = {
        "vllm": ("/version", "version"), "llama.cpp": ("/props", "build_info"),
        "sglang": ("/get_server_info", "version"),
    }.get(engine, ("", ""))  # fmt: skip
    if not path:
        return ""
    try:
        found = (await fetch(transport, path, base.headers, timeout_s)).json()
    except WireError:
        return ""
    return str(found.get(field, "")) if isinstance(found, dict) else ""


async def _probed(
    transport: Transport, target: Target, timeout_s: float, tried: list[str]
) -> Target | None:
    """Find the richest request the server takes; None if it takes none at this path."""
    llama = {"cache_prompt": False} if target.engine == "llama.cpp" else {}
    for extras, note in EXTRAS:
        for ids in (False,) if target.chat else (True, False):
            asked = replace(target, ids=ids, extras={**extras, **(llama if extras else {})})
            exchange = await _ask(transport, asked, timeout_s)
            failure = _refusal(exchange)
            if exchange.status in (401, 403):
                raise _unauthorised(exchange.status)
            if exchange.status == 429:
                raise LengthwiseError(
                    "the server must take a small request",
                    got=f"status 429, {PROBES} times: {exchange.message}",
                    remedy="wait until its limit is over, or raise it",
                )
            if failure:
                tried.append(f"{failure[0]} from {asked.path}: {failure[1]}")
                if exchange.status == 404:
                    return None
                continue
            asked = replace(asked, notes=(*target.notes, note) if note else target.notes)
            counted = counts_of(exchange.stream).isl
            if ids and counted is not None and abs(counted - PROBE_ISL) > 2:
                tried.append(f"{counted} tokens counted for a prompt of {PROBE_ISL} ids")
                continue
            return asked if ids else await _calibrated(transport, asked, timeout_s)
    return None


def _refusal(exchange: Exchange) -> tuple[str, str] | None:
    """Say why a probe failed; two tokens may well be a thought that is not shown."""
    failure = failure_of(exchange, PROBE_OSL)
    hidden = failure is not None and failure[0] == "no_tokens" and counts_of(exchange.stream).osl
    return None if hidden else failure


async def _ask(
    transport: Transport, target: Target, timeout_s: float, isl: int = PROBE_ISL
) -> Exchange:
    """Send a probe; again if the server is busy or fails, which says nothing of the request."""
    for left in reversed(range(PROBES)):
        exchange = await _asked_once(transport, target, timeout_s, isl)
        failure = _refusal(exchange)
        passing = exchange.status == 429 or exchange.status >= 500
        if not left or not failure or not (passing or failure[0] in ("server_error", "aborted")):
            break
        await asyncio.sleep(min(max(retry_after_s(exchange), PROBE_PAUSE_S), PROBE_WAIT_S))
    return exchange


async def _asked_once(transport: Transport, target: Target, timeout_s: float, isl: int) -> Exchange:
    exchange = Client(target, transport, seed=isl).exchange(Job("probe", isl, PROBE_OSL))
    try:
        await transport.send(exchange, timeout_s)
    except WireError as error:
        raise LengthwiseError(
            "the server must answer a small request", got=f"{error.label}: {error.detail}",
            remedy="see the log of the server",
        ) from None  # fmt: skip
    exchange.close()
    return exchange


async def _calibrated(transport: Transport, target: Target, timeout_s: float) -> Target:
    """Learn how many tokens words make, from the counts of the server at two lengths."""
    for few, many in CALIBRATION_WORDS:
        counts = []
        for words in (few, many):
            exchange = await _ask(transport, target, timeout_s, words)
            counts.append(None if _refusal(exchange) else counts_of(exchange.stream).isl)
        low, high = counts
        if low is not None and high is not None and high > low:
            slope = (high - low) / (many - few)
            return replace(target, tokens_per_word=slope, template_tokens=low - slope * few)
    note = "the server counts no prompt tokens: one token per word is taken for granted"
    return replace(target, notes=(*target.notes, note))


def _unauthorised(status: int) -> LengthwiseError:
    return LengthwiseError("the server must accept the key", got=f"status {status}",
                           remedy=f"put it into the variable {KEY_VARIABLE}")  # fmt: skip
