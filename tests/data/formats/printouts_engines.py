"""What MLX, Ollama, vLLM offline and TensorRT-LLM print; see printouts.py."""

# ruff: noqa: E501 (lines as tools print them)

import json
from typing import Any

Printout = tuple[str, list[dict[str, Any]]]


def mlx_benchmark(k: float, batch: int = 1, total: bool = False) -> Printout:
    trials = [(round(900 * k + i, 3), round(50 * k + i, 3)) for i in range(3)]
    end = ", total_time=6.000" if total else ""
    lines = [
        f"Trial {i + 1}:  prompt_tps={pp:.3f}, generation_tps={tg:.3f}, peak_memory=5.100{end}"
        for i, (pp, tg) in enumerate(trials)
    ]
    means = [sum(values) / 3 for values in zip(*trials, strict=True)]
    text = (
        "$ mlx_lm.benchmark --model mlx-community/Qwen3-4B-4bit -p 1024 -g 64\nRunning warmup..\n"
        f"Timing with prompt_tokens=1024, generation_tokens=64, batch_size={batch}.\n"
        + "\n".join(lines)
        + f"\nAverages: prompt_tps={means[0]:.3f}, generation_tps={means[1]:.3f}, peak_memory=5.100\n"
    )
    rows = []
    for index, (pp, tg) in enumerate(trials):
        same = {"repeat": index, "batch_size": batch, "model": "mlx-community/Qwen3-4B-4bit"}
        rows += [
            {"phase": "prefill", "isl": 1024, "latency_ms": batch * 1024e3 / pp, **same},
            {"phase": "decode", "context_len": 1057, "latency_ms": batch * 1e3 / tg, **same},
        ]
    return text, rows


def mlx_generate(k: float) -> Printout:
    pp, tg = round(102.3 * k, 3), round(54.2 * k, 3)
    text = (
        f"==========\nHello there.\n==========\nPrompt: 13 tokens, {pp:.3f} tokens-per-sec\n"
        f"Generation: 100 tokens, {tg:.3f} tokens-per-sec\nPeak memory: 4.512 GB\n"
    )
    return text, [
        {"phase": "prefill", "isl": 13, "latency_ms": 13e3 / pp, "peak_memory_gb": 4.512},
        {"phase": "decode", "context_len": 64, "latency_ms": 1e3 / tg, "engine": "mlx"},
    ]


def go_duration(seconds: float) -> str:
    """As Go prints a duration: 1m2.5s, 850.5ms."""
    if seconds < 1:
        return f"{seconds * 1e3:.6f}".rstrip("0").rstrip(".") + "ms"
    minutes, rest = divmod(seconds, 60)
    return (f"{int(minutes)}m" if minutes else "") + f"{rest:.9f}".rstrip("0").rstrip(".") + "s"


def vllm_latency_console(k: float) -> Printout:
    mean = 2.145327783127626 * k
    lines = [f"Avg latency: {mean} seconds"]
    lines += [
        f"{p}% percentile latency: {mean * (0.9 + p / 500)} seconds" for p in (10, 50, 90, 99)
    ]
    run = (
        "Namespace(model='facebook/opt-125m', tensor_parallel_size=2, input_len=32, output_len=128, "
        "batch_size=8, num_iters=30, dtype='float16', quantization=None)\nWarming up...\n"
    )
    other = "$ vllm bench latency --model=org/m --input-len 64 --output-len=16 --batch-size 1\n"
    text = f"{run}" + "\n".join(lines) + f"\n\n{other}Avg latency: {mean / 2} seconds\n"
    return text, [
        {"e2e_ms": mean * 1e3, "batch_size": 8, "isl": 32, "osl": 128, "tp": 2, "engine": "vllm",
         "model": "facebook/opt-125m", "precision": "float16", "e2e_p50_ms": mean * 1e3},
        {"e2e_ms": mean * 500, "batch_size": 1, "isl": 64, "osl": 16, "model": "org/m"},
    ]  # fmt: skip


def vllm_throughput_console(k: float) -> Printout:
    text = (
        "$ vllm bench throughput --model org/m --num-prompts 200\n"
        f"Throughput: {7.15 * k:.2f} requests/s, {3500.12 * k:.2f} total tokens/s, "
        f"{909.3 * k:.2f} output tokens/s\nTotal num prompt tokens:  42659\n"
        "Total num output tokens:  43545\n"
    )
    return text, [{"requests_per_s": round(7.15 * k, 2), "tokens_per_s": round(3500.12 * k, 2),
                   "total_output_tokens": 43545, "e2e_ms": None, "model": "org/m"}]  # fmt: skip


_LINE = "=" * 59


def _section(title: str) -> str:
    return f"{_LINE}\n= {title}\n{_LINE}\n"


