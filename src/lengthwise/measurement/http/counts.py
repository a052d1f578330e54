"""How many tokens an answer has, by those who count: the server, its usage, its finish reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lengthwise.measurement.http.tokens import TokenStream


@dataclass(frozen=True)
class Counts:
    """Token counts of one answer; None where nobody counts.

    Attributes
    ----------
    isl, osl
        By the server; ``osl`` has its hidden tokens in it.
    hidden
        Tokens of reasoning that were made and not shown.
    cached
        Prompt tokens that came from a cache, fewer than ``isl``.
    """

    isl: int | None = None
    osl: int | None = None
    hidden: int = 0
    cached: int | None = None


def counts_of(stream: TokenStream) -> Counts:
    r"""Return what the server counts of an answer.

    >>> stream = TokenStream()
    >>> stream.feed(1, b'data: {"usage": {"prompt_tokens": 9, "completion_tokens": 40}}\n\n')
    >>> counts_of(stream)
    Counts(isl=9, osl=40, hidden=0, cached=None)
    """
    usage, timings = stream.usage, stream.timings
    isl, osl = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
    thought = _detail(usage, "completion_tokens_details", "reasoning_tokens") or 0
    if osl is not None and isl is not None and thought:
        apart = count(usage.get("total_tokens")) == isl + osl + thought  # as xAI counts
        osl += thought * apart
    kept, new = count(timings.get("cache_n")), count(timings.get("prompt_n"))
    if isl is None and new is not None:
        isl = new + (kept or 0)
    osl = osl or count(timings.get("predicted_n"))
    cached = kept if cached is None else cached
    if cached is not None and isl:
        cached = min(cached, isl - 1)
    return Counts(isl, osl, 0 if stream.thoughts else thought, cached)


def _detail(usage: dict[str, Any], group: str, name: str) -> int | None:
    found = usage.get(group)
    return count(found.get(name)) if isinstance(found, dict) else None


def count(value: Any) -> int | None:
    """Return a number of tokens, None if the value is none.

    >>> count(40), count(-1), count("many")
    (40, None, None)
    """
    found = number(value)
    return None if found is None or found < 0 else int(found)


def number(value: Any) -> float | None:
    """Return a finite number, None if the value is none.

    >>> number(2), number(True), number(float("nan"))
    (2.0, None, None)
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None
