"""What a prediction of one point says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lengthwise.domain.estimate import Estimate


@dataclass(frozen=True)
class RequestEstimate:
    """The three times of a request, each with its interval and standing.

    Attributes
    ----------
    ttft
        Time to first token: the prefill of the prompt.
    tpot
        Mean time per output token after the first; None for a single output token.
    e2e
        Time to the last token.

    Examples
    --------
    >>> one = Estimate(12.0, 11.0, 13.5, 0.9, True, 1.0, "compute", "a law")
    >>> RequestEstimate(one, None, one).e2e.latency_ms
    12.0
    """

    ttft: Estimate
    tpot: Estimate | None
    e2e: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Give the same fields as a dictionary ready for JSON."""
        parts = {"ttft": self.ttft, "tpot": self.tpot, "e2e": self.e2e}
        return {name: part and part.to_dict() for name, part in parts.items()}
