"""Limits of the service: one table for the rules, the environment and the documentation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Limit:
    """A setting that bounds something.

    Parameters
    ----------
    name
        Of the setting; its variable is ``LENGTHWISE_`` and the name in capitals.
    least, most
        Bounds of its value.
    meaning
        What it bounds, and what goes beyond it.
    """

    name: str
    kind: type[int] | type[float]
    least: float
    most: float
    meaning: str

    @property
    def variable(self) -> str:
        """Name in the environment."""
        return f"LENGTHWISE_{self.name.upper()}"

    @property
    def rule(self) -> str:
        """What the value must be."""
        upper = "" if self.most == math.inf else f", at most {self.most:g}"
        return f"at least {self.least:g}{upper}"

    def holds(self, value: Any) -> bool:
        """Return whether a value is within the bounds (NaN is not)."""
        return isinstance(value, (int, float)) and self.least <= value <= self.most


LIMITS = (
    Limit("max_rows", int, 1, math.inf, "rows of one request to predict or observe (422)"),
    Limit("max_row_bytes", int, 1024, 1 << 20, "bytes of a row, and of all beside the rows (422)"),
    Limit("max_body_bytes", int, 1024, 1 << 30, "bytes of one body (413)"),
    Limit("max_law_bytes", int, 1024, 64 << 20, "bytes of a law sent for import (413)"),
    Limit("max_held_bytes", int, 1 << 20, 1 << 40,
          "bytes of all bodies being read, and of all answers not yet taken, of a worker (503)"),
    Limit("max_line_bytes", int, 256, 1 << 16, "bytes of a request's path and query (414)"),
    Limit("max_head_bytes", int, 1024, 1 << 20, "bytes of a request's head (431)"),
    Limit("max_headers", int, 10, 10_000, "headers of a request (431)"),
    Limit("head_timeout_s", float, 0.1, 86400, "seconds until a head is complete (408)"),
    Limit("body_timeout_s", float, 0.1, 86400,
          "seconds until a body is complete (408), and until an answer is taken"),
    Limit("keep_alive_s", float, 1, 86400, "seconds a connection may rest between requests"),
    Limit("max_connections", int, 8, 1_000_000,
          "connections of a worker; beyond it the one that rested longest is closed, and where all "
          "are busy only probes are answered (503)"),
    Limit("rate_per_s", float, 0, 1e9,
          "requests a second of one client, over all workers (429); 0: no limit"),
    Limit("wrong_tokens_per_s", float, 0.001, 1e9,
          "requests a second of one client with a wrong token, after 20 at once (429)"),
    Limit("keep_rows", int, 0, math.inf, "observations kept after they were learnt"),
    Limit("keep_days", float, 1e-6, math.inf, "days that observations are kept after that"),
    Limit("keep_rejected", int, 0, math.inf, "quarantined rows kept, the newest"),
)  # fmt: skip
"""All limits, in the order in which they are documented."""


def broken_limits(settings: Any) -> list[tuple[str, str]]:
    """Return rule and name of each limit that the settings break."""
    return [(at.rule, at.name) for at in LIMITS if not at.holds(getattr(settings, at.name))]
