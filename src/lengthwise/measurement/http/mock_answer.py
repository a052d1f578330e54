"""What the mock server reads of a request and writes in answer: bytes, no clock."""

from __future__ import annotations

import json
from typing import Any

from lengthwise.measurement.http.mock_behaviour import Behaviour

MODEL = "mock-llm"
CHAT_TOKENS = 7
"""Tokens that the chat template adds."""


class Answerer:
    """Reads requests and writes answers.

    Parameters
    ----------
    behaviour
        How tokens are counted, and what is refused.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    def refused(self, asked: dict[str, Any]) -> str:
        """Say why a request is refused; empty if it is not."""
        if self.behaviour.refuse_ids and isinstance(asked.get("prompt"), list):
            return "the prompt must be text"
        if self.behaviour.refuse_extras and {"ignore_eos", "min_tokens"} & set(asked):
            return "unknown field ignore_eos"
        return ""

    def prompt_tokens(self, asked: dict[str, Any]) -> int:
        """Count the tokens of a prompt."""
        if "messages" in asked:
            words = sum(len(_text_of(m["content"]).split()) for m in asked["messages"])
            return CHAT_TOKENS + round(words / self.behaviour.words_per_token)
        if isinstance(asked["prompt"], list):
            return len(asked["prompt"])
        return max(1, round(len(asked["prompt"].split()) / self.behaviour.words_per_token))

    def ending(self, asked: dict[str, Any], isl: int, osl: int) -> bytes:
        """Write what follows the last token."""
        wanted = (asked.get("stream_options") or {}).get("include_usage")
        text = b""
        if wanted and not self.behaviour.no_usage:
            usage = {"choices": [], "usage": self._usage(isl, osl)}
            text = b"data: " + json.dumps(usage).encode() + b"\n\n"
        return text + b"data: [DONE]\n\n"

    def _usage(self, isl: int, osl: int) -> dict[str, Any]:
        cached = min(self.behaviour.cached_tokens, isl - 1)
        return {
            "prompt_tokens": isl, "completion_tokens": osl, "total_tokens": isl + osl,
            "prompt_tokens_details": {"cached_tokens": cached},
        }  # fmt: skip

    def whole(self, asked: dict[str, Any], isl: int) -> dict[str, Any]:
        """Give an answer that is not streamed."""
        osl = int(asked.get("max_tokens", 16))
        choice = {"index": 0, "text": " tok" * osl, "finish_reason": "length"}
        usage = {} if self.behaviour.no_usage else {"usage": self._usage(isl, osl)}
        return {"model": MODEL, "choices": [choice], **usage}


def event(chat: bool, text: str | None, *, role: bool = False) -> bytes:
    """Write one event; without text it says that the answer is complete."""
    ending = "null" if text is not None or role else '"length"'
    word = json.dumps(text or "")
    kind = "chat.completion.chunk" if chat else "text_completion"
    if role:
        inner = '"delta":{"role":"assistant","content":""}'
    elif chat:
        inner = f'"delta":{{"content":{word}}}' if text else '"delta":{}'
    else:
        inner = f'"text":{word}'
    return (
        f'data: {{"id":"mock","object":"{kind}","model":"{MODEL}","choices":'
        f'[{{"index":0,{inner},"finish_reason":{ending}}}]}}\n\n'
    ).encode()


def _text_of(content: str | list[dict[str, Any]]) -> str:
    """Join the text of a message that may come in parts."""
    return content if isinstance(content, str) else " ".join(p.get("text", "") for p in content)
