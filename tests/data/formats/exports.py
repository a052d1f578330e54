"""One run with known token times, in the exact shape in which each tool would have saved it.

Every ``as_*`` gives text of a file. Clients that count tokens themselves count two for each of the
server's; the tools' own figures are computed as the tools do it, wrong ones included.
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MODEL = "Qwen/Qwen3-0.6B"
CONCURRENCY = 4
UNIX = 1_760_000_000.0
CLIENT = 2
"""Tokens a foreign tokenizer sees in one of the model's."""


@dataclass(frozen=True)
class Request:
    """What happened: times of tokens in seconds after the send; the last byte is the last token."""

    start: float
    isl: int
    tokens: tuple[float, ...]
    failed: bool = False

    @property
    def osl(self) -> int:
        return len(self.tokens)

    @property
    def ttft(self) -> float:
        return self.tokens[0]

    @property
    def e2e(self) -> float:
        return self.tokens[-1]

    @property
    def tpot(self) -> float | None:
        return (self.e2e - self.ttft) / (self.osl - 1) if self.osl > 1 else None

    @property
    def gaps(self) -> list[float]:
        return np.diff(self.tokens).tolist()

    @property
    def itl_mean(self) -> float | None:
        return float(np.mean(self.gaps)) if self.gaps else None


def run(n: int = 24, failed: int = 2, seed: int = 0) -> list[Request]:
    """Requests of many lengths, one of a single token, ``failed`` of them failed."""
    rng = np.random.default_rng(seed)
    requests = []
    for index in range(n):
        isl, osl = int(rng.choice([32, 100, 512, 4000])), int(rng.choice([2, 3, 17, 64]))
        osl = 1 if index == 3 else osl
        first = 0.02 + 5e-5 * isl + rng.exponential(0.004)
        gaps = 0.008 + rng.exponential(0.001, osl - 1)
        start = 0.05 * index
        times = tuple((first + np.concatenate([[0.0], np.cumsum(gaps)])).tolist())
        requests.append(Request(start, isl, times, index in range(5, 5 + failed)))
    return requests


def good(requests: Sequence[Request]) -> list[Request]:
    return [request for request in requests if not request.failed]


def _statistics(values: Sequence[float], factor: float = 1.0) -> dict[str, float]:
    data = np.asarray(values or [0.0], dtype=float) * factor
    return {
        "mean": float(data.mean()), "median": float(np.median(data)), "std": float(data.std()),
        **{f"p{p}": float(np.percentile(data, p)) for p in (90, 95, 99)},
    }  # fmt: skip


def _flat(word: str, values: Sequence[float]) -> dict[str, float]:
    return {f"{kind}_{word}_ms": value for kind, value in _statistics(values, 1e3).items()}


def _arrays(requests: Sequence[Request]) -> dict[str, list[Any]]:
    return {
        "input_lens": [r.isl for r in requests],
        "output_lens": [0 if r.failed else r.osl for r in requests],
        "ttfts": [0.0 if r.failed else r.ttft for r in requests],
        "itls": [[] if r.failed else r.gaps for r in requests],
        "generated_texts": ["" if r.failed else "text" for r in requests],
        "errors": ["Bad Gateway" if r.failed else "" for r in requests],
    }


def _totals(requests: Sequence[Request]) -> dict[str, Any]:
    done = good(requests)
    return {
        "duration": 10.0, "completed": len(done), "total_input_tokens": sum(r.isl for r in done),
        "total_output_tokens": sum(r.osl for r in done), "request_throughput": len(done) / 10,
        "output_throughput": sum(r.osl for r in done) / 10,
    }  # fmt: skip