def trtllm(k: float) -> Printout:
    """Of 1.0, PyTorch backend, streamed."""
    ttft, tpot, rate = 160.0 * k, 7.5 * k, 20.0 / k
    e2e = ttft + 127 * tpot

    def lines(word: str, mean: float) -> str:
        names = ("MINIMUM", "MAXIMUM", "AVERAGE", "P50    ", "P90    ", "P95    ", "P99    ")
        values = (0.5, 2, 1, 0.9, 1.5, 1.6, 1.8)
        return "".join(
            f"[{word}] {n}: {mean * v:.4f}\n" for n, v in zip(names, values, strict=True)
        )

    text = (
        _section("PYTORCH BACKEND")
        + "Model:\t\t\tnvidia/Llama-3.1-8B-FP8\nModel Path:\t\t/models/llama\n"
        "TensorRT LLM Version:\t1.0.0\nDtype:\t\t\tbfloat16\nKV Cache Dtype:\t\tFP8\nQuantization:\t\tFP8\n\n"
        + _section("MACHINE DETAILS ") + "NVIDIA H200, memory 139.81 GB, 3.20 GHz\n\n"
        + _section("REQUEST DETAILS ")
        + f"Number of requests:             100\nNumber of concurrent requests:  {rate * e2e / 1e3:.4f}\n"
        "Average Input Length (tokens):  1024.0000\nAverage Output Length (tokens): 128.0000\n"
        + _section("WORLD + RUNTIME INFORMATION ")
        + "TP Size:                2\nPP Size:                1\nEP Size:                None\n"
        "Max Runtime Batch Size: 3840\nMax Runtime Tokens:     7680\n"
        "Scheduling Policy:      GUARANTEED_NO_EVICT\nKV Memory Percentage:   90.00%\n\n"
        + _section("PERFORMANCE OVERVIEW ")
        + f"Request Throughput (req/sec):                     {rate:.4f}\n"
        f"Total Output Throughput (tokens/sec):             {128 * rate:.4f}\n"
        f"Total Token Throughput (tokens/sec):              {1152 * rate:.4f}\n"
        f"Total Latency (ms):                               {1e5 / rate:.4f}\n"
        f"Average request latency (ms):                     {e2e:.4f}\n"
        f"Average time-to-first-token [TTFT] (ms):          {ttft:.4f}\n"
        f"Average time-per-output-token [TPOT] (ms):        {tpot:.4f}\n"
        f"\n-- Per-Request Time-per-Output-Token [TPOT] Breakdown (ms)\n\n{lines('TPOT', tpot)}"
        f"\n-- Per-Request Time-to-First-Token [TTFT] Breakdown (ms) \n\n{lines('TTFT', ttft)}"
        f"\n-- Request Latency Breakdown (ms) -----------------------\n\n{lines('Latency', e2e)}"
    )  # fmt: skip
    return text, [{
        "ttft_ms": ttft, "tpot_ms": tpot, "e2e_ms": e2e, "ttft_p50_ms": 0.9 * ttft,
        "isl_mean": 1024, "osl_mean": 128, "n_requests": 100, "tp": 2, "pp": 1,
        "model": "nvidia/Llama-3.1-8B-FP8", "engine_version": "1.0.0", "precision": "FP8",
        "hardware": "NVIDIA H200", "concurrency": rate * e2e / 1e3, "max_batch_size": 3840,
    }]  # fmt: skip


def _old_trtllm(sections: str) -> str:
    return (
        _section("ENGINE DETAILS") + "Model:\t\t\tmeta-llama/Llama-2-7b-hf\n"
        "TensorRT-LLM Version:\t0.16.0\nDtype:\t\t\tbfloat16\nQuantization:\t\tNone\n\n"
        + _section("WORLD + RUNTIME INFORMATION") + "TP Size:\t\t4\nPP Size:\t\t1\n\n" + sections
    )  # fmt: skip


def trtllm_of_2024(k: float) -> Printout:
    """Of 0.16: throughput, streamed; and not streamed in the same file."""
    rate = 2 / k
    overview = (
        _section("PERFORMANCE OVERVIEW")
        + "Number of requests:\t\t1000\nAverage Input Length (tokens):\t2048.0000\n"
        f"Average Output Length (tokens):\t512.0000\nToken Throughput (tokens/sec):\t{512 * rate:.4f}\n"
        f"Request Throughput (req/sec):\t{rate:.4f}\nTotal Latency (ms):\t\t{1e6 / rate:.4f}\n\n"
    )
    streamed = (
        _section("STREAMING STATISTICS") + f"Average request latency (ms):\t\t{9000 * k:.4f}\n"
        f"Average time-to-first-token (ms):\t{140 * k:.4f}\nAverage inter-token latency (ms):\t{17 * k:.4f}\n"
    )  # fmt: skip
    same = {"isl_mean": 2048, "osl_mean": 512, "tp": 4, "precision": "bfloat16"}
    return _old_trtllm(overview + streamed) + _old_trtllm(overview), [
        {**same, "e2e_ms": 9000 * k, "ttft_ms": 140 * k, "tpot_ms": 17 * k, "concurrency": 18},
        {**same, "e2e_ms": None, "ttft_ms": None},
    ]


