"""Text and CSV in the exact shape in which tools print them, made from known figures.

Every function takes a scale, so that files of one shape differ in all figures, and gives the text
with what its rows must hold: one dictionary of columns a row.
"""

import csv
import io
from collections.abc import Callable
from typing import Any

Rows = list[dict[str, Any]]
Printout = tuple[str, Rows]


def _llama_bench(lines: list[tuple[str, float]], head: str, cells: str, rule: str) -> str:
    table = [f"| {head} | test | t/s |", f"| {rule} | ---: | ---: |"]
    table += [f"| {cells} | {test} | {speed:.2f} ± {speed / 50:.2f} |" for test, speed in lines]
    return "\n".join(table)


def llama_bench(k: float) -> Printout:
    """Of 2025, on a GPU, with depths."""
    pp, tg = round(5000 * k, 2), round(90 * k, 2)
    lines = [("pp512", pp), ("tg128", tg), ("pp2048 @ d4096", pp / 2), ("tg32 @ d4096", tg / 2)]
    lines = [(test, round(speed, 2)) for test, speed in lines]
    table = _llama_bench(
        lines, "model | size | params | backend | ngl | fa",
        "qwen3 8B Q4_K - Medium | 4.68 GiB | 8.19 B | CUDA | 99 | 1", "--- | ---: | ---: | --- | --: | -:",
    )  # fmt: skip
    log = "ggml_cuda_init: found 1 CUDA devices:\n  Device 0: NVIDIA H100, compute capability 9.0\n"
    common = {"hardware": "NVIDIA H100", "precision": "q4_k_m", "model": "qwen3 8B",
              "engine_version": "b6000 (abcdef12)", "n_gpu_layers": 99, "flash_attn": 1}  # fmt: skip
    return f"{log}{table}\n\nbuild: abcdef12 (6000)\n", [
        {"phase": "prefill", "isl": 512, "latency_ms": 512e3 / pp, **common},
        {"phase": "decode", "context_len": 65, "latency_ms": 1e3 / tg, **common},
        {"phase": "prefill", "isl": 6144, "cached_tokens": 4096,
         "latency_ms": 2048e3 / lines[2][1], **common},
        {"phase": "decode", "context_len": 4113, "latency_ms": 1e3 / lines[3][1], **common},
    ]  # fmt: skip


def llama_bench_of_2023(k: float) -> Printout:
    """With a space in the test, on a CPU, no device named."""
    pp, tg = round(60 * k, 2), round(9 * k, 2)
    table = _llama_bench(
        [("pp 512", pp), ("tg 128", tg)], "model | size | params | backend | threads",
        "llama 7B mostly Q4_0 | 3.56 GiB | 6.74 B | CPU | 16", "--- | ---: | ---: | --- | ---:",
    )  # fmt: skip
    common = {"n_threads": 16, "backends": "CPU", "precision": "q4_0"}
    return f"{table}\n\nbuild: 37c746d (1500)\n", [
        {"phase": "prefill", "latency_ms": 512e3 / pp, **common},
        {"phase": "decode", "latency_ms": 1e3 / tg, **common},
    ]


def llama_bench_of_ik(k: float) -> Printout:
    """Generation after a prompt, and both together, in a page with other tables."""
    speed, both = round(40 * k, 2), round(200 * k, 2)
    table = _llama_bench(
        [("tg64@pp512", speed), ("pp512+tg128", both)], "model | size | params | backend | ngl | mla",
        "deepseek 16B IQ4_K_R4 | 9.00 GiB | 15.71 B | CUDA | 99 | 2", "--- | ---: | ---: | --- | --: | -:",
    )  # fmt: skip
    return f"# Notes\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n{table}\n", [
        {"phase": "decode", "context_len": 545, "latency_ms": 1e3 / speed, "mla": 2},
        {"phase": "request", "isl": 512, "osl": 128, "e2e_ms": 640e3 / both, "mla": 2},
    ]


