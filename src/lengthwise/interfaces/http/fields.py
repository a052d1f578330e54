"""The row of a router, field by field: what both APIs accept, and its bounds.

Two vocabularies name the same quantities: llm-d's (`kv_cache_percentage`, ...) and our own
(`kv_share`, ...). One table holds both, so that no check and no document can disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EXACT = float(2**53)
"""Above this a float64 no longer holds every integer; such values take the exact path."""
MOST = EXACT - 1
"""Largest integer that the native API takes: the next two are one float64."""
LONGEST_MS = 1e12
"""Longest time that the native API takes: some thirty years."""
LABEL_LENGTH, ID_LENGTH = 256, 200
"""Characters of the name or type of a pod, and of the id of a request."""
LABELS: tuple[str, ...] = ("pod_type", "pod")


@dataclass(frozen=True)
class Field:
    """One number of a row.

    Parameters
    ----------
    name
        As the wire spells it.
    column
        As `RouterRows` spells it.
    kind
        `share`: a fraction in [0, 1]. `count`: an integer >= 0. `time`: milliseconds >= 0.
    required
        A row without it is refused; otherwise it is 0 (a time: not observed).
    most
        Largest value there may be; None: any.

    Examples
    --------
    >>> Field("kv_share", "kv_share", "share").upper
    1.0
    """

    name: str
    column: str
    kind: Literal["share", "count", "time"]
    required: bool = False
    meaning: str = ""
    most: float | None = None

    @property
    def upper(self) -> float:
        """Largest value the fast path takes."""
        if self.most is not None:
            return self.most
        return {"share": 1.0, "count": EXACT, "time": float("inf")}[self.kind]


ROUTER = (
    Field("kv_cache_percentage", "kv_share", "share", True, "KV cache in use on the pod"),
    Field("input_token_length", "input_tokens", "count", True, "prompt tokens"),
    Field("num_request_waiting", "waiting", "count", True, "requests waiting on the pod"),
    Field("num_request_running", "running", "count", True, "requests running on the pod"),
    Field("num_tokens_generated", "generated", "count", True, "tokens generated so far"),
    Field("prefix_cache_score", "cached_share", "share", True, "prompt share found in the cache"),
    Field("prefill_tokens_in_flight", "prefill_in_flight", "count", False,
          "uncached prompt tokens in flight on the pod"),
    Field("decode_tokens_in_flight", "decode_in_flight", "count", False,
          "tokens being decoded on the pod"),
    Field("encoder_input_size", "encoder_tokens", "count", False, "multimodal encoder tokens"),
    Field("encoder_matched_size", "encoder_matched", "count", False,
          "multimodal encoder tokens found in the cache"),
)  # fmt: skip
"""A prediction row of llm-d."""

OBSERVED = (
    Field("actual_ttft_ms", "ttft_ms", "time", True, "measured time to first token; 0: none"),
    Field("actual_tpot_ms", "tpot_ms", "time", True, "measured time per output token; 0: none"),
)
"""What a training row of llm-d adds."""

NATIVE = tuple(
    Field(f.column, f.column, f.kind, f.column == "input_tokens", f.meaning,
          MOST if f.kind == "count" else None)
    for f in sorted(ROUTER, key=lambda f: f.column != "input_tokens")
)  # fmt: skip
"""A row of the native API: only the prompt's length is needed."""

NATIVE_OBSERVED = (
    Field("ttft_ms", "ttft_ms", "time", False, "measured time to first token; 0: none", LONGEST_MS),
    Field("tpot_ms", "tpot_ms", "time", False, "measured time per output token; 0: none",
          LONGEST_MS),
)  # fmt: skip

OSL = Field("osl", "osl", "count", False, "tokens to generate; 0: no end-to-end time asked",
            MOST)  # fmt: skip

TO_LLM_D = {f.column: f.name for f in (*ROUTER, *OBSERVED)}
"""Wire name of llm-d by our own name; the store keeps rows in llm-d's words."""
