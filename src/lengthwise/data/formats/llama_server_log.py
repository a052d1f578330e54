"""Logs of llama-server and of llama.cpp's command-line programs: lines of a request's times.

    prompt eval time =    1234.56 ms /   100 tokens (   12.35 ms per token, ...)
           eval time =    2000.00 ms /    50 tokens (   40.00 ms per token, ...)

Each pair is one request; lines of several slots may be mixed and are told apart by their task.
Times and counts mean what they do in the ``timings`` of a response, except that llama.cpp's own
programs print ``runs``, which is one fewer than there are tokens.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, parsed
from lengthwise.data.formats.llama_server import NOTES, per_token, timings_row
from lengthwise.data.formats.request_records import EMPTY, add_no_load, disagreement

NAME = "llama-server-log"
TITLE = "logs of llama-server and llama-cli"

_TIME = re.compile(
    r"(?P<prompt>prompt )?eval time\s*=\s*(?P<ms>[\d.]+) ms /\s*(?P<n>\d+)\s*(?P<what>tokens|runs)"
    r"(?:\s*\(\s*(?P<each>[\d.]+) ms per token)?"
)
_TASK = re.compile(r"\btask\s+(-?\d+)")
_NOTE = "prompt tokens reused from the cache are not in these lines: isl is what was computed"

Found = dict[str, float]


def matches(document: Document) -> bool:
    """Whether lines hold the times of prompt and tokens as llama.cpp logs them."""
    if document.objects or b"eval time" not in document.data:
        return False
    found = {bool(m["prompt"]) for m in _TIME.finditer(document.text)}
    return found == {True, False}


def read(document: Document) -> Parsed:
    """Read one row per pair of lines."""
    dropped: Counter[str] = Counter()
    rows: list[Row] = []
    found_of: list[Found] = []
    for found in _requests(document.text):
        if "predicted_n" not in found:
            dropped["prompt without an answer"] += 1
        elif found["predicted_n"] < 1:
            dropped[EMPTY] += 1
        else:
            rows.append(timings_row(found))
            found_of.append(found)
    told = [found.get("each", math.nan) for found in found_of]
    spans = [found["predicted_ms"] for found in found_of]
    each = per_token(told, spans, [max(found["printed_n"], 1.0) for found in found_of])
    flags = disagreement(rows, told, each, "ms per token")
    notes = [*NOTES, _NOTE, *add_no_load(rows)] if rows else []
    return parsed(rows, dropped=dropped, assumptions=notes, flags=flags)


def _requests(text: str) -> Iterator[Found]:
    """Yield the times of each request, by its task where lines name one."""
    open_: dict[str, Found] = {}
    task = ""
    for line in text.splitlines():
        named = _TASK.search(line)
        task = named[1] if named else task
        found = _TIME.search(line)
        if not found:
            continue
        ms, n = float(found["ms"]), float(found["n"])
        if found["prompt"]:
            if task in open_:
                yield open_.pop(task)
            open_[task] = {"prompt_ms": ms, "prompt_n": n}
        elif task in open_:
            runs = found["what"] == "runs"
            more = {"predicted_ms": ms, "predicted_n": n + 1 if runs else n, "printed_n": n}
            each = {"each": float(found["each"])} if found["each"] else {}
            yield open_.pop(task) | more | each
    yield from open_.values()
