"""One run of known times as each version of vLLM's, SGLang's and NVIDIA's clients saved it.

Keys are those that the versions wrote; values follow from the run. ``stated`` are the means that a
file itself states, by column of the table.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from exports import (
    CONCURRENCY,
    MODEL,
    Request,
    aiperf_line,
    as_aiperf,
    as_aiperf_summary,
    sglang_run,
    summary_blocks,
    vllm_run,
)

ARRAYS = ("input_lens", "output_lens", "ttfts", "itls", "generated_texts", "errors")
VLLM = {"ttft_ms": "mean_ttft_ms", "tpot_ms": "mean_tpot_ms", "e2e_ms": "mean_e2el_ms"}
SGLANG = {**VLLM, "e2e_ms": "mean_e2e_latency_ms"}


@dataclass(frozen=True)
class File:
    """A file of one version: its text, its format, the means it states, what the user adds.

    ``steps`` when its rows are steps or repetitions of a batch and no single requests.
    """

    text: str
    format: str
    stated: dict[str, float]
    given: dict[str, str] = field(default_factory=dict)
    name: str = "result"
    steps: bool = False


Version = Callable[[Sequence[Request]], File]


def _stated(run: dict[str, Any], columns: dict[str, str]) -> dict[str, float]:
    return {column: run[key] for column, key in columns.items() if run.get(key)}


def _without(run: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in run.items() if key not in keys}


def _only(run: dict[str, Any], *words: str) -> dict[str, Any]:
    """Without statistics of other times, as --percentile-metrics leaves them out."""
    return {k: v for k, v in run.items() if not k.endswith("_ms") or k.split("_")[1] in words}


def _vllm(run: dict[str, Any], **text: Any) -> File:
    return File(json.dumps(run, **text), "vllm-serve", _stated(run, VLLM))


def vllm_before_lengths(requests: Sequence[Request]) -> File:
    """0.3.3 to 0.4.0: no arrays, no ITL, the typing error of ``request_inthroughput``."""
    run = _only(vllm_run(requests, detailed=False, old=True), "ttft", "tpot")
    head = {"date": "20240301-000000", "backend": "vllm", "version": "N/A", "best_of": 1,
            "use_beam_search": False}  # fmt: skip
    run = _without(run, "endpoint_type", "label", "burstiness", "max_concurrency",
                   "total_token_throughput", "request_goodput", "request_throughput")  # fmt: skip
    return _vllm({**head, **run, "request_inthroughput": 2.2, "input_throughput": 200.0})


def vllm_with_arrays(requests: Sequence[Request]) -> File:
    """0.4.1 to 0.6.1: arrays always, no throughput of all tokens."""
    run = _only(vllm_run(requests, old=True), "ttft", "tpot", "itl")
    run = _without(run, "endpoint_type", "label", "burstiness", "max_concurrency", "start_times",
                   "total_token_throughput", "request_goodput")  # fmt: skip
    return _vllm({**run, "best_of": 1, "use_beam_search": False, "input_throughput": 200.0})


def vllm_with_a_colon(requests: Sequence[Request]) -> File:
    """0.6.2 to 0.8: throughput of all tokens, ``request_goodput:``, no ``endpoint_type``."""
    run = _without(vllm_run(requests, old=True), "endpoint_type", "label", "start_times")
    return _vllm({**run, "request_goodput:": None})


def vllm_endpoint_type(requests: Sequence[Request]) -> File:
    """0.9 on: means only unless --save-detailed."""
    return _vllm(vllm_run(requests, detailed=False, old=True))


def vllm_now(requests: Sequence[Request]) -> File:
    return _vllm(vllm_run(requests))


def vllm_some_metrics(requests: Sequence[Request]) -> File:
    """--percentile-metrics tpot,e2el"""
    return _vllm(_only(vllm_run(requests, detailed=False), "tpot", "e2el"))


def vllm_goodput(requests: Sequence[Request]) -> File:
    return _vllm(vllm_run(requests, detailed=False, request_goodput=1.5))


def vllm_without_completed(requests: Sequence[Request]) -> File:
    return _vllm(_without(vllm_run(requests, detailed=False), "completed"))


def vllm_lengths_only(requests: Sequence[Request]) -> File:
    """Of the arrays only the lengths were kept."""
    return _vllm(_without(vllm_run(requests), *ARRAYS[2:], "latencies", "start_times"))


def vllm_pooling(requests: Sequence[Request]) -> File:
    """Embeddings and rerank: nothing is generated."""
    run = _only(vllm_run(requests, detailed=False), "e2el")
    total = run["total_input_tokens"]
    run = _without(run, "total_input_tokens", "total_output_tokens", "output_throughput")
    return _vllm({**run, "total_input": total})


def vllm_appended(requests: Sequence[Request]) -> File:
    """--append-result, the first run having failed."""
    run = vllm_run(requests)
    text = json.dumps({"date": "20260101-000000", "error": "server died"}) + "\n" + json.dumps(run)
    return File(text, "vllm-serve", _stated(run, VLLM))


def _sglang(run: dict[str, Any], columns: dict[str, str]) -> File:
    return File(json.dumps(run) + "\n", "sglang-serving", _stated(run, columns))


def sglang_unit_unsaid(requests: Sequence[Request]) -> File:
    """0.1 and 0.2: medians, milliseconds without saying so."""
    run = sglang_run(requests, detailed=False)
    lengths = {"total_input": run["total_input_tokens"], "total_output": run["total_output_tokens"],
               "total_output_retokenized": run["total_output_tokens"]}  # fmt: skip
    medians = {key: run[f"{key}_ms"] for key in ("mean_e2e_latency", "median_e2e_latency",
                                                 "median_ttft", "median_itl")}  # fmt: skip
    old = {"backend": "sglang", "dataset_name": "random", "request_rate": 4.0, "duration": 10.0,
           "completed": run["completed"], "output_token_throughput": 90.0, **lengths, **medians,
           "random_input_len": 512, "random_output_len": 64, "random_range_ratio": 0.0}  # fmt: skip
    stated = {"e2e_ms": old["mean_e2e_latency"], "ttft_p50_ms": old["median_ttft"]}
    return File(json.dumps(old) + "\n", "sglang-serving", stated)


def sglang_medians(requests: Sequence[Request]) -> File:
    """Up to 0.4.0."""
    run = sglang_run(requests, detailed=False)
    keys = ("backend", "dataset_name", "request_rate", "total_input_tokens", "total_output_tokens",
            "total_output_tokens_retokenized", "mean_e2e_latency_ms", "median_e2e_latency_ms",
            "median_ttft_ms", "median_itl_ms", "output_throughput", "sharegpt_output_len",
            "random_input_len", "random_output_len", "random_range_ratio", "duration",
            "completed")  # fmt: skip
    return _sglang({key: run[key] for key in keys},
                   {"e2e_ms": "mean_e2e_latency_ms", "ttft_p50_ms": "median_ttft_ms"})  # fmt: skip


def sglang_medians_alone(requests: Sequence[Request]) -> File:
    """The first files had no E2E: their row is one of medians."""
    file = json.loads(sglang_medians(requests).text)
    run = _without(file, "mean_e2e_latency_ms", "median_e2e_latency_ms")
    return _sglang(run, {"ttft_ms": "median_ttft_ms"})


def sglang_all_statistics(requests: Sequence[Request]) -> File:
    """0.4.1 on, without server_info."""
    run = _without(sglang_run(requests, detailed=False), "server_info", "tag", "total_throughput",
                   "max_concurrent_requests", "max_output_tokens_per_s")  # fmt: skip
    return _sglang(run, SGLANG)


def sglang_details(requests: Sequence[Request]) -> File:
    return _sglang(sglang_run(requests), SGLANG)


def sglang_now(requests: Sequence[Request]) -> File:
    return _sglang(sglang_run(requests, detailed=False), SGLANG)


NVIDIA = {"ttft_ms": "time_to_first_token", "tpot_ms": "inter_token_latency",
          "e2e_ms": "request_latency"}  # fmt: skip


def _means(blocks: dict[str, Any]) -> dict[str, float]:
    return {column: blocks[name]["avg"] for column, name in NVIDIA.items()}


def aiperf_records(requests: Sequence[Request]) -> File:
    """0.1: all blocks inside ``records``."""
    blocks = summary_blocks(requests, 1)
    found = {"records": {k: {"tag": k, "header": k, **v} for k, v in blocks.items()},
             "input_config": {"endpoint": {"model_names": [MODEL]},
                              "loadgen": {"concurrency": CONCURRENCY}},
             "was_cancelled": False, "error_summary": []}  # fmt: skip
    return File(json.dumps(found), "aiperf", _means(blocks))


def aiperf_without_version(requests: Sequence[Request]) -> File:
    """Up to 0.3: genai-perf's shape and two keys of its own."""
    blocks = summary_blocks(requests, 1)
    found = {**blocks, "input_config": {"endpoint": {"model_names": [MODEL]}},
             "was_cancelled": False, "error_summary": []}  # fmt: skip
    return File(json.dumps(found), "aiperf", _means(blocks))


