"""``vllm bench throughput``: how long a whole set of prompts took offline.

No request is timed, so no law can be fitted to it; the row is kept as a record of the run.
"""

from __future__ import annotations

import math
from dataclasses import replace

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import number, parsed
from lengthwise.data.report import Flag
from lengthwise.units import s_to_ms

NAME = "vllm-throughput"
TITLE = "vLLM bench throughput"

_KEYS = {"elapsed_time", "num_requests", "requests_per_second"}


def matches(document: Document) -> bool:
    """Whether the object has the keys of this tool."""
    return isinstance(document.json, dict) and set(document.json) >= _KEYS


def read(document: Document) -> Parsed:
    """One row, without a time of any request."""
    found = document.json
    row = {
        "phase": "request", "statistic": "total", "engine": "vllm", "model": found.get("model_id"),
        "n_requests": number(found["num_requests"], "num_requests"),
        "elapsed_ms": s_to_ms(number(found["elapsed_time"], "elapsed_time")),
        "requests_per_s": number(found["requests_per_second"], "requests_per_second"),
        "tokens_per_s": number(found.get("tokens_per_second"), "tokens_per_second"),
        "total_tokens": number(found.get("total_num_tokens"), "total_num_tokens"),
        "concurrency": number(found["num_requests"], "num_requests"),
    }  # fmt: skip
    flag = Flag.of(
        "no latency",
        "warning",
        [0],
        "the file says how long all requests took, not any of them",
        "measure latencies with vllm bench serve --save-detailed, vllm bench forward or latency",
    )
    made = parsed([row], flags=[flag])
    return replace(made, frame=made.frame.assign(e2e_ms=math.nan))