def vllm_run(requests: Sequence[Request], *, detailed: bool = True, old: bool = False, **extra: Any
             ) -> dict[str, Any]:  # fmt: skip
    """A result of vllm bench serve; ``old`` lacks what version 0.33 has added."""
    done = good(requests)
    tpots = [r.tpot for r in done if r.tpot is not None]
    new = {} if old else {
        "failed": len(requests) - len(done), "max_concurrent_requests": CONCURRENCY + 1,
        "max_output_tokens_per_s": 400.0, "rtfx": 0.0,
        "latencies": [0.0 if r.failed else r.e2e for r in requests],
        "queue_times": [0.002 for _ in requests],
    }  # fmt: skip
    arrays = _arrays(requests) if detailed else {}
    if detailed and not old:
        arrays["start_times"] = [777.0 + r.start for r in requests]
    return {
        "date": "20260101-120000", "endpoint_type": "openai", "backend": "openai", "label": None,
        "model_id": MODEL, "tokenizer_id": MODEL, "num_prompts": len(requests),
        "request_rate": "inf", "burstiness": 1.0, "max_concurrency": CONCURRENCY,
        **_totals(requests), "request_goodput": None,
        "total_token_throughput": sum(r.isl + r.osl for r in done) / 10, **arrays, **new,
        **_flat("ttft", [r.ttft for r in done]), **_flat("tpot", tpots),
        **_flat("itl", [g for r in done for g in r.gaps]), **_flat("e2el", [r.e2e for r in done]),
        **extra,
    }  # fmt: skip


def as_vllm(requests: Sequence[Request], **options: Any) -> str:
    return json.dumps(vllm_run(requests, **options))


def sglang_run(requests: Sequence[Request], *, detailed: bool = True, **extra: Any
               ) -> dict[str, Any]:  # fmt: skip
    done = good(requests)
    tpots = [r.tpot for r in done if r.tpot is not None]
    return {
        "tag": None, "backend": "sglang", "dataset_name": "random", "request_rate": float("inf"),
        "max_concurrency": CONCURRENCY, "sharegpt_output_len": None, "random_input_len": 512,
        "random_output_len": 64, "random_range_ratio": 0.0,
        "server_info": {"model_path": MODEL, "version": "0.5.23", "tp_size": 2, "dtype": "auto"},
        **_totals(requests), "total_output_tokens_retokenized": sum(r.osl for r in done),
        "input_throughput": 1.0, "total_throughput": 2.0,
        **_flat("e2e_latency", [r.e2e for r in done]), **_flat("ttft", [r.ttft for r in done]),
        **_flat("tpot", tpots), **_flat("itl", [g for r in done for g in r.gaps]),
        "concurrency": 3.2, "accept_length": None, "max_output_tokens_per_s": 400.0,
        "max_concurrent_requests": 5, **(_arrays(requests) if detailed else {}), **extra,
    }  # fmt: skip


def as_sglang(requests: Sequence[Request], **options: Any) -> str:
    return json.dumps(sglang_run(requests, **options)) + "\n"


def _guidellm_request(r: Request) -> dict[str, Any]:
    start = UNIX + r.start
    timings = {
        "targeted_start": start - 0.003, "queued": start - 0.004, "dequeued": start - 0.003,
        "request_start": start, "first_request_iteration": start + r.ttft,
        "first_token_iteration": start + r.ttft, "first_output_token_iteration": start + r.ttft,
        "last_token_iteration": start + r.e2e, "request_end": start + r.e2e,
        "request_iterations": r.osl, "token_iterations": r.osl,
    }  # fmt: skip
    return {
        "type_": "generative_request_stats", "request_id": f"r{r.start}", "request_args": "{}",
        "output": "text", "info": {"status": "completed", "timings": timings, "turn_index": 0,
                                   "conversation_id": None, "error": None},
        "input_metrics": {"text_tokens": r.isl, "total_tokens": r.isl, "cached_tokens": 0},
        "output_metrics": {"text_tokens": r.osl, "total_tokens": r.osl},
        "prompt_tokens": r.isl, "output_tokens": r.osl, "cached_tokens": 0,
        "request_latency": r.e2e, "time_to_first_token_ms": r.ttft * 1e3,
        "time_per_output_token_ms": r.e2e / r.osl * 1e3,
        "inter_token_latency_ms": None if r.tpot is None else r.tpot * 1e3,
    }  # fmt: skip


