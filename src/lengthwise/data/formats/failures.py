"""What a failed request is, and how it is called where it is counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.fields import number

FAILED = "failed request"
"""Reason of a failure that nothing names."""

BROKEN_OFF = frozenset({"abort", "aborted", "error", "cancelled", "canceled"})
"""Reasons to stop that are no end of an answer."""

_LONGEST = 60


def failed_because(error: Any) -> str:
    r"""Return the reason under which a failure is counted: the last line of what was said.

    >>> failed_because("Traceback (most recent call last):\n  ...\nTimeoutError")
    'failed request: TimeoutError'
    >>> failed_because({"code": 429, "message": "slow down"}), failed_because("")
    ('failed request: 429', 'failed request')
    """
    if isinstance(error, Mapping):
        named = (error.get(key) for key in ("error_type", "type", "code", "message", "error_msg"))
        error = next((value for value in named if value not in (None, "")), "error")
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{FAILED}: {lines[-1][:_LONGEST]}" if lines else FAILED


def is_error_message(body: Any) -> bool:
    """Return whether a body or an event of a stream says that the request failed.

    >>> is_error_message({"object": "error", "message": "engine died"})
    True
    >>> is_error_message({"choices": [{"finish_reason": "abort"}]})
    True
    >>> is_error_message({"error": None, "choices": []})
    False
    """
    if not isinstance(body, Mapping):
        return False
    if body.get("object") == "error" or body.get("type") == "error" or body.get("error"):
        return True
    choices = body.get("choices")
    return any(
        isinstance(choice, Mapping) and str(choice.get("finish_reason")).lower() in BROKEN_OFF
        for choice in (choices if isinstance(choices, list) else [])
    )


def failure_of(arrays: Mapping[str, Any], index: int) -> str | None:
    r"""Return why a request of a run with arrays failed; None for one that succeeded.

    >>> failure_of({"ttfts": [0.0], "errors": ["Traceback ...\nTimeoutError"]}, 0)
    'failed request: TimeoutError'
    >>> failure_of({"ttfts": [0.1], "output_lens": [0]}, 0)
    'failed request: empty answer'
    """
    error = arrays["errors"][index] if "errors" in arrays else None
    finish = arrays["finish_reasons"][index] if "finish_reasons" in arrays else None
    if error:
        return failed_because(error)
    if str(finish).lower() in BROKEN_OFF:
        return failed_because(finish)
    if not number(arrays["ttfts"][index], "ttft") > 0:
        return FAILED
    empty = "output_lens" in arrays and number(arrays["output_lens"][index], "output_lens") == 0
    return failed_because("empty answer") if empty else None
