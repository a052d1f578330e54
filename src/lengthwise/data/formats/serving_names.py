"""What the serving benchmarks of vLLM and SGLang called their keys, in all versions.

No key is in every version: vLLM wrote ``request_inthroughput`` and ``total_input`` at first, had no
``total_token_throughput`` before 0.6.2, and leaves out each time that --percentile-metrics does not
name; SGLang had medians only (``median_ttft``, milliseconds without saying so) up to 0.4. So a run
is known by several keys together: one statistic of a time, and enough of the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_TIME = re.compile(r"(?:mean|median)_(?:ttft|tpot|itl|e2el|e2e_latency)(?:_ms)?")
_UNIT_UNSAID = re.compile(r"(?:mean|median|std|p\d+)_(?:ttft|tpot|itl|e2e_latency)")
_RENAMED = {
    "total_input": "total_input_tokens", "total_output": "total_output_tokens",
    "total_output_retokenized": "total_output_tokens_retokenized",
    "request_inthroughput": "request_throughput",
    "output_token_throughput": "output_throughput",
}  # fmt: skip
_COMMON = {
    "backend", "request_rate", "max_concurrency", "duration", "completed", "total_input_tokens",
    "total_output_tokens", "request_throughput", "input_throughput", "output_throughput",
    "total_token_throughput", "ttfts", "itls", "input_lens", "output_lens",
}  # fmt: skip
_VLLM = {
    "date", "endpoint_type", "model_id", "tokenizer_id", "num_prompts", "burstiness", "best_of",
    "use_beam_search", "label",
}  # fmt: skip
_SGLANG = {
    "total_output_tokens_retokenized", "server_info", "mean_e2e_latency_ms",
    "median_e2e_latency_ms", "accept_length",
}  # fmt: skip
_SGLANG_SET = {"dataset_name", "random_input_len", "random_output_len", "sharegpt_output_len"}
_ENOUGH = 4


def renamed(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run with the names of the newest version.

    >>> renamed({"total_input": 40, "median_ttft": 3.0})
    {'total_input_tokens': 40, 'median_ttft_ms': 3.0}
    """
    return {
        f"{key}_ms" if _UNIT_UNSAID.fullmatch(key) else _RENAMED.get(key, key): value
        for key, value in run.items()
    }


def has_times(run: Mapping[str, Any]) -> bool:
    """Return whether a run states a mean or median of any time.

    >>> has_times({"mean_e2el_ms": 3.0}), has_times({"error": "server died"})
    (True, False)
    """
    return any(_TIME.fullmatch(key) for key in run)


def is_sglang(run: Mapping[str, Any]) -> bool:
    """Return whether a run is of SGLang's client.

    >>> is_sglang({"backend": "sglang", "median_itl": 2.0, "median_e2e_latency": 9.0,
    ...            "request_rate": 1.0, "completed": 8})
    True
    """
    keys = set(renamed(run))
    own = keys & _SGLANG or len(keys & _SGLANG_SET) > 1
    return bool(own) and has_times(run) and _enough(keys, _SGLANG | _SGLANG_SET)


def is_vllm(run: Mapping[str, Any]) -> bool:
    """Return whether a run is of vLLM's client or of one that grew out of it.

    >>> is_vllm({"mean_ttft_ms": 30.0, "duration": 2.0, "completed": 8, "total_input": 80,
    ...          "request_inthroughput": 4.0})
    True
    """
    return has_times(run) and not is_sglang(run) and _enough(set(renamed(run)), _VLLM)


def first_with_times(runs: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the first run that states a time; an empty one when none does.

    >>> first_with_times([{"error": "server died"}, {"mean_ttft_ms": 3.0}])
    {'mean_ttft_ms': 3.0}
    """
    return next((run for run in runs if has_times(run)), {})


def _enough(keys: set[str], own: set[str]) -> bool:
    return len(keys & (_COMMON | own)) >= _ENOUGH