def _distribution(values: Sequence[float]) -> dict[str, Any]:
    data = np.asarray(values or [0.0], dtype=float)
    names = {"p001": 0.1, "p01": 1, "p05": 5, "p10": 10, "p25": 25, "p50": 50, "p75": 75,
             "p90": 90, "p95": 95, "p99": 99, "p999": 99.9}  # fmt: skip
    return {
        "mean": float(data.mean()), "median": float(np.median(data)), "mode": float(data[0]),
        "variance": float(data.var()), "std_dev": float(data.std()), "min": float(data.min()),
        "max": float(data.max()), "count": len(values), "total_sum": float(data.sum()),
        "percentiles": {k: float(np.percentile(data, p)) for k, p in names.items()},
    }  # fmt: skip


def guidellm_report(requests: Sequence[Request], *, stripped: bool = False, old: bool = False
                    ) -> dict[str, Any]:  # fmt: skip
    """A report; ``stripped`` keeps statistics only, ``old`` is the schema of version 1."""
    done = good(requests)
    metrics = {
        "request_latency": [r.e2e for r in done],
        "time_to_first_token_ms": [r.ttft * 1e3 for r in done],
        "time_per_output_token_ms": [r.e2e / r.osl * 1e3 for r in done],
        "inter_token_latency_ms": [r.tpot * 1e3 for r in done if r.tpot is not None],
        "prompt_token_count": [r.isl for r in done], "output_token_count": [r.osl for r in done],
        "request_concurrency": [3.4, 3.6],
    }  # fmt: skip
    strategy = {"type_": "concurrent", "streams": CONCURRENCY}
    rows: list[dict[str, Any]] = [_guidellm_request(r) for r in done]
    if old:
        rows = [_old_guidellm_request(r) for r in done]
    benchmark: dict[str, Any] = {
        "type_": "generative_benchmark",
        "config": {"id_": "x", "run_id": "y", "strategy": strategy, "backend": {"model": MODEL}},
        "metrics": {name: {"successful": _distribution(v)} for name, v in metrics.items()},
        "requests": None if stripped else {
            "successful": rows, "incomplete": [],
            "errored": [{"request_id": "e", "info": {"status": "errored", "error": "502"}}
                        for r in requests if r.failed],
        },
        "start_time": UNIX, "end_time": UNIX + 10, "duration": 10.0,
    }  # fmt: skip
    if old:
        del benchmark["config"]
        benchmark["args"] = {"profile": {"type_": "concurrent"}, "strategy": strategy}
        benchmark["worker"] = {"backend_model": MODEL}
        return {"metadata": {"version": 1}, "args": {"model": MODEL}, "benchmarks": [benchmark]}
    return {
        "metadata": {"version": 2, "guidellm_version": "0.8.1", "python_version": "3.11",
                     "platform": "Linux"},
        "config": {}, "benchmarks": [benchmark], "conclusions": [],
    }  # fmt: skip


def _old_guidellm_request(r: Request) -> dict[str, Any]:
    start = UNIX + r.start
    return {
        "request_id": f"r{r.start}", "request_type": "text_completions", "prompt": "p",
        "output": "o", "prompt_tokens": r.isl, "output_tokens": r.osl, "start_time": start,
        "end_time": start + r.e2e, "first_token_time": start + r.ttft,
        "last_token_time": start + r.e2e, "request_latency": r.e2e,
        "time_to_first_token_ms": r.ttft * 1e3, "time_per_output_token_ms": r.e2e / r.osl * 1e3,
        "inter_token_latency_ms": 0.0 if r.tpot is None else r.tpot * 1e3,
    }  # fmt: skip


def as_guidellm(requests: Sequence[Request], **options: Any) -> str:
    return json.dumps(guidellm_report(requests, **options))