def trtllm_latency(k: float) -> Printout:
    """trtllm-bench latency of 0.16: one request at a time."""
    e2e = 63456.0704 * k
    text = _old_trtllm(
        _section("GENERAL OVERVIEW")
        + "Number of requests:\t\t100\nAverage Input Length (tokens):\t2048.0000\n"
        f"Average Output Length (tokens):\t2048.0000\nAverage request latency (ms):\t{e2e:.4f}\n\n"
        + _section("THROUGHPUT OVERVIEW") + f"Request Throughput (req/sec):\t\t  {1e3 / e2e:.4f}\n"
        f"Total Token Throughput (tokens/sec):\t  {2048e3 / e2e:.4f}\n\n"
        + _section("LATENCY OVERVIEW") + f"Total Latency (ms):\t\t  {100 * e2e:.4f}\n"
        f"Average time-to-first-token (ms): {147.7502 * k:.4f}\n"
        f"Average inter-token latency (ms): {30.9274 * k:.4f}\n"
    )  # fmt: skip
    return text, [{"e2e_ms": e2e, "ttft_ms": 147.7502 * k, "tpot_ms": 30.9274 * k,
                   "concurrency": 1, "engine": "tensorrt-llm", "engine_version": "0.16.0"}]  # fmt: skip


def trtllm_json(k: float) -> Printout:
    def block(mean: float) -> dict[str, float]:
        return {"p50": mean * 0.9, "p99": mean * 2, "minimum": mean / 2, "average": mean}

    rate, e2e = 20 / k, 1112.5 * k
    report = {
        "engine": {"model": "org/m", "version": "1.1.0", "backend": "Pytorch", "dtype": "bfloat16",
                   "kv_cache_dtype": "FP8", "quantization": "NVFP4"},
        "machine": {"name": "NVIDIA B200", "memory.total": 179.0},
        "world_info": {"tp_size": 8, "pp_size": 1, "ep_size": 8, "world_size": 8,
                       "max_batch_size": 64, "max_num_tokens": 8192},
        "request_info": {"num_requests": 64, "avg_num_concurrent_requests": rate * e2e / 1e3,
                         "avg_input_length": 1000.4, "avg_output_length": 128.0},
        "performance": {"total_latency_ms": 64e3 / rate, "avg_request_latency_ms": e2e,
                        "request_throughput_req_s": rate,
                        "system_output_throughput_tok_s": 128 * rate,
                        "request_latency_percentiles_ms": block(e2e)},
        "streaming_metrics": {"avg_ttft_ms": 160 * k, "avg_tpot_ms": 7.5 * k,
                              "tpot_percentiles": block(7.5 * k),
                              "ttft_percentiles": block(160 * k)},
    }  # fmt: skip
    return json.dumps(report, indent=4), [{
        "ttft_ms": 160 * k, "tpot_ms": 7.5 * k, "e2e_ms": e2e, "ttft_p99_ms": 320 * k, "ep": 8,
        "hardware": "NVIDIA B200", "precision": "NVFP4", "isl_mean": 1000, "concurrency": 22.25,
    }]  # fmt: skip


def mlx_benchmark_batched(k: float) -> Printout:
    return mlx_benchmark(k, batch=4, total=True)


def ollama_verbose(k: float, cached: bool = False) -> Printout:
    prompt, gen = 0.8 * k, 12.0 * k
    total = prompt + gen + 0.1
    count = "" if cached else "prompt eval count:    400 token(s)\n"
    rate = "" if cached else f"prompt eval rate:     {400 / prompt:.2f} tokens/s\n"
    block = (
        f"Hello.\n\ntotal duration:       {go_duration(total)}\nload duration:        100ms\n{count}"
        f"prompt eval duration: {go_duration(prompt)}\n{rate}"
        f"eval count:           201 token(s)\neval duration:        {go_duration(gen)}\n"
        f"eval rate:            {201 / gen:.2f} tokens/s\n"
    )
    row = {
        "osl": 201, "isl": None if cached else 400, "ttft_ms": prompt * 1e3,
        "tpot_ms": gen * 1e3 / 200, "load_ms": 100, "model": "llama3.1:8b", "engine": "ollama",
        "e2e_ms": (total - 0.1) * 1e3,
    }  # fmt: skip
    return f"$ ollama run llama3.1:8b --verbose\n>>> Hi\n{block}\n>>> Hi\n{block}", [row, row]


def ollama_verbose_cached(k: float) -> Printout:
    return ollama_verbose(k, cached=True)
