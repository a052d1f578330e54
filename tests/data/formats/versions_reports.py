"""One run of known times as each version of report tools, llama-bench and tracers saved it."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from exports import (
    CONCURRENCY,
    MODEL,
    UNIX,
    Request,
    as_guidellm_csv,
    as_inference_perf,
    as_llmperf,
    good,
    guidellm_report,
)
from versions_clients import File, Version


def truth(requests: Sequence[Request]) -> dict[str, float]:
    """Means over the requests that succeeded, ms; what a tool states of them."""
    done = good(requests)
    return {
        "ttft_ms": float(np.mean([r.ttft for r in done]) * 1e3),
        "tpot_ms": float(np.mean([r.tpot for r in done if r.tpot is not None]) * 1e3),
        "e2e_ms": float(np.mean([r.e2e for r in done]) * 1e3),
    }


def _first_result(r: Request, *, durations: bool) -> dict[str, Any]:
    start = UNIX + r.start
    common = {
        "request": {"prompt": "p"}, "prompt_token_count": r.isl, "output": "o",
        "output_token_count": r.osl, "start_time": start, "end_time": start + r.e2e,
    }  # fmt: skip
    if durations:
        return {**common, "prompt_word_count": 1, "output_word_count": 1, "first_token_set": True,
                "last_time": start + r.e2e, "first_token_time": r.ttft,
                "decode_times": {"data": r.gaps}}  # fmt: skip
    return {**common, "first_token_time": start + r.ttft, "last_token_time": start + r.e2e,
            "request_latency": r.e2e, "time_to_first_token": 1e3 * r.ttft,
            "inter_token_latency": None if r.tpot is None else 1e3 * r.tpot}  # fmt: skip


def _guidellm_first(requests: Sequence[Request], *, durations: bool) -> File:
    run = {
        "mode": "asynchronous", "rate": 2.0,
        "results": [_first_result(r, durations=durations) for r in good(requests)],
        "errors": [{"request": {}, "message": "502"} for r in requests if r.failed],
        "concurrencies": [{"time": UNIX, "completed": 0, "errored": 0, "processing": 1}],
    }  # fmt: skip
    report = {"benchmarks": [{"benchmarks": [run], "args": {"model": MODEL, "mode": "sweep"}}]}
    return File(json.dumps(report), "guidellm", truth(requests))


def guidellm_durations(requests: Sequence[Request]) -> File:
    """The first 0.1: times of tokens are durations."""
    return _guidellm_first(requests, durations=True)


def guidellm_first(requests: Sequence[Request]) -> File:
    """0.1."""
    return _guidellm_first(requests, durations=False)


def guidellm_second(requests: Sequence[Request]) -> File:
    """0.2 to 0.5: schema 1."""
    return File(json.dumps(guidellm_report(requests, old=True)), "guidellm", truth(requests))


def guidellm_now(requests: Sequence[Request]) -> File:
    return File(json.dumps(guidellm_report(requests)), "guidellm", truth(requests))


def guidellm_stripped(requests: Sequence[Request]) -> File:
    return File(json.dumps(guidellm_report(requests, stripped=True)), "guidellm", truth(requests))


def guidellm_csv(requests: Sequence[Request]) -> File:
    return File(as_guidellm_csv(requests), "guidellm", truth(requests))


def guidellm_one_header(requests: Sequence[Request]) -> File:
    """Older CSV with one row of names."""
    done, out = good(requests), io.StringIO()
    cells: dict[str, Any] = {
        "Type": "generative_benchmark", "Run Id": "r", "Id": "i", "Name": "concurrent@4",
        "Duration": 10.0, "Worker": json.dumps({"backend_model": MODEL}),
        "Total Requests": len(requests), "Successful Requests": len(done),
        "Errored Requests": len(requests) - len(done), "Incomplete Requests": 0,
    }  # fmt: skip
    for name, values in (
        ("Request latency", [r.e2e for r in done]),
        ("Prompt token count", [r.isl for r in done]),
        ("Output token count", [r.osl for r in done]),
        ("Time to first token ms", [1e3 * r.ttft for r in done]),
        ("Time per output token ms", [1e3 * r.e2e / r.osl for r in done]),
        ("Inter token latency ms", [1e3 * r.tpot for r in done if r.tpot is not None]),
    ):
        cells[f"Successful {name} mean"] = float(np.mean(values))
        cells[f"Successful {name} median"] = float(np.median(values))
        cells[f"Successful {name} std dev"] = float(np.std(values))
        cells[f"Successful {name} [min, 0.1, 1, 5, 10, 25, 75, 90, 95, 99, max]"] = "[0.0]"
    csv.DictWriter(out, list(cells)).writerows([{name: name for name in cells}, cells])
    return File(out.getvalue(), "guidellm", truth(requests))


def _block(values: Sequence[float]) -> dict[str, float]:
    data = np.asarray(values, dtype=float)
    return {"mean": float(data.mean()), "min": float(data.min()), "max": float(data.max()),
            "median": float(np.median(data)), "p90": float(np.percentile(data, 90))}  # fmt: skip


def _times(requests: Sequence[Request]) -> dict[str, Any]:
    done = good(requests)
    return {
        "request_latency": _block([r.e2e for r in done]),
        "normalized_time_per_output_token": _block([r.e2e / r.osl for r in done]),
        "time_per_output_token": _block([r.tpot for r in done if r.tpot is not None]),
        "time_to_first_token": _block([r.ttft for r in done]),
        "inter_token_latency": _block([g for r in done for g in r.gaps]),
    }


def _summary(requests: Sequence[Request], successes: dict[str, Any], **more: Any) -> str:
    failed = len(requests) - len(good(requests))
    return json.dumps({
        "load_summary": {"count": len(requests), **more},
        "successes": {"count": len(good(requests)), **successes,
                      "output_len": _block([r.osl for r in good(requests)])},
        "failures": {"count": failed, "time_per_request": _block([0.5]), "request_latency": None},
    })  # fmt: skip


def inference_perf_first(requests: Sequence[Request]) -> File:
    """``time_per_request`` is over all requests, those that failed (0.5 s each) too."""
    done, n = good(requests), len(requests)
    everything = [*(r.e2e for r in done), *[0.5] * (n - len(done))]
    found = {"time_per_request": _block(everything), "prompt_len": _block([r.isl for r in done]),
             "per_token_latency": _block([r.e2e / r.osl for r in done])}  # fmt: skip
    return File(_summary(requests, found), "inference-perf", {"e2e_ms": truth(requests)["e2e_ms"]})


def inference_perf_flat(requests: Sequence[Request]) -> File:
    """Times beside the counts, not streamed."""
    names = ("request_latency", "normalized_time_per_output_token")
    found = {name: _times(requests)[name] for name in names}
    found["prompt_len"] = _block([r.isl for r in good(requests)])
    return File(_summary(requests, found), "inference-perf", {"e2e_ms": truth(requests)["e2e_ms"]})


def inference_perf_prompt_len(requests: Sequence[Request]) -> File:
    """0.1 to 0.3: times in ``latency``, lengths by the client alone."""
    lengths = _block([r.isl for r in good(requests)])
    text = _summary(requests, {"latency": _times(requests), "prompt_len": lengths},
                    requested_rate=2.0, achieved_rate=2.0)  # fmt: skip
    return File(text, "inference-perf", {**truth(requests), "isl_mean": lengths["mean"]})


def inference_perf_counts(requests: Sequence[Request]) -> File:
    """0.4 on: counts by the server, which agree here."""
    done = good(requests)
    found = {
        "latency": _times(requests),
        "prompt_tokens": {"total": 1, **_block([r.isl for r in done])},
        "output_tokens": {"total": 1, **_block([r.osl for r in done])},
    }
    stated = {**truth(requests), "isl_mean": found["prompt_tokens"]["mean"]}
    return File(_summary(requests, found), "inference-perf", stated)


def inference_perf_requests(requests: Sequence[Request]) -> File:
    return File(as_inference_perf(requests), "inference-perf", truth(requests))


def inference_perf_first_requests(requests: Sequence[Request]) -> File:
    """Answers with lengths alone: nothing was streamed."""
    records = [
        {"stage_id": 0, "start_time": r.start, "end_time": r.start + r.e2e, "request": {"data": {}},
         "response": {"info": {"prompt_len": r.isl, "output_len": r.osl},
                      "error": {"error_type": "Timeout"} if r.failed else None}}
        for r in requests
    ]  # fmt: skip
    return File(json.dumps(records), "inference-perf", {"e2e_ms": truth(requests)["e2e_ms"]})


def llmperf_responses(requests: Sequence[Request]) -> File:
    given = {"concurrency": str(CONCURRENCY)}
    return File(as_llmperf(requests), "llmperf", truth(requests), given)


def llmperf_failed_first(requests: Sequence[Request]) -> File:
    """A failure holds what was known of it."""
    records = [{"error_code": 429, "error_msg": "slow down"}, *json.loads(as_llmperf(requests))]
    given = {"concurrency": str(CONCURRENCY)}
    return File(json.dumps(records), "llmperf", truth(requests), given)


def llmperf_summary(requests: Sequence[Request]) -> File:
    done, found = good(requests), {"model": MODEL, "num_concurrent_requests": CONCURRENCY}
    stated = {}
    for name, column, values in (
        ("ttft_s", "ttft_ms", [r.ttft for r in done]),
        ("end_to_end_latency_s", "e2e_ms", [r.e2e for r in done]),
        ("number_input_tokens", "isl_mean", [r.isl for r in done]),
        ("number_output_tokens", "osl_mean", [r.osl for r in done]),
    ):
        found[f"results_{name}_mean"] = float(np.mean(values))
        found[f"results_{name}_quantiles_p99"] = float(np.percentile(values, 99))
        stated[column] = float(np.mean(values)) * (1e3 if column.endswith("_ms") else 1)
    found |= {"results_num_completed_requests": len(done), "results_number_errors": 2}
    return File(json.dumps(found), "llmperf", stated)


def _llmd_times(requests: Sequence[Request], unit: str) -> dict[str, Any]:
    factor = {"s": 1.0, "ms": 1e3}[unit]
    return {
        name: {"units": f"{unit}/token" if "token" in name and "first" not in name else unit,
               **{k: v * factor for k, v in block.items() if k != "median"}}
        for name, block in _times(requests).items()
    }  # fmt: skip


def _llmd_counts(requests: Sequence[Request]) -> dict[str, Any]:
    done = good(requests)
    return {
        "total": len(requests), "failures": len(requests) - len(done),
        "input_length": {"units": "count", "mean": float(np.mean([r.isl for r in done]))},
        "output_length": {"units": "count", "mean": float(np.mean([r.osl for r in done]))},
    }  # fmt: skip


def llmd_first(requests: Sequence[Request], unit: str = "s") -> File:
    """0.1, in JSON, which is YAML too."""
    report = {
        "metrics": {"latency": _llmd_times(requests, unit), "requests": _llmd_counts(requests),
                    "throughput": {"requests_per_sec": 2.2}, "time": {"duration": 10.0}},
        "scenario": {
            "load": {"name": "inference-perf", "metadata": {"stage": 1},
                     "args": {"load": {"stages": [{"rate": 1.0}, {"rate": 2.0}]}}},
            "model": {"name": MODEL},
            "host": {"type": ["prefill", "decode"],
                     "accelerator": [{"model": "L4"}, {"model": "H100", "count": 1}]},
            "platform": {"engine": [{"name": "vllm"}, {"name": "vllm", "version": "0.10"}]},
        },
        "version": "0.1",
    }  # fmt: skip
    stated = {**truth(requests), "request_rate": 2.0}
    return File(json.dumps(report), "llm-d", stated)


def llmd_first_in_ms(requests: Sequence[Request]) -> File:
    return llmd_first(requests, "ms")


def llmd_second(requests: Sequence[Request]) -> File:
    aggregate = {"latency": _llmd_times(requests, "ms"), "requests": _llmd_counts(requests)}
    report = {"version": "0.2", "run": {"uid": "u"}, "scenario": {},
              "results": {"request_performance": {"aggregate": aggregate}}}  # fmt: skip
    return File(json.dumps(report), "llm-d", truth(requests))


def _llama(requests: Sequence[Request], **other: Any) -> dict[str, Any]:
    """A test of prompts: the times to first tokens are its repetitions."""
    samples = [round(r.ttft * 1e9) for r in good(requests)]
    return {
        "build_commit": "abc1234", "build_number": 9, "cpu_info": "c", "gpu_info": "g",
        "model_filename": "m-Q8_0.gguf", "model_type": "llama 8B Q8_0", "model_size": 1,
        "model_n_params": 1, "n_batch": 512, "n_threads": 8, "n_gpu_layers": 99, **other,
        "n_prompt": 512, "n_gen": 0, "test_time": "2023-10-01T10:00:00Z",
        "avg_ns": round(float(np.mean(samples))), "stddev_ns": 10, "avg_ts": 1.0, "stddev_ts": 0.1,
        "samples_ns": samples, "samples_ts": [1.0] * len(samples),
    }  # fmt: skip


FLAGS = {"cuda": True, "opencl": False, "metal": False, "gpu_blas": True, "blas": True,
         "f16_kv": True, "main_gpu": 0, "mul_mat_q": True, "low_vram": False}  # fmt: skip


def _llama_file(record: dict[str, Any], text: str) -> File:
    return File(text, "llama-bench", {"latency_ms": record["avg_ns"] * 1e-6}, steps=True)


def llama_bench_flags(requests: Sequence[Request]) -> File:
    """2023: a flag per backend, no depth."""
    record = _llama(requests, **FLAGS)
    return _llama_file(record, json.dumps([record], indent=2))


def llama_bench_lines(requests: Sequence[Request]) -> File:
    record = _llama(requests, backends="CUDA", n_ubatch=512, n_depth=0, flash_attn=1)
    return _llama_file(record, json.dumps(record) + "\n")


def _plain(record: dict[str, Any]) -> dict[str, str]:
    return {k: str(v) for k, v in record.items() if not k.startswith("samples")}


def _sql(record: dict[str, Any], table: str) -> File:
    row = _plain(record)
    fields = ",\n".join(f"  {name} TEXT" for name in row)
    values = ", ".join(f"'{value}'" for value in row.values())
    text = f"CREATE TABLE IF NOT EXISTS {table} (\n{fields}\n);\n\n"
    return _llama_file(record, f"{text}INSERT INTO {table} ({', '.join(row)}) VALUES ({values});\n")


def llama_bench_sql_test(requests: Sequence[Request]) -> File:
    """Until 2025 the table was called test."""
    return _sql(_llama(requests, **FLAGS), "test")


def llama_bench_sql(requests: Sequence[Request]) -> File:
    return _sql(_llama(requests, backends="CUDA", n_depth=0), "llama_bench")


def llama_bench_csv(requests: Sequence[Request]) -> File:
    record, out = _llama(requests, backends="CUDA", type_k="f16", n_depth=0), io.StringIO()
    writer = csv.DictWriter(out, list(_plain(record)))
    writer.writeheader()
    writer.writerow(_plain(record))
    return _llama_file(record, out.getvalue())


def _optimum(requests: Sequence[Request], scenario: str) -> File:
    times = [r.ttft for r in good(requests)]
    block = {"unit": "s", "values": times, "mean": float(np.mean(times)), "count": len(times)}
    shapes = {"batch_size": 2, "sequence_length": 512}
    config = {scenario: {"input_shapes": shapes, "generate_kwargs": {"max_new_tokens": 1}},
              "backend": {"name": "pytorch", "model": MODEL}}  # fmt: skip
    report = {"prefill": {"latency": block}, "decode": {"latency": block}}
    text = json.dumps({"config": config, "report": report})
    return File(text, "optimum-benchmark", {"latency_ms": block["mean"] * 1e3}, steps=True)


def optimum_benchmark_key(requests: Sequence[Request]) -> File:
    return _optimum(requests, "benchmark")


def optimum_now(requests: Sequence[Request]) -> File:
    return _optimum(requests, "scenario")


def _latency(requests: Sequence[Request], *drop: str) -> File:
    times = [r.e2e for r in good(requests)]
    found = {"avg_latency": float(np.mean(times)), "latencies": times,
             "percentiles": {"50": float(np.median(times))}}  # fmt: skip
    text = json.dumps({k: v for k, v in found.items() if k not in drop})
    stated = {"e2e_ms": found["avg_latency"] * 1e3}
    return File(text, "vllm-latency", stated, name="bs2_in100_out10.json", steps=True)


def vllm_latency(requests: Sequence[Request]) -> File:
    return _latency(requests)


def vllm_latency_without_times(requests: Sequence[Request]) -> File:
    return _latency(requests, "latencies")


def _one_batch(requests: Sequence[Request], **other: Any) -> File:
    lines = [{"run_name": "r", "batch_size": 4, "input_len": r.isl, "output_len": r.osl,
              "latency": r.e2e, "output_throughput": 1.0, "overall_throughput": 2.0,
              **({"last_ttft": r.ttft} if other else {})} for r in good(requests)]  # fmt: skip
    stated = {k: v for k, v in truth(requests).items() if other or k == "e2e_ms"}
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return File(text, "sglang-one-batch", stated)


def sglang_one_batch_server_first(requests: Sequence[Request]) -> File:
    return _one_batch(requests)


def sglang_one_batch_server(requests: Sequence[Request]) -> File:
    return _one_batch(requests, last_ttft=True)


REPORTS: tuple[Version, ...] = (
    guidellm_durations, guidellm_first, guidellm_second, guidellm_now, guidellm_stripped,
    guidellm_csv, guidellm_one_header, inference_perf_first, inference_perf_flat,
    inference_perf_prompt_len, inference_perf_counts, inference_perf_requests,
    inference_perf_first_requests,
    llmperf_responses, llmperf_failed_first, llmperf_summary, llmd_first, llmd_first_in_ms,
    llmd_second, llama_bench_flags, llama_bench_lines, llama_bench_sql_test, llama_bench_sql,
    llama_bench_csv, optimum_benchmark_key, optimum_now, vllm_latency, vllm_latency_without_times,
    sglang_one_batch_server_first, sglang_one_batch_server,
)  # fmt: skip