_BATCHED = (
    "|{:6d} | {:6d} | {:4d} | {:6d} | {:8.3f} | {:8.2f} | {:8.3f} | {:8.2f} | {:8.3f} | {:8.2f} |"
)
_BATCHED_HEAD = (
    "|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |\n"
    "|-------|--------|------|--------|----------|----------|----------|----------|----------|----------|"
)


def batched_bench(k: float, shared: bool = False, settings: bool = True) -> Printout:
    lines, rows = [], []
    for b in (1, 8):
        prompts, cached = (1, 512 + b * 32) if shared else (b, b * 544)
        pp, tg = 0.04 * k * prompts, 0.4 * k * (1 + b / 10)
        lines.append(_BATCHED.format(
            512, 32, b, cached, pp, 512 * prompts / pp, tg, 32 * b / tg, pp + tg, cached / (pp + tg)
        ))  # fmt: skip
        rows += [
            {"phase": "prefill", "isl": 512, "batch_size": prompts, "latency_ms": pp * 1e3},
            {"phase": "decode", "batch_size": b, "context_len": 529, "latency_ms": tg / 32 * 1e3},
        ]
    said = (
        f"main: n_kv_max = 8192, n_batch = 2048, n_ubatch = 512, flash_attn = 1, is_pp_shared = "
        f"{int(shared)}, n_gpu_layers = 99, n_threads = 8, n_threads_batch = 8\n\n"
    )
    rows = [{**row, **({"n_ubatch": 512, "flash_attn": 1} if settings else {})} for row in rows]
    return "\n".join([said if settings else "", _BATCHED_HEAD, *lines, ""]), rows


def batched_bench_shared(k: float) -> Printout:
    """The cache tells that the prompt was shared where no setting is printed."""
    return batched_bench(k, shared=True, settings=False)


def batched_bench_json(k: float) -> Printout:
    pp, tg = 0.5 * k, 3.2 * k
    line = (
        f'{{"n_kv_max": 8192, "n_batch": 2048, "n_ubatch": 512, "flash_attn": 1, "is_pp_shared": 0, '
        f'"is_tg_separate": 1, "n_gpu_layers": -1, "n_threads": 8, "n_threads_batch": 8, "pp": 512, '
        f'"tg": 32, "pl": 4, "n_kv": 2176, "t_pp": {pp:f}, "speed_pp": {2048 / pp:f}, '
        f'"t_tg": {tg:f}, "speed_tg": {128 / tg:f}, "t": {pp + tg:f}, "speed": {2176 / (pp + tg):f}}}'
    )
    return f"{line}\n{line}\n", 2 * [
        {"phase": "prefill", "isl": 512, "batch_size": 4, "latency_ms": pp * 1e3},
        {"phase": "decode", "batch_size": 1, "latency_ms": tg / 128 * 1e3, "n_threads": 8},
    ]


def sweep_bench(k: float, memory: bool = False) -> Printout:
    extra = " |    RSS HWM | VRAM delta |" if memory else " |"
    lines = [f"|    PP |     TG |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s{extra}",
             "|-------|--------|--------|----------|----------|----------|----------|"
             + ("------------|------------|" if memory else "")]  # fmt: skip
    rows = []
    for depth in (0, 512, 1024):
        pp, tg = k * (1.1 + depth / 5000), k * (2.3 + depth / 3000)
        end = " |     9000.1 |        n/a |" if memory else " |"
        lines.append(
            f"|{512:6d} | {128:6d} | {depth:6d} | {pp:8.3f} | {512 / pp:8.2f} | {tg:8.3f} | "
            f"{128 / tg:8.2f}{end}"
        )
        rows += [
            {"phase": "prefill", "isl": depth + 512, "cached_tokens": depth, "latency_ms": pp * 1e3,
             "n_batch": 4096},
            {"phase": "decode", "context_len": depth + 65, "latency_ms": tg / 128 * 1e3},
        ]  # fmt: skip
    said = (
        "main: n_kv_max = 8704, n_batch = 4096, n_ubatch = 512, flash_attn = 1, n_threads = 32\n\n"
    )
    return said + "\n".join(lines) + "\n", rows


