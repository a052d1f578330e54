"""Text and CSV in the exact shape in which tools print them, made from known figures.

Every function takes a scale, so that files of one shape differ in all figures, and gives the text
with what its rows must hold: one dictionary of columns a row.
"""

from collections.abc import Callable

from printouts_engines import (
    mlx_benchmark,
    mlx_benchmark_batched,
    mlx_generate,
    ollama_verbose,
    ollama_verbose_cached,
    trtllm,
    trtllm_json,
    trtllm_latency,
    trtllm_of_2024,
    vllm_latency_console,
    vllm_throughput_console,
)
from printouts_llama import (
    Printout,
    batched_bench,
    batched_bench_json,
    batched_bench_shared,
    llama_bench,
    llama_bench_of_2023,
    llama_bench_of_ik,
    llama_benchy,
    llama_benchy_cached,
    llama_benchy_concurrent,
    llama_benchy_json,
    sweep_bench,
    sweep_bench_json,
    sweep_bench_memory,
)
from printouts_serving import (
    hand_made_csv,
    sglang_console,
    sglang_console_of_2024,
    sglang_keys_csv,
    vllm_console,
    vllm_console_of_2024,
    vllm_console_with_percentiles,
    vllm_keys_csv,
    vllm_keys_semicolons,
)
from printouts_tables import (
    aiperf_csv,
    aiperf_csv_alone,
    genai_perf_csv,
    lmdeploy_generation,
    lmdeploy_throughput,
    lmdeploy_throughput_of_2023,
    locust,
    locust_two_endpoints,
)

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
