"""CSV of AIPerf, genai-perf, LMDeploy and Locust; see printouts.py."""

# ruff: noqa: E501 (lines as tools print them)

import csv
import io
from typing import Any

Printout = tuple[str, list[dict[str, Any]]]


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
