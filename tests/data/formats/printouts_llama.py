"""What llama.cpp, ik_llama.cpp and llama-benchy print; see printouts.py."""

# ruff: noqa: E501 (lines as tools print them)

import json
from typing import Any

Printout = tuple[str, list[dict[str, Any]]]


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
    alone = 1.024e6 / (150 * k)
    head = "t/s (total) | t/s (req) | peak t/s | peak t/s (req) | ttfr (ms) | est_ppt (ms) | e2e_ttft (ms)"
    text = (
        f"Printing results in MD format:\n\n| model | test | {head} |\n"
        "|:---|---:|---:|---:|---:|---:|---:|---:|---:|\n"
        f"| m | pp1024 (c1) | {_cell(alone)} | {_cell(alone)} | | | {_cell(170 * k)} | {_cell(150 * k)} | {_cell(175 * k)} |\n"
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