def sweep_bench_memory(k: float) -> Printout:
    return sweep_bench(k, memory=True)


def sweep_bench_json(k: float) -> Printout:
    pp, tg = 1.093814 * k, 1.780312 * k
    line = (
        f'{{"n_kv_max": 8704, "n_batch": 2048, "n_ubatch": 512, "flash_attn": 0, "n_gpu_layers": -1, '
        f'"n_threads": 32, "n_threads_batch": 32, "pp": 512, "tg": 128, "n_kv": 1024, "t_pp": {pp:f}, '
        f'"speed_pp": {512 / pp:f}, "t_tg": {tg:f}, "speed_tg": {128 / tg:f} }}'
    )
    return line + "\n", [
        {"phase": "prefill", "isl": 1536, "latency_ms": pp * 1e3, "engine": "ik_llama.cpp"},
        {"phase": "decode", "context_len": 1089, "latency_ms": tg / 128 * 1e3, "n_threads": 32},
    ]


def _cell(value: float) -> str:
    return f"{value:.2f} ± {value / 20:.2f}"


def llama_benchy(k: float) -> Printout:
    """One request at a time, with the depth computed anew."""
    ttft = 1100 * k
    text = (
        "| model | test | t/s | ttfr (ms) | est_ppt (ms) | e2e_ttft (ms) |\n"
        "|:------|-----:|----:|----------:|-------------:|--------------:|\n"
        f"| org/m | pp2048 | {_cell(2.048e6 / (ttft - 90))} | {_cell(ttft - 50)} | {_cell(ttft - 90)} | {_cell(ttft)} |\n"
        f"| org/m | tg32 | {_cell(50 / k)} | | | |\n"
        f"| org/m | pp2048 @ d4096 | {_cell(6.144e6 / (3 * ttft - 90))} | {_cell(3 * ttft - 50)} | {_cell(3 * ttft - 90)} | {_cell(3 * ttft)} |\n"
        f"| org/m | tg32 @ d4096 | {_cell(40 / k)} | | | |\n"
        "\nllama-benchy (build: 75bc129)\ndate: 2026-01-02 17:11:19 | latency mode: generation\n"
    )  # fmt: skip
    return text, [
        {"model": "org/m", "isl": 2048, "osl": 32, "ttft_ms": ttft, "tpot_ms": 20 * k,
         "concurrency": 1},
        {"isl": 6144, "ttft_ms": 3 * ttft, "tpot_ms": 25 * k, "cached_tokens": None},
    ]  # fmt: skip


def llama_benchy_concurrent(k: float) -> Printout:
    """Several at once: the speed of one request is a column of its own."""
    head = "t/s (total) | t/s (req) | peak t/s | peak t/s (req) | ttfr (ms) | est_ppt (ms) | e2e_ttft (ms)"
    text = (
        f"Printing results in MD format:\n\n| model | test | {head} |\n"
        "|:---|---:|---:|---:|---:|---:|---:|---:|---:|\n"
        f"| m | pp1024 (c1) | {_cell(6000)} | {_cell(6000)} | | | {_cell(170 * k)} | {_cell(150 * k)} | {_cell(175 * k)} |\n"
        f"| m | tg64 (c1) | {_cell(50)} | {_cell(50)} | {_cell(51)} | {_cell(51)} | | | |\n"
        f"| m | pp1024 (c5) | {_cell(7000)} | {_cell(3000)} | | | {_cell(400 * k)} | {_cell(380 * k)} | {_cell(410 * k)} |\n"
        f"| m | tg64 (c5) | {_cell(100)} | {_cell(25)} | {_cell(130)} | {_cell(30)} | | | |\n"
    )
    return text, [
        {"isl": 1024, "osl": 64, "ttft_ms": 175 * k, "tpot_ms": 20, "concurrency": 1},
        {"isl": 1024, "ttft_ms": 410 * k, "tpot_ms": 40, "concurrency": 5},
    ]