def as_guidellm_csv(requests: Sequence[Request]) -> str:
    done = good(requests)
    cells: dict[tuple[str, str, str], Any] = {
        ("Run Info", "Run ID", ""): "y", ("Run Info", "Backend", ""): '{"model": "m"}',
        ("Benchmark", "Type", ""): "generative_benchmark",
        ("Benchmark", "Strategy", ""): f"concurrent@{CONCURRENCY}",
        ("Timings", "Duration", "Sec"): 10.0,
        ("Request Counts", "Successful", ""): len(done),
        ("Request Counts", "Incomplete", ""): 0,
        ("Request Counts", "Errored", ""): len(requests) - len(done),
    }  # fmt: skip
    for group, unit, values in (
        ("Request Latency", "Sec", [r.e2e for r in done]),
        ("Time to First Token", "ms", [r.ttft * 1e3 for r in done]),
        ("Time per Output Token", "ms", [r.e2e / r.osl * 1e3 for r in done]),
        ("Inter Token Latency", "ms", [r.tpot * 1e3 for r in done if r.tpot is not None]),
        ("Token Metrics", "Input Tokens", [float(r.isl) for r in done]),
        ("Token Metrics", "Output Tokens", [float(r.osl) for r in done]),
    ):
        if not values:  # a metric without a value has no columns
            continue
        found = _distribution(values)
        name = f"Successful {unit}"
        cells[group, name, "Mean"] = found["mean"]
        cells[group, name, "Median"] = found["median"]
        cells[group, name, "Std Dev"] = found["std_dev"]
        cells[group, name, "Percentiles"] = str(list(found["percentiles"].values()))
    out = io.StringIO()
    writer = csv.writer(out)
    for level in range(3):
        writer.writerow([key[level] for key in cells])
    writer.writerow(list(cells.values()))
    return out.getvalue()


def aiperf_line(r: Request, phase: str = "profiling", client: int = CLIENT) -> dict[str, Any]:
    start = round((UNIX + r.start) * 1e9)
    line: dict[str, Any] = {
        "metadata": {
            "session_num": 0, "x_request_id": f"id-{r.start}", "turn_index": 0,
            "credit_issued_ns": start - 1_000_000, "request_start_ns": start,
            "request_ack_ns": start + 500_000, "request_end_ns": start + round(r.e2e * 1e9),
            "worker_id": "w", "benchmark_phase": phase, "was_cancelled": False,
        },
        "metrics": {},
    }  # fmt: skip
    if r.failed:
        line["metrics"] = {"error_isl": {"value": r.isl, "unit": "tokens"}}
        line["error"] = {"code": 502, "type": "Bad Gateway", "message": "busy"}
        return line
    counted = r.osl * client
    metrics = {
        "time_to_first_token": (r.ttft * 1e3, "ms"), "request_latency": (r.e2e * 1e3, "ms"),
        "input_sequence_length": (r.isl * client, "tokens"),
        "output_sequence_length": (counted, "tokens"), "output_token_count": (counted, "tokens"),
        "usage_prompt_tokens": (r.isl, "tokens"), "usage_completion_tokens": (r.osl, "tokens"),
        "usage_total_tokens": (r.isl + r.osl, "tokens"),
    }  # fmt: skip
    if r.osl > 1:
        wrong = (r.e2e - r.ttft) / (counted - client) * 1e3
        metrics["inter_token_latency"] = (wrong, "ms")
        metrics["inter_chunk_latency"] = ([g * 1e3 for g in r.gaps], "ms")
    line["metrics"] = {name: {"value": v, "unit": unit} for name, (v, unit) in metrics.items()}
    return line


def as_aiperf(requests: Sequence[Request], client: int = CLIENT) -> str:
    warm = [aiperf_line(r, "warmup") for r in requests[:3]]
    lines = [*warm, *(aiperf_line(r, client=client) for r in requests)]
    return "".join(json.dumps(line) + "\n" for line in lines)


def _block(values: Sequence[float], unit: str) -> dict[str, Any]:
    data = np.asarray(values, dtype=float)
    return {
        "unit": unit, "avg": float(data.mean()),
        **{f"p{p}": float(np.percentile(data, p)) for p in (1, 5, 10, 25, 50, 75, 90, 95, 99)},
        "min": float(data.min()), "max": float(data.max()), "std": float(data.std()),
        "count": len(data),
    }  # fmt: skip


