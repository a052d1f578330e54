"""What in an answer says that it failed, in the words of the servers that write it.

An answer that failed has status 200 more often than not: the head was sent before the engine gave
up. vLLM up to 0.9 writes ``{"object": "error", "message": ...}``, later ones, SGLang, TGI and
Ollama ``{"error": ...}``, FastChat an ``error_code``; engines that gave a request up set the finish
reason ``abort`` or ``error``; filters cut it off with ``content_filter``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ABORTED = ("abort", "aborted", "cancel", "cancelled", "canceled")
FILTERED = ("content_filter", "sensitive", "safety")
FAILED = ("error", "failed", "timeout", "network_error", "overloaded",
          "insufficient_system_resource")  # fmt: skip
NONE = ("", "none", "null")


def error_in(event: Mapping[str, Any], name: str = "") -> str | None:
    """Return the words of an error event, None if it is none.

    Parameters
    ----------
    event
        Data of the event.
    name
        Its name, from the field ``event``.

    Examples
    --------
    >>> error_in({"object": "error", "message": "engine died", "code": 500})
    'engine died'
    >>> error_in({"choices": [{"text": "a"}], "error": None}) is None
    True
    """
    get = event.get
    said = (
        name == "error" or get("error") or get("error_code")
        or get("object") == "error" or get("type") == "error"
        or ("choices" not in event and ("detail" in event or {"message", "code"} <= event.keys()))
    )  # fmt: skip
    return (message_of(event) or "an error without words") if said else None


def reason_of(choice: Mapping[str, Any]) -> tuple[str, str]:
    """Return why a choice ended and any words with it, both empty while it goes on.

    >>> reason_of({"finish_reason": {"type": "abort", "message": "out of memory"}})
    ('abort', 'out of memory')
    >>> reason_of({"text": "a", "finish_reason": None})
    ('', '')
    """
    found = choice.get("finish_reason")
    words = ""
    if isinstance(found, dict):
        words, found = str(found.get("message") or ""), found.get("type")
    reason = str(found or "")
    return ("", "") if reason.lower() in NONE else (reason, words)


def bad_reason(reason: str, words: str = "") -> tuple[str, str] | None:
    """Return label and detail of an answer that ended with a failure, None if it did not.

    >>> bad_reason("abort"), bad_reason("length")
    (('aborted', 'the server ended the answer with finish_reason abort'), None)
    """
    kinds = {"aborted": ABORTED, "content_filter": FILTERED, "server_error": FAILED}
    detail = words or f"the server ended the answer with finish_reason {reason}"
    return next(
        ((label, detail) for label, names in kinds.items() if reason.lower() in names), None
    )


def message_of(answer: Any) -> str:
    """Return the words of an error answer of any of the usual shapes, cut to 200 characters.

    >>> message_of({"error": {"message": "too long", "code": 400}}), message_of({"detail": "no"})
    ('too long', 'no')
    """
    found = answer
    for key in ("error", "message", "detail", "text"):
        if isinstance(found, dict) and found.get(key):
            found = found[key]
    return " ".join(str(found).split())[:200]