def llama_benchy_cached(k: float) -> Printout:
    """With prefix caching: the context is loaded first, and found in the cache then."""
    text = (
        "| model | test | t/s | ttfr (ms) | est_ppt (ms) | e2e_ttft (ms) |\n|:-|-:|-:|-:|-:|-:|\n"
        f"| m | ctx_pp @ d4096 | {_cell(4.096e6 / (2000 * k))} | {_cell(2020 * k)} | {_cell(2000 * k)} | {_cell(2050 * k)} |\n"
        f"| m | ctx_tg @ d4096 | {_cell(25)} | | | |\n"
        f"| m | pp512 @ d4096 | {_cell(5.12e5 / (300 * k))} | {_cell(320 * k)} | {_cell(300 * k)} | {_cell(350 * k)} |\n"
        f"| m | tg128 @ d4096 | {_cell(20)} | | | |\n"
    )
    return text, [
        {"isl": 4096, "ttft_ms": 2050 * k, "tpot_ms": 40, "cached_tokens": None},
        {"isl": 4608, "osl": 128, "cached_tokens": 4096, "ttft_ms": 350 * k, "tpot_ms": 50},
    ]


def llama_benchy_json(k: float) -> Printout:
    import json

    def block(mean: float) -> dict[str, Any]:
        return {"mean": mean, "std": mean / 10, "values": [mean * 0.9, mean, mean * 1.1]}

    def shape(c: int, **more: Any) -> dict[str, Any]:
        return {
            "concurrency": c, "context_size": 0, "prompt_size": 1000, "response_size": 32,
            "is_context_prefill_phase": False, "pp_throughput": block(1e6 / (500 * k)),
            "pp_req_throughput": None, "tg_throughput": block(80.0), "tg_req_throughput": None,
            "ttfr": block(510 * k), "est_ppt": block(500 * k), "e2e_ttft": block(520 * k), **more,
        }  # fmt: skip

    report = {
        "version": "0.4.0", "timestamp": "2026-09-01", "latency_mode": "api", "latency_ms": 10.0,
        "model": "org/m", "prefix_caching_enabled": False, "max_concurrency": 4,
        "benchmarks": [shape(1), shape(4, tg_req_throughput=block(20.0))],
    }  # fmt: skip
    return json.dumps(report, indent=2), [
        {"isl": 1000, "osl": 32, "ttft_ms": 520 * k, "tpot_ms": 12.5, "model": "org/m"},
        {"concurrency": 4, "ttft_ms": 520 * k, "tpot_ms": 50},
    ]


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


def mlx_benchmark_batched(k: float) -> Printout:
    return mlx_benchmark(k, batch=4, total=True)


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


_SECTIONS = {
    "TTFT": "Time to First Token", "TPOT": "Time per Output Token (excl. 1st token)",
    "ITL": "Inter-token Latency", "E2EL": "End-to-end Latency", "E2E Latency": "End-to-End Latency",
}  # fmt: skip


def serving_block(
    counts: list[tuple[str, Any]], times: dict[str, float], statistics: tuple[str, ...]
) -> str:
    """A block of results; statistics beside the mean are 1.5 times as much."""
    lines = [f"{' Serving Benchmark Result ':=^50}"]
    for label, value in counts:
        shown = f"{value:<10.2f}" if isinstance(value, float) else f"{value:<10}"
        lines.append(f"{label + ':':<40} {shown}")
    for name, mean in times.items():
        lines.append(f"{_SECTIONS[name]:-^50}")
        for statistic in statistics:
            value = mean if statistic == "Mean" else 1.5 * mean
            lines.append(f"{f'{statistic} {name} (ms):':<40} {value:<10.2f}")
    return "\n".join([*lines, "=" * 50])


def _figures(k: float) -> tuple[dict[str, float], dict[str, Any]]:
    ttft, tpot = round(80 * k, 2), round(11 * k, 2)
    e2e = round(ttft + 127 * tpot, 2)
    return {"TTFT": ttft, "TPOT": tpot, "ITL": tpot, "E2EL": e2e}, {
        "statistic": "mean", "ttft_ms": ttft, "tpot_ms": tpot, "itl_mean_ms": tpot,
        "ttft_p99_ms": 1.5 * ttft, "isl_mean": 1024, "osl_mean": 128, "n_requests": 100,
    }  # fmt: skip


