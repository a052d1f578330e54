"""Run the live demo with each engine several times and write ``benchmarks/results/demo.json``.

    python benchmarks/demo.py [--runs 3]

Prompts up to 2,048 (openvino) or 1,024 tokens (llama.cpp) are fitted; 2, 4 and 8 times as long ones
are predicted and then measured. Limits: error of TTFT at most 10 % at every length, 90 s a run.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from lengthwise.measurement.machine import describe
from lengthwise.reporting.demo import Demo
from lengthwise.reporting.live_demo import SETTINGS, run_live

OUT = Path(__file__).parent / "results" / "demo.json"


def one(name: str) -> dict[str, Any]:
    """Run the demo once."""
    start = time.perf_counter()
    demo, table = run_live(name, lambda line: None, lambda progress: None)
    seconds = time.perf_counter() - start
    return {
        "seconds": round(seconds, 1), "load1_at_end": round(os.getloadavg()[0], 2),
        "wall_over_cpu": round(float((table["wall_ms"] / table["cpu_ms"]).median()), 3),
        "divided_by": round(speed := float(table["divided_by"].iloc[-1]), 4),
        "lines": _lines(demo, speed),
    }  # fmt: skip


def _lines(demo: Demo, speed: float) -> list[dict[str, Any]]:
    lines = demo.lines.round(3)
    lines["error_percent"] = (100 * (lines["predicted_ms"] / lines["measured_ms"] - 1)).round(2)
    as_measured = lines["measured_ms"] * speed
    lines["as_measured_error_percent"] = (100 * (lines["predicted_ms"] / as_measured - 1)).round(2)
    lines["inside"] = (lines["measured_ms"] >= lines["lo_ms"]) & (
        lines["measured_ms"] <= lines["hi_ms"]
    )
    found: list[dict[str, Any]] = lines.to_dict("records")
    return found


def worst(runs: list[dict[str, Any]], phase: str, name: str = "error_percent") -> float:
    """Greatest absolute error of a phase over all runs and lengths, percent."""
    return max(abs(line[name]) for run in runs for line in run["lines"] if line["phase"] == phase)


def main() -> None:
    """Run every engine and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    found: dict[str, Any] = {"machine": describe(), "engines": {}}
    count = parser.parse_args().runs
    for name in SETTINGS:
        runs = [one(name) for _ in range(count)]
        found["engines"][name] = {
            "fitted_up_to": SETTINGS[name].short, "asked": list(SETTINGS[name].asked),
            "worst_ttft_error_percent": worst(runs, "prefill"),
            "worst_ttft_error_as_measured_percent": worst(
                runs, "prefill", "as_measured_error_percent"
            ),
            "worst_decode_error_percent": worst(runs, "decode"),
            "least_linear_ttft_error_percent": min(
                line["linear_error_percent"] for run in runs for line in run["lines"]
                if line["phase"] == "prefill"
            ),
            "longest_seconds": max(run["seconds"] for run in runs), "runs": runs,
        }  # fmt: skip
        print(name, {k: v for k, v in found["engines"][name].items() if k != "runs"}, flush=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