def aiperf_summary(requests: Sequence[Request]) -> File:
    text = as_aiperf_summary(requests, 1)
    return File(text, "aiperf", _means(json.loads(text)))


def aiperf_lines(requests: Sequence[Request]) -> File:
    return File(as_aiperf(requests, 1), "aiperf", _means(summary_blocks(requests, 1)))


def aiperf_first_lines(requests: Sequence[Request]) -> File:
    """No usage of the server, no phase, ``error`` always there."""
    lines = []
    for request in requests:
        line = aiperf_line(request, client=1)
        del line["metadata"]["benchmark_phase"]
        line["metrics"] = {k: v for k, v in line["metrics"].items() if not k.startswith("usage")}
        lines.append(json.dumps({"error": None, **line}) + "\n")
    return File("".join(lines), "aiperf", _means(summary_blocks(requests, 1)))


def genai_perf_ms(requests: Sequence[Request]) -> File:
    blocks = summary_blocks(requests, 1)
    found = {**blocks, "input_config": {"model": [MODEL], "concurrency": CONCURRENCY}}
    return File(json.dumps(found), "genai-perf", _means(blocks))


def genai_perf_ns(requests: Sequence[Request]) -> File:
    """The first versions: other names of lengths, nanoseconds, no configuration."""
    blocks = summary_blocks(requests, 1, "ns")
    for way in ("input", "output"):
        blocks[f"num_{way}_token"] = blocks.pop(f"{way}_sequence_length")
    stated = {column: mean / 1e6 for column, mean in _means(blocks).items()}
    stated["isl_mean"] = blocks["num_input_token"]["avg"]
    return File(json.dumps(blocks), "genai-perf", stated)


def genai_perf_wrapped(requests: Sequence[Request]) -> File:
    blocks = summary_blocks(requests, 1)
    found = {"run": {"result": {**blocks, "input_config": {"model_names": [MODEL]}}}}
    return File(json.dumps(found), "genai-perf", _means(blocks))


CLIENTS: tuple[Version, ...] = (
    vllm_before_lengths, vllm_with_arrays, vllm_with_a_colon, vllm_endpoint_type, vllm_now,
    vllm_some_metrics, vllm_goodput, vllm_without_completed, vllm_lengths_only, vllm_pooling,
    vllm_appended, sglang_unit_unsaid, sglang_medians, sglang_medians_alone, sglang_all_statistics,
    sglang_details, sglang_now, aiperf_records, aiperf_without_version, aiperf_summary,
    aiperf_lines, aiperf_first_lines, genai_perf_ms, genai_perf_ns, genai_perf_wrapped,
)  # fmt: skip