def _counts(seconds: float, total: str = "Total Token throughput (tok/s)") -> list[tuple[str, Any]]:
    return [
        ("Benchmark duration (s)", seconds), ("Total input tokens", 102400),
        ("Total generated tokens", 12800), ("Request throughput (req/s)", 100 / seconds),
        ("Output token throughput (tok/s)", 12800 / seconds), (total, 115200 / seconds),
    ]  # fmt: skip


def vllm_console_of_2024(k: float) -> Printout:
    """Of 0.4 to 0.6: no failures, no limit, three statistics, the arguments above."""
    times, row = _figures(k)
    del times["E2EL"]
    block = serving_block(
        [("Successful requests", 100), *_counts(40.0)[:-1]], times, ("Mean", "Median", "P99")
    )
    text = (
        "Namespace(backend='vllm', model='meta-llama/Llama-2-7b-hf', num_prompts=100, "
        f"request_rate=inf, seed=0)\nTraffic request rate: inf\n100%|####| 100/100 [00:40]\n{block}\n"
    )
    return text, [{**row, "model": "meta-llama/Llama-2-7b-hf", "concurrency": 100}]


def vllm_console(k: float) -> Printout:
    """Of 0.11 and later, several blocks: a limit that is kept, and a rate."""
    times, row = _figures(k)
    seconds = 100 * times["E2EL"] / 1e3 / 8
    first = [
        ("Successful requests", 100),
        ("Failed requests", 2),
        ("Maximum request concurrency", 8),
    ]
    second = [("Successful requests", 100), ("Failed requests", 0),
              ("Request rate configured (RPS)", 100 / seconds)]  # fmt: skip
    peak = [("Peak output token throughput (tok/s)", 9000.0), ("Peak concurrent requests", 9.0)]
    kinds = ("Mean", "Median", "P99")
    blocks = [
        serving_block(
            [*head, *_counts(seconds, "Total token throughput (tok/s)"), *peak], times, kinds
        )
        for head in (first, second)
    ]
    text = f"$ vllm bench serve --model Qwen/Qwen3-8B\n{blocks[0]}\n\nINFO done\n{blocks[1]}\n"
    same = {**row, "e2e_ms": times["E2EL"]}
    return text, [
        {**same, "model": "Qwen/Qwen3-8B", "concurrency": 8},
        {**same, "concurrency": 8, "load_from": "measured"},
    ]


def vllm_console_with_percentiles(k: float) -> Printout:
    """With --percentile-metrics and --metric-percentiles, in colours and markdown."""
    times, row = _figures(k)
    block = serving_block(
        [("Successful requests", 100), *_counts(40.0)], times,
        ("Mean", "Median", "P50", "P90", "P99.9"),
    )  # fmt: skip
    text = f"# Run 1\n\n```\n\x1b[1mstarting\x1b[0m\r\n{block}\n```\n"
    wanted = {**row, "e2e_ms": times["E2EL"], "ttft_p90_ms": 1.5 * times["TTFT"],
              "e2e_p99p9_ms": 1.5 * times["E2EL"]}  # fmt: skip
    del wanted["ttft_p99_ms"]
    return text, [wanted]


def sglang_console(k: float, peak: bool = True) -> Printout:
    """SGLang states how many ran at once."""
    times, row = _figures(k)
    seconds = 100 * times["E2EL"] / 1e3 / 6
    head = [("Backend", "sglang"), ("Traffic request rate", "2.5"),
            ("Max request concurrency", "not set"), ("Successful requests", 100)]  # fmt: skip
    counts = [*head, *_counts(seconds, "Total token throughput (tok/s)"), ("Concurrency", 6.0)]
    counts += [("Accept length", 2.5)] if peak else []
    shown = {"E2E Latency": times["E2EL"], **{n: times[n] for n in ("TTFT", "TPOT", "ITL")}}
    block = serving_block(counts, shown, ("Mean", "Median", "P99"))
    text = f"benchmark_args=Namespace(backend='sglang', model='org/m')\n\n{block}\n"
    wanted = {**row, "e2e_ms": times["E2EL"], "engine": "sglang", "model": "org/m",
              "request_rate": 2.5, "concurrency": 6, "load_from": "measured"}  # fmt: skip
    return text, [{**wanted, "spec_acceptance_length": 2.5} if peak else wanted]


