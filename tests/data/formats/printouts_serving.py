"""What vLLM's and SGLang's serving benchmarks print, and CSV with their keys; see printouts.py."""

# ruff: noqa: E501 (lines as tools print them)

from typing import Any

Printout = tuple[str, list[dict[str, Any]]]


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
