"""What the mock server does: its times, and how it errs."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields

NS_PER_MS = 1e6


@dataclass(frozen=True)
class Behaviour:
    """What the server does; every field is an option of the command line.

    Attributes
    ----------
    tokens_per_chunk
        Tokens in one event; over 1 the chunks a client counts are fewer than the tokens.
    error_share, disconnect_share, stall_share, malformed_share
        Parts of the requests that are answered with ``error_status``, cut off after ``after``
        tokens, left hanging there, or given an event that is not JSON.
    refuse_ids, refuse_extras, no_usage
        Refuse token ids as prompt; refuse fields OpenAI does not know; report no counts.
    cached_tokens
        Tokens of every prompt that are said to come from a cache.
    die_after
        Requests after which the process ends, 0 for never.
    key
        Requests without it are refused; empty for none.
    """

    ttft_ms: float = 30.0
    ttft_ms_per_token: float = 0.05
    itl_ms: float = 8.0
    itl_ms_per_token: float = 0.0
    tokens_per_chunk: int = 1
    words_per_token: float = 1.0
    error_share: float = 0.0
    error_status: int = 500
    disconnect_share: float = 0.0
    stall_share: float = 0.0
    malformed_share: float = 0.0
    after: int = 3
    cached_tokens: int = 0
    refuse_ids: bool = False
    refuse_extras: bool = False
    no_usage: bool = False
    die_after: int = 0
    key: str = ""
    seed: int = 0

    def fate(self, draw: float) -> str:
        """Give what happens to a request by a number drawn from [0, 1).

        >>> Behaviour(error_share=0.5, stall_share=0.25).fate(0.6)
        'stall'
        """
        for name in ("error", "disconnect", "stall", "malformed"):
            share: float = getattr(self, f"{name}_share")
            if draw < share:
                return name
            draw -= share
        return "answer"

    def first_ns(self, isl: int) -> float:
        """Give the time from request to first token.

        >>> Behaviour(ttft_ms=30, ttft_ms_per_token=0.05).first_ns(200)
        40000000.0
        """
        return (self.ttft_ms + self.ttft_ms_per_token * isl) * NS_PER_MS

    def gap_ns(self, context: int) -> float:
        """Give the time between tokens at a context length."""
        return (self.itl_ms + self.itl_ms_per_token * context) * NS_PER_MS


def parse_args(words: list[str] | None = None) -> tuple[int, Behaviour]:
    """Read the command line: the port (0 for any free one) and the behaviour."""
    parser = argparse.ArgumentParser(prog="python -m lengthwise.measurement.http.mock")
    parser.add_argument("--port", type=int, default=0)
    for one in fields(Behaviour):
        option = "--" + one.name.replace("_", "-")
        if isinstance(one.default, bool):
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=type(one.default), default=one.default)
    found = vars(parser.parse_args(words))
    return found.pop("port"), Behaviour(**found)
