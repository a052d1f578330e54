"""llama-server: the ``timings`` object in responses of llama.cpp, one object or one a line.

    TTFT = prompt_ms    TPOT = predicted_ms / (predicted_n - 1)    E2E = prompt_ms + predicted_ms

The server stops the clock of the prompt when the first token is drawn, so ``predicted_ms`` holds
one gap fewer than there are tokens; older versions print ``predicted_per_token_ms`` over all tokens
nevertheless, which is too small by that one. Times begin when a slot starts on the prompt: the wait
for a slot is not in them. ``prompt_n`` counts what was computed; with the ``cache_n`` tokens reused
from the cache it is the prompt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import (
    Row,
    at,
    cached_part,
    first,
    number,
    parsed,
    request_row,
    tokens,
    tpot_s,
)
from lengthwise.data.formats.request_records import (
    EMPTY,
    FAILED,
    Record,
    add_no_load,
    disagreement,
)
from lengthwise.data.parsing import json_inside
from lengthwise.units import ms_to_s

NAME = "llama-server"
TITLE = "llama-server (responses with timings)"

_MARKS = {"prompt_ms", "predicted_n", "predicted_ms"}
NOTES = (
    "times begin when a slot starts on the prompt; the wait for a slot is not in them",
    "predicted_ms is of the tokens after the first: tpot_ms is predicted_ms / (predicted_n - 1)",
)


def matches(document: Document) -> bool:
    """Whether any object holds, or is, a timings object of llama-server."""
    return any(_timings(found) is not None for found in _objects(document))


def read(document: Document) -> Parsed:
    """Read one row per finished response."""
    dropped: Counter[str] = Counter()
    rows: list[Row] = []
    told: list[float] = []
    spans: list[float] = []
    for record in _objects(document):
        timings = _timings(record)
        if timings is None or _is_part(record):
            dropped[FAILED if "error" in record else "part of a streamed answer"] += 1
        elif not tokens(timings["predicted_n"], "predicted_n") >= 1:
            dropped[EMPTY] += 1
        else:
            rows.append(timings_row(timings, _total(record, timings)) | _labels(record))
            told.append(number(timings.get("predicted_per_token_ms"), "predicted_per_token_ms"))
            spans.append(number(timings["predicted_ms"], "predicted_ms"))
    counts = [row["osl"] for row in rows]
    flags = disagreement(rows, told, per_token(told, spans, counts), "predicted_per_token_ms")
    return parsed(rows, dropped=dropped, flags=flags,
                  assumptions=[*NOTES, *add_no_load(rows)] if rows else [])  # fmt: skip


def per_token(
    told: Sequence[float], spans: Sequence[float], counts: Sequence[float]
) -> list[float]:
    """Return time per token, ms, over all tokens or all but the first, as versions print it.

    >>> per_token([10.0, 9.9], [990.0, 990.0], [100, 100])
    [10.0, 9.9]
    """
    found = []
    for printed, span, count in zip(told, spans, counts, strict=True):
        over_gaps, over_all = span / max(count - 1, 1), span / count
        nearer = abs(over_gaps - printed) < abs(over_all - printed)
        found.append(over_gaps if nearer else over_all)
    return found


def _objects(document: Document) -> list[dict[str, Any]]:
    """Return the JSON objects of a file, those of saved server-sent events too."""
    if document.objects or b'"timings"' not in document.data:
        return document.objects
    found = []
    for line in document.text.splitlines():
        body = line.partition("data:")[2].strip()
        found.append(json_inside(body) if body.startswith("{") else None)
    return [value for value in found if isinstance(value, dict)]


def _is_part(record: Record) -> bool:
    """Whether an event of a stream tells times so far (timings_per_token), not of the whole."""
    if record.get("stop") is False:
        return True
    choices = record.get("choices")
    if record.get("object") != "chat.completion.chunk" or not isinstance(choices, list):
        return False
    return bool(choices) and at(choices[0], "finish_reason") is None


def timings_row(timings: Mapping[str, Any], total: float = float("nan")) -> Row:
    """Return a row of one request from its timings.

    Parameters
    ----------
    timings
        Object with ``prompt_n``, ``prompt_ms``, ``predicted_n``, ``predicted_ms``, ``cache_n``.
    total
        Prompt tokens, cached ones included, where the response says it elsewhere.

    Examples
    --------
    >>> row = timings_row({"prompt_n": 64, "prompt_ms": 50.0, "predicted_n": 11,
    ...                    "predicted_ms": 200.0, "cache_n": 192})
    >>> row["isl"], row["cached_tokens"], row["tpot_ms"], row["e2e_ms"]
    (256.0, 192.0, 20.0, 250.0)
    """
    names = ("prompt_ms", "predicted_ms", "prompt_n", "cache_n")
    prompt, decode, computed, cached = (number(timings.get(name), name) for name in names)
    computed = computed if computed >= 0 else 0.0
    osl = tokens(timings["predicted_n"], "predicted_n")
    if not cached >= 0:
        cached = total - computed if total >= computed else float("nan")
    isl = computed + cached if cached >= 0 else computed
    ttft, span = ms_to_s(prompt), ms_to_s(decode)
    row = request_row(
        ttft=ttft, end=ttft + span, tpot=tpot_s(0.0, span, osl),
        isl=tokens(isl, "prompt tokens"), osl=osl, cached_tokens=cached_part(isl, cached),
        engine="llama.cpp", clock="server",
    )  # fmt: skip
    drafted, accepted = (number(timings.get(n), n) for n in ("draft_n", "draft_n_accepted"))
    return row | ({"draft_acceptance": accepted / drafted} if drafted > 0 else {})


def _timings(record: Record) -> Mapping[str, Any] | None:
    for found in (record.get("timings"), at(record, "response", "timings"), record):
        if isinstance(found, Mapping) and set(found) >= _MARKS:
            return found
    return None


def _total(record: Record, timings: Mapping[str, Any]) -> float:
    """Read the prompt tokens that the response tells outside its timings."""
    body = record.get("response") if isinstance(record.get("response"), Mapping) else record
    told = first(at(body, "usage", "prompt_tokens"), at(body, "tokens_evaluated"))
    return number(told, "tokens_evaluated") if body is not timings else float("nan")


def _labels(record: Record) -> Row:
    body = record.get("response") if isinstance(record.get("response"), Mapping) else record
    settings = at(body, "generation_settings", "model")
    name = first(at(body, "model"), settings, at(body, "model_name"))
    file = PurePath(str(name).replace("\\", "/")).name
    build = at(body, "system_fingerprint")
    return {
        "model": file.removesuffix(".gguf") if name else None,
        "engine_version": build if isinstance(build, str) else None,
    }