def summary_blocks(requests: Sequence[Request], client: int = CLIENT, unit: str = "ms"
                   ) -> dict[str, Any]:  # fmt: skip
    done, per = good(requests), {"ms": 1e3, "sec": 1.0, "ns": 1e9}[unit]
    itl = [(r.e2e - r.ttft) / ((r.osl - 1) * client) * per for r in done if r.osl > 1]
    return {
        "request_latency": _block([r.e2e * per for r in done], unit),
        "time_to_first_token": _block([r.ttft * per for r in done], unit),
        "inter_token_latency": _block(itl, unit),
        "input_sequence_length": _block([r.isl * client for r in done], "tokens"),
        "output_sequence_length": _block([r.osl * client for r in done], "tokens"),
        "request_count": {"unit": "requests", "avg": float(len(done))},
    }


def as_aiperf_summary(requests: Sequence[Request], client: int = CLIENT) -> str:
    done = good(requests)
    return json.dumps({
        "schema_version": "1.4", "aiperf_version": "0.13.0", "benchmark_id": "b",
        **summary_blocks(requests, client),
        "usage_prompt_tokens": _block([r.isl for r in done], "tokens"),
        "usage_completion_tokens": _block([r.osl for r in done], "tokens"),
        "input_config": {
            "models": {"items": [{"name": MODEL}]},
            "phases": [{"name": "warmup", "concurrency": 1},
                       {"name": "profiling", "concurrency": CONCURRENCY}],
        },
        "run_info": {"cli_command": "aiperf profile"}, "is_complete": True,
    })  # fmt: skip


def as_genai_perf(requests: Sequence[Request], unit: str = "ms") -> str:
    config = {"model_names": [MODEL], "perf_analyzer": {"stimulus": {"concurrency": CONCURRENCY}}}
    return json.dumps({**summary_blocks(requests, 1, unit), "input_config": config})


def as_inference_perf(requests: Sequence[Request]) -> str:
    return json.dumps([_inference_perf_request(r) for r in requests])


def _inference_perf_request(r: Request) -> dict[str, Any]:
    chunks = [r.start + t for t in r.tokens]
    usage = {"prompt_tokens": r.isl, "completion_tokens": r.osl}
    response = {"output_tokens": r.osl * CLIENT, "server_usage": usage, "chunk_times": chunks,
                "output_token_times": [t for t in chunks for _ in range(CLIENT)]}  # fmt: skip
    return {
        "start_time": r.start, "end_time": r.start + r.e2e, "request": json.dumps({"model": MODEL}),
        "response": "", "info": {
            "request_metrics": {"text": {"input_tokens": r.isl * CLIENT}},
            "response_metrics": None if r.failed else response, "lora_adapter": None, "labels": {},
        },
        "error": {"error_type": "HTTP Error 502", "error_msg": "busy"} if r.failed else None,
    }  # fmt: skip


def as_llmperf(requests: Sequence[Request]) -> str:
    return json.dumps([
        {"error_code": 502 if r.failed else None, "error_msg": "busy" if r.failed else "",
         "inter_token_latency_s": r.e2e / r.osl, "ttft_s": 0 if r.failed else r.ttft,
         "end_to_end_latency_s": r.e2e, "number_input_tokens": r.isl,
         "number_output_tokens": 0 if r.failed else r.osl, "number_total_tokens": r.isl + r.osl,
         "request_output_throughput_token_per_s": r.osl / r.e2e}
        for r in requests
    ])  # fmt: skip


PER_REQUEST = {
    "vllm-serve": as_vllm, "sglang-serving": as_sglang, "guidellm": as_guidellm,
    "aiperf": as_aiperf, "inference-perf": as_inference_perf, "llmperf": as_llmperf,
}  # fmt: skip
"""Tools whose files hold single requests."""

GIVEN = {"llmperf": {"concurrency": str(CONCURRENCY)}}
"""What the files of a tool do not hold and the user has to say."""

MEANS = {
    "vllm-serve": lambda r: as_vllm(r, detailed=False),
    "sglang-serving": lambda r: as_sglang(r, detailed=False),
    "guidellm": lambda r: as_guidellm(r, stripped=True), "guidellm-csv": as_guidellm_csv,
    "aiperf": lambda r: as_aiperf_summary(r, 1), "genai-perf": as_genai_perf,
}  # fmt: skip
"""Tools whose files hold means of the run."""