def sglang_console_of_2024(k: float) -> Printout:
    return sglang_console(k, peak=False)


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
                   "output_tokens": 43545, "e2e_ms": None, "model": "org/m"}]  # fmt: skip


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
    import json

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


def _as_csv(rows: list[list[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def aiperf_csv(k: float, telemetry: bool = True) -> Printout:
    stats = ["avg", "min", "max", "p50", "p99", "std"]

    def line(name: str, mean: float) -> list[str]:
        return [name, *(f"{mean * f:.2f}" for f in (1, 0.5, 2, 0.9, 1.9, 0.2))]

    ttft, tpot = 230 * k, 11.85 * k
    e2e = ttft + 543 * tpot
    rows = [
        ["Metric", *stats], line("Input Sequence Length (tokens)", 3761),
        line("Inter Token Latency (ms)", tpot), line("Output Sequence Length (tokens)", 544),
        line("Request Latency (ms)", e2e), line("Time to First Token (ms)", ttft), [],
        ["Metric", "Value"], ["Benchmark Duration (sec)", f"{96 * e2e / 1e3 / 8:.2f}"],
        ["Request Count", "96.00"],
    ]  # fmt: skip
    if telemetry:
        rows += [[], [], ["Endpoint", "GPU_Index", "GPU_Name", "GPU_UUID", "Metric", *stats],
                 ["localhost", "0", "NVIDIA H100", "GPU-1", "GPU Power Usage (W)", *["300"] * 6]]  # fmt: skip
    wanted = {"ttft_ms": ttft, "tpot_ms": tpot, "e2e_ms": e2e, "isl_mean": 3761, "osl_mean": 544,
              "n_requests": 96, "ttft_p50_ms": 0.9 * ttft, "concurrency": 8}  # fmt: skip
    return _as_csv(rows), [{**wanted, "hardware": "NVIDIA H100"} if telemetry else wanted]


def aiperf_csv_alone(k: float) -> Printout:
    return aiperf_csv(k, telemetry=False)


def genai_perf_csv(k: float) -> Printout:
    """Commas between thousands, in quotes."""

    def line(name: str, mean: float) -> list[str]:
        return [name, *(f"{mean * f:,.2f}" for f in (1, 0.5, 2, 1.9, 1.5, 0.9))]

    ttft, e2e = 1146.31 * k, 6406.20 * k
    rows = [
        ["Metric", "avg", "min", "max", "p99", "p90", "p50"],
        line("Time To First Token (ms)", ttft), line("Request Latency (ms)", e2e),
        line("Inter Token Latency (ms)", 30.35 * k), line("Output Sequence Length (tokens)", 174.45),
        line("Input Sequence Length (tokens)", 3000.05), [], ["Metric", "Value"],
        ["Output Token Throughput (per sec)", f"{174.45 * 10e3 / e2e:.2f}"],
        ["Request Throughput (per sec)", f"{10e3 / e2e:.2f}"], ["Request Count (count)", "40.00"],
    ]  # fmt: skip
    return _as_csv(rows), [{"ttft_ms": ttft, "tpot_ms": 30.35 * k, "e2e_ms": e2e,
                            "isl_mean": 3000, "osl_mean": 174, "n_requests": 40}]  # fmt: skip


def lmdeploy_generation(k: float) -> Printout:
    rows = [["batch", "prompt_tokens", "completion_tokens", "throughput(total tok/s)",
             "throughput(out tok/s)", "mem(GB)", "FTL(ave)(s)", "FTL(min)(s)", "FTL(max)(s)",
             "50%(s)", "75%(s)", "95%(s)", "99%(s)"]]  # fmt: skip
    wanted = []
    for batch in (1, 16):
        ttft, tpot = round(0.05 * k * batch, 3), 0.02 * k
        end = ttft + 127 * tpot
        out = round(batch * 128 / end, 2)
        rows.append([batch, 128, 128, f"{2 * out:.2f}", f"{out:.2f}", "15.20", ttft, ttft, ttft,
                     0.02, 0.02, 0.02, 0.03])  # fmt: skip
        wanted.append({"isl": 128, "osl": 128, "ttft_ms": ttft * 1e3, "tpot_ms": tpot * 1e3,
                       "e2e_ms": end * 1e3, "concurrency": batch, "engine": "lmdeploy"})  # fmt: skip
    return _as_csv(rows), wanted


def lmdeploy_throughput(k: float, typo: bool = False) -> Printout:
    rate = round(5 / k, 3)
    count = "num_promts" if typo else "num_prompts"
    rows = [["batch", count, "RPS", "RPM", "FTL(ave)(s)", "FTL(min)(s)", "FTL(max)(s)",
             "throughput(out tok/s)", "throughput(total tok/s)"],
            [64, 1000, f"{rate:.3f}", f"{60 * rate:.3f}", f"{0.3 * k:.3f}", "0.1", "0.9",
             f"{200 * rate:.3f}", f"{450 * rate:.3f}"]]  # fmt: skip
    return _as_csv(rows), [{"statistic": "mean", "ttft_ms": round(0.3 * k, 3) * 1e3,
                            "isl_mean": 250, "osl_mean": 200, "n_requests": 1000}]  # fmt: skip


def lmdeploy_throughput_of_2023(k: float) -> Printout:
    return lmdeploy_throughput(k, typo=True)


_LOCUST = (
    "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,"
    "Min Response Time,Max Response Time,Average Content Size,Requests/s,Failures/s,50%,90%,99%,100%"
)


def _locust_line(kind: str, name: str, mean: float, count: int, failed: int, rate: float) -> str:
    return (
        f"{kind},{name},{count},{failed},{mean * 0.9:.0f},{mean},{mean / 2},{mean * 2},512,{rate},"
        f"0,{mean * 0.9:.0f},{mean * 1.4:.0f},{mean * 1.9:.0f},{mean * 2:.0f}"
    )


def locust(k: float) -> Printout:
    """One endpoint whose script also reports the first token."""
    e2e, ttft, tpot = 2000.0 * k, 150.0 * k, 15.0 * k
    lines = [
        _LOCUST, _locust_line("GET", "/health", 3.0, 50, 0, 1.0),
        _locust_line("POST", "/v1/chat/completions", e2e, 200, 0, 2.0 / k),
        _locust_line("LLM", "TTFT", ttft, 200, 0, 2.0 / k),
        _locust_line("LLM", "time_per_output_token", tpot, 200, 0, 2.0 / k),
        _locust_line("", "Aggregated", e2e, 650, 0, 7.0),
    ]  # fmt: skip
    return "\n".join(lines) + "\n", [{"e2e_ms": e2e, "ttft_ms": ttft, "tpot_ms": tpot,
                                      "n_requests": 200, "concurrency": 4}]  # fmt: skip


def locust_two_endpoints(k: float) -> Printout:
    lines = [
        _LOCUST, _locust_line("POST", "/v1/completions", 500.0 * k, 100, 10, 1.0),
        _locust_line("POST", "/generate", 700.0 * k, 100, 0, 1.0),
        _locust_line("", "Aggregated", 600.0 * k, 200, 10, 2.0),
    ]  # fmt: skip
    return "\n".join(lines) + "\n", [
        {"e2e_ms": 500 * k, "n_requests": 90, "endpoint": "/v1/completions"},
        {"e2e_ms": 700 * k, "n_requests": 100},
    ]


def vllm_keys_csv(k: float, sep: str = ",") -> Printout:
    names = ["date", "backend", "model_id", "num_prompts", "request_rate", "max_concurrency",
             "duration", "completed", "total_input_tokens", "total_output_tokens", "mean_ttft_ms",
             "median_ttft_ms", "mean_tpot_ms", "mean_itl_ms", "mean_e2el_ms", "max_num_seqs"]  # fmt: skip
    lines, wanted = [sep.join(names)], []
    for limit in (1, 16):
        ttft, tpot = 50.0 * k * limit, 9.0 * k
        e2e = ttft + 99 * tpot
        values = ["20261201-1", "vllm", "org/m", 80, "inf", limit, 80 * e2e / 1e3 / limit, 80,
                  80000, 8000, ttft, ttft, tpot, tpot, e2e, 256]  # fmt: skip
        lines.append(sep.join(map(str, values)))
        wanted.append({"ttft_ms": ttft, "tpot_ms": tpot, "e2e_ms": e2e, "isl_mean": 1000,
                       "osl_mean": 100, "n_requests": 80, "model": "org/m", "concurrency": limit,
                       "max_num_seqs": 256})  # fmt: skip
    return "\n".join(lines) + "\n", wanted


def vllm_keys_semicolons(k: float) -> Printout:
    return vllm_keys_csv(k, ";")


def sglang_keys_csv(k: float) -> Printout:
    e2e = 1000.0 * k
    names = ("backend,request_rate,max_concurrency,concurrency,duration,completed,"
             "total_input_tokens,total_output_tokens,mean_e2e_latency_ms,mean_ttft_ms,"
             "mean_tpot_ms,mean_itl_ms,accept_length")  # fmt: skip
    values = f"sglang,4.0,,3.5,25,100,51200,6400,{e2e},{100 * k},{14 * k},{14 * k},"
    return f"{names}\n{values}\n", [{"e2e_ms": e2e, "ttft_ms": 100 * k, "isl_mean": 512,
                                     "osl_mean": 64, "request_rate": 4, "concurrency": 3.5}]  # fmt: skip


def hand_made_csv(k: float) -> Printout:
    """Means by hand: lengths in columns of their own, no totals."""
    text = (
        "model,input_len,output_len,concurrency,mean_ttft_ms,mean_tpot_ms\n"
        f"m,512,64,4,{80 * k},{11 * k}\nm,2048,64,4,{200 * k},{12 * k}\n"
    )
    return text, [
        {"isl_mean": 512, "osl_mean": 64, "ttft_ms": 80 * k, "tpot_ms": 11 * k, "concurrency": 4},
        {"isl_mean": 2048, "ttft_ms": 200 * k, "tpot_ms": 12 * k, "concurrency": 4},
    ]


PRINTOUTS: dict[str, list[Callable[[float], Printout]]] = {
    "llama-bench": [llama_bench, llama_bench_of_2023, llama_bench_of_ik],
    "llama-batched-bench": [batched_bench, batched_bench_shared, batched_bench_json],
    "llama-sweep-bench": [sweep_bench, sweep_bench_memory, sweep_bench_json],
    "llama-benchy": [
        llama_benchy, llama_benchy_concurrent, llama_benchy_cached, llama_benchy_json,
    ],
    "mlx-lm": [mlx_benchmark, mlx_benchmark_batched, mlx_generate],
    "ollama-verbose": [ollama_verbose, ollama_verbose_cached],
    "serving-console": [
        vllm_console_of_2024, vllm_console, vllm_console_with_percentiles, sglang_console_of_2024,
        sglang_console,
    ],
    "vllm-offline-console": [vllm_latency_console, vllm_throughput_console],
    "trtllm-bench": [trtllm, trtllm_of_2024, trtllm_latency, trtllm_json],
    "aiperf-csv": [aiperf_csv, aiperf_csv_alone, genai_perf_csv],
    "lmdeploy": [lmdeploy_generation, lmdeploy_throughput, lmdeploy_throughput_of_2023],
    "locust": [locust, locust_two_endpoints],
    "serving-csv": [vllm_keys_csv, vllm_keys_semicolons, sglang_keys_csv, hand_made_csv],
}  # fmt: skip
"""Shapes and versions of each format."""
