"""Lines of SGLang's log that speak of one request: ``Finish`` and ``Req Time Stats``."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lengthwise.data.formats.base import Document
from lengthwise.data.formats.fields import Row, request_row, tokens
from lengthwise.data.parsing import json_inside

_META = re.compile(r"['\"]meta_info['\"]:\s*\{")
_STREAM = re.compile(r"\bstream=(True|False)")
_STATS = re.compile(
    r"Req Time Stats\(rid=(?P<rid>[^,)]+)[^)]*?input len=(?P<isl>\d+), output len=(?P<osl>\d+)"
    r", type=(?P<type>\w+)\): (?P<rest>.*)"
)
_DURATION = re.compile(r"(\w+)=(-?[\d.]+)(ms|s)?\b")
_DAY_S = 86_400.0


def has_lines(document: Document) -> bool:
    """Whether the text has a line of either kind."""
    data = document.data
    return b"Req Time Stats(rid=" in data or (
        b"Finish: obj=" in data and b"meta_info" in data
    ) or b'"event": "request.finished"' in data  # fmt: skip


def finished(text: str) -> Iterator[dict[str, Any]]:
    """Yield the record of each ``Finish`` line: its ``meta_info`` and whether it was streamed."""
    for line in text.splitlines():
        if '"event": "request.finished"' in line:
            record = json_inside(line[line.find("{") :])
            if isinstance(record, dict):
                yield record
        elif "Finish: obj=" in line:
            found = _META.search(line)
            meta = _balanced(line, found.end() - 1) if found else None
            if isinstance(meta, dict):
                streamed = _STREAM.search(line)
                yield {"meta_info": meta, "stream": bool(streamed and streamed[1] == "True")}


def time_stats(text: str, dropped: Counter[str]) -> Iterator[Row]:
    """Yield a row per ``Req Time Stats`` line of a server that does prefill and decode."""
    for line in text.splitlines():
        found = _STATS.search(line)
        if not found:
            continue
        said = {
            name: (float(value), unit) for name, value, unit in _DURATION.findall(found["rest"])
        }
        spans = [
            _seconds(*said.get(n, (-1.0, "s"))) for n in ("queue_duration", "forward_duration")
        ]
        if found["type"] != "unified":
            dropped["half of a disaggregated request"] += 1
        elif min(spans) < 0 or max(spans) > _DAY_S:
            dropped["request without its times"] += 1
        elif int(found["osl"]) < 1:
            dropped["no output token"] += 1
        else:
            yield request_row(
                ttft=float("nan"), tpot=float("nan"), end=sum(spans), engine="sglang",
                isl=tokens(found["isl"], "input len"), osl=tokens(found["osl"], "output len"),
                queue_ms=1e3 * spans[0], clock="server", rid=found["rid"].strip("'\" "),
                timestamp=said.get("start_time", (float("nan"), ""))[0],
            )  # fmt: skip


def _seconds(value: float, unit: str) -> float:
    return value * (1e-3 if unit == "ms" else 1.0)


def _balanced(line: str, start: int) -> Any:
    """Read the Python or JSON object that begins at a brace, None when it is cut off."""
    depth, quote, skip = 0, "", False
    for at in range(start, len(line)):
        sign = line[at]
        if skip:
            skip = False
        elif quote:
            skip, quote = sign == "\\", "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        else:
            depth += (sign == "{") - (sign == "}")
            if depth == 0:
                return _literal(line[start : at + 1])
    return None


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return json_inside(text)
