"""Write the committed benchmark results into the README, between its markers.

python benchmarks/tables.py           rewrite README.md
python benchmarks/tables.py --check   fail when README.md differs from the results
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
OURS, LINE, TREES, TREND = "hachiya-patias", "linear", "gradient-boosting", "trend-boosting"


def result(suite: str) -> dict[str, Any]:
    """Read the committed result of one suite."""
    found: dict[str, Any] = json.loads((HERE / "results" / f"{suite}.json").read_text())
    return found


def curves() -> str:
    """MAPE of every one of the 11 prefill curves beyond a quarter of its longest length."""
    found = result("prefill_length_4")
    rows = ["| deployment | lengthwise | linear | gradient boosting | truth inside 90 % interval |",
            "|---|--:|--:|--:|--:|"]  # fmt: skip
    for name, scores in found["groups"].items():
        label = name.removesuffix(" | prefill").replace(" | vllm", "").replace(" | fp16", "")
        cells = [f"{scores[f]['mape_percent']:.1f} %" for f in (OURS, LINE, TREES)]
        inside = f"{100 * scores[OURS]['coverage']:.0f} %"
        rows.append(f"| {label.replace(' | ', ', ')} | {' | '.join([*cells, inside])} |")
    medians = [f"**{found['overall'][f]['mape_percent']:.1f} %**" for f in (OURS, LINE, TREES)]
    covered = f"{100 * found['overall'][OURS]['pooled_coverage']:.0f} %"
    return "\n".join([*rows, f"| **median** | {' | '.join([*medians, covered])} |"])


def field() -> str:
    """All formulations on the same rows, best first."""
    overall = result("prefill_length_4")["overall"]
    rows = ["| formulation | median MAPE | worst curve |", "|---|--:|--:|"]
    for name, row in sorted(overall.items(), key=lambda item: item[1]["mape_percent"] or 1e9):
        worst = (
            "failed" if row["worst_mape_percent"] is None else f"{row['worst_mape_percent']:.0f} %"
        )
        middle = "failed" if row["mape_percent"] is None else f"{row['mape_percent']:.1f} %"
        rows.append(f"| `{name}` | {middle} | {worst} |")
    return "\n".join(rows)


def _summary(suites: dict[str, str]) -> str:
    rows = ["| rows held out | lengthwise (worst) | linear | gradient boosting | trend boosting "
            "| coverage of 90 % | median width |",
            "|---|--:|--:|--:|--:|--:|--:|"]  # fmt: skip
    for suite, label in suites.items():
        overall = result(suite)["overall"]
        ours = overall[OURS]
        cells = [f"{ours['mape_percent']:.1f} % ({ours['worst_mape_percent']:.0f} %)"]
        for name in (LINE, TREES, TREND):
            other = overall.get(name, {}).get("mape_percent")
            cells.append("–" if other is None else f"{other:.1f} %")
        cells += [f"{100 * ours['pooled_coverage']:.0f} %", f"{ours['median_width_percent']:.0f} %"]
        rows.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(rows)


def extrapolation() -> str:
    """Every length and batch extrapolation suite."""
    return _summary({
        "prefill_length_2": "prefill, 11 curves, beyond max/2",
        "prefill_length_4": "prefill, 11 curves, beyond max/4",
        "prefill_length_8": "prefill, 11 curves, beyond max/8",
        "prefill_alone_length_2": "… trained on the batch-1 sweep alone, max/2",
        "prefill_alone_length_4": "… trained on the batch-1 sweep alone, max/4",
        "prefill_alone_length_8": "… trained on the batch-1 sweep alone, max/8",
        "decode_length_4": "decode, 11 sweeps, beyond max/4",
        "llamacpp_prefill_length_4": "llama.cpp prefill, 12 sweeps, beyond max/4",
        "llamacpp_decode_length_4": "llama.cpp decode, 12 sweeps, beyond max/4",
        "own_prefill_length_4": "our CPU prefill, 2 models, beyond max/4",
        "own_decode_length_4": "our CPU decode, 2 models, beyond max/4",
        "engines_prefill_length_4": "7 more CPU engines, prefill, beyond max/4",
        "engines_decode_length_4": "7 more CPU engines, decode, beyond max/4",
        "chunked_length_4": "steps of chunked prefills on a CPU, beyond max/4",
        "mixed_length_4": "mixed steps on a CPU, beyond max/4",
        "prefill_batch_4": "prefill, batches beyond max/4",
        "decode_batch_4": "decode, batches beyond max/4",
        "llamacpp_decode_batch_4": "llama.cpp decode, batches beyond max/4",
        "prefill_deployment": "prefill, a deployment nobody measured",
        "decode_deployment": "decode, a deployment nobody measured",
        "prefill_hardware": "prefill, hardware nobody measured",
    })  # fmt: skip


IN_RANGE = {
    "prefill_in_range": "prefill, 11 curves",
    "decode_in_range": "decode, 11 sweeps",
    "llamacpp_prefill_in_range": "llama.cpp prefill, 12 sweeps",
    "llamacpp_decode_in_range": "llama.cpp decode, 12 sweeps",
    "own_prefill_in_range": "our CPU prefill, 2 models",
    "own_decode_in_range": "our CPU decode, 2 models",
    "engines_prefill_in_range": "7 more CPU engines, prefill",
    "engines_decode_in_range": "7 more CPU engines, decode",
    "chunked_in_range": "steps of chunked prefills on a CPU",
    "mixed_in_range": "mixed steps on a CPU",
}


def in_range() -> str:
    """Every in-range suite."""
    return _summary(IN_RANGE)


def headline() -> str:
    """List the figures that the project promises."""
    four, groups = result("prefill_length_4"), result("prefill_length_4")["groups"].values()
    alone = result("prefill_alone_length_4")["overall"][OURS]
    ours = [g[OURS]["mape_percent"] for g in groups]
    twice = sum(g[LINE]["mape_percent"] >= 2 * g[OURS]["mape_percent"] for g in groups)
    inside, total, apart, worse = 0.0, 0, [], 0
    for suite in IN_RANGE:
        found = result(suite)
        inside += found["overall"][OURS]["pooled_coverage"] * found["overall"][OURS]["points"]
        total += found["overall"][OURS]["points"]
        for group in found["groups"].values():
            apart.append(group[OURS]["mape_percent"])
            worse += group[OURS]["mape_percent"] > group[TREES]["mape_percent"] + 1.0
    far = ("prefill", "decode", "llamacpp_prefill", "llamacpp_decode", "own_prefill", "own_decode",
           "engines_prefill", "engines_decode", "chunked",
           "mixed")  # fmt: skip
    beyond = [result(f"{k}_length_4")["overall"][OURS] for k in far]
    covered = sum(r["pooled_coverage"] * r["points"] for r in beyond)
    points = sum(r["points"] for r in beyond)
    apart.sort()
    return "\n".join([
        f"- Length extrapolation beyond max/4, 11 public prefill curves: median MAPE "
        f"**{four['overall'][OURS]['mape_percent']:.1f} %**, worst curve {max(ours):.1f} %; "
        f"`linear` at least twice as bad on {twice} of {len(ours)}. From the batch-1 sweep of each "
        f"curve alone: median **{alone['mape_percent']:.1f} %**, worst "
        f"{alone['worst_mape_percent']:.1f} %.",
        f"- In range, {len(apart)} sweeps: median MAPE **{apart[len(apart) // 2]:.1f} %**; worse "
        f"than gradient boosting by more than a point on {worse}.",
        f"- 90 % intervals: **{100 * inside / total:.1f} %** of {total:,} points covered in range, "
        f"**{100 * covered / points:.1f} %** of {points:,} beyond max/4.",
    ])  # fmt: skip


def speed() -> str:
    """Speed of the product itself, CPU time on one core of a shared machine."""
    found = result("speed")
    points, scalar = found["million_points_per_cpu_s"], found["scalar_us"]
    fits = [found["fit own-openvino-cpu"], found["fit splitwise"]]
    stream = max(found["stream"], key=lambda row: row["rows"])
    rows = {
        "fit of one deployment, prefill and decode": (
            f"{max(f['median_cpu_s'] for f in fits):.2f} s "
            f"(worst {max(f['worst_cpu_s'] for f in fits):.2f} s)"
        ),
        "one prediction, `law.at(...)`": (
            f"{max(s['median'] for s in scalar.values()):.1f} us "
            f"(worst {max(s['max'] for s in scalar.values()):.1f} us)"
        ),
        "vectorised, `law.predict_arrays(...)`": (
            f"{min(p['median'] for p in points.values()):.0f} million points per second "
            f"(least {min(p['min'] for p in points.values()):.0f})"
        ),
        f"a Parquet table of {stream['rows']:,} rows, streamed": (
            f"{stream['cpu_s']:.0f} s, peak memory {stream['peak_rss_mib']} MiB"
        ),
        "`import lengthwise`": f"{found['import_cpu_s']:.2f} s",
        "`lengthwise --help`": f"{found['help_cpu_s']:.2f} s",
    }
    lines = [f"| {what} | {value} |" for what, value in rows.items()]
    return "\n".join(["| what (CPU time) | measured |", "|---|--:|", *lines])


def step_law() -> str:
    """Say what the step law is worth: zero-shot, left out, with few samples; curves, speed."""
    return "\n".join([*_serving_table(), "", *_few_shot_lines(), *_kernel_lines(), _step_speed()])


def _serving_table() -> list[str]:
    found = result("serving")
    lines = ["| 2,886 serving runs, aggregated | TPOT mean / median | TTFT mean / median |",
             "|---|--:|--:|"]  # fmt: skip
    peer = found["zero_shot"]["aiconfigurator_rows"]
    rows = peer["tpot"]["aiconfigurator"]["rows"]
    for who, label in (
        ("aiconfigurator", "AIConfigurator 0.12"),
        ("lengthwise", "lengthwise, no row seen"),
    ):
        scores = [peer[name][who] for name in ("tpot", "ttft")]
        lines.append(_errors_row(f"the {rows:,} rows AIConfigurator answers: {label}", *scores))
    every = found["zero_shot"]["all"]
    lines.append(_errors_row("all rows, no row seen", every["tpot"], every["ttft"]))
    for suite, label in (
        ("deployment", "deployment"),
        ("hardware", "hardware"),
        ("model", "model"),
    ):
        for key, note in (("apart_left_out", ""), ("all", ", vLLM above 256 in flight too")):
            scores = [found[suite][name][key] for name in ("tpot", "ttft")]
            lines.append(_errors_row(f"{label} left out{note}", *scores))
    return lines


def _errors_row(label: str, tpot: dict[str, float], ttft: dict[str, float]) -> str:
    cells = [f"{x['mape']:.1f} / {x['median']:.1f} %" for x in (tpot, ttft)]
    return f"| {label} | {' | '.join(cells)} |"


def _few_shot_lines() -> list[str]:
    serving = result("serving")["deployment"]
    tpot, ttft = (
        ", ".join(f"{serving[name]['samples'][k]['median']:.1f} %" for k in ("1", "3", "5", "10"))
        for name in ("tpot", "ttft")
    )
    steps = result("few_shot_steps")
    mean = steps["mean_of_targets"]
    by_tp = steps["llama2_70b_by_tp"]
    zero = ", ".join(f"{by_tp[f'tp={tp}, suggested']['0']:.0f} %" for tp in (2, 4, 8))
    three = ", ".join(f"{by_tp[f'tp={tp}, suggested']['3']:.1f} %" for tp in (2, 4, 8))
    return [
        f"- With 1, 3, 5, 10 random samples of the left-out deployment, median: TPOT {tpot}; "
        f"TTFT {ttft}.",
        "- 90 % intervals of left-out deployments hold "
        f"{serving['tpot']['coverage_90']:.0f} % (TPOT) and {serving['ttft']['coverage_90']:.0f} % "
        "(TTFT) of the rows.",
        "- Steps of Splitwise, other GPU family seen only, 3 samples chosen by `suggest` (random): "
        f"decode {mean['decode, suggested']['3']['mean']:.1f} % "
        f"({mean['decode, random']['3']['mean']:.1f}), "
        f"prefill {mean['prefill, suggested']['3']['mean']:.1f} % "
        f"({mean['prefill, random']['3']['mean']:.1f}). Llama-2-70B at tp 2, 4, 8: {zero} without "
        f"a sample, {three} with three.",
    ]  # fmt: skip


KERNELS = {"gemm": "matrix products", "experts": "experts",
           "attention_prefill": "prefill attention", "attention_decode": "decode attention",
           "latent": "latent attention", "collective": "collectives"}  # fmt: skip


def _kernel_lines() -> list[str]:
    parts = []
    for name, label in KERNELS.items():
        if (HERE / "results" / f"kernels_{name}.json").is_file():
            overall = result(f"kernels_{name}")["overall"]
            splits = [
                f"{split.replace('_', ' x')} {x['median_percent']:.1f} / {x['p90_percent']:.0f} %"
                for split, x in overall.items()
            ]
            parts.append(f"{label} ({', '.join(splits)})")
    return [f"- Kernel curves on held-out shapes, median / 90th percentile: {'; '.join(parts)}."]


def _step_speed() -> str:
    found = result("step_speed")["deployments"]
    worst = max(x["scalar_us"]["mixed"] for x in found.values())
    least = min(x["million_steps_per_cpu_s"]["mixed"] for x in found.values())
    return (f"- A compiled mixed step takes at most {worst:.1f} us; {least:.0f} million a second "
            "vectorised.")  # fmt: skip


def measuring() -> str:
    """List what measuring and importing are good to."""
    engines = result("demo")["engines"]
    client, imported = result("client"), result("import_truth")
    accuracy = client["accuracy"]["own"]["together"]
    rate = client["throughput"]["own"]["closed_loop_16"]["requests_per_s"]
    worst = max(imported["between_any_two_tools_ms"].values())
    lines = [_demo_line(name, found) for name, found in engines.items()]
    ttft, itl = (accuracy[f"{k}_error_ms"]["p99"] for k in ("ttft", "itl"))
    return "\n".join([
        *lines,
        f"- HTTP client against known times, 50 streams at once: TTFT off by {ttft:.2f} ms and ITL "
        f"by {itl:.2f} ms at p99; {rate:,.0f} short streams per second on one core.",
        f"- The same {imported['requests']:,} requests in the files of "
        f"{len(imported['from_truth_ms'])} tools give the same times within {worst:.1g} ms.",
    ])  # fmt: skip


def _demo_line(name: str, found: dict[str, Any]) -> str:
    return (
        f"- Demo with {name} on 2 cores, {len(found['runs'])} runs: TTFT at 2, 4 and 8 times the "
        f"fitted lengths (up to {found['asked'][-1]:,} tokens) within "
        f"**{found['worst_ttft_error_percent']:.1f} %** of what was then measured "
        f"({found['worst_ttft_error_as_measured_percent']:.1f} % without allowing for a machine "
        f"that changed its speed meanwhile); `linear` off by "
        f"at least {found['least_linear_ttft_error_percent']:.0f} %. Decode steps within "
        f"{found['worst_decode_error_percent']:.0f} %. Longest run "
        f"{found['longest_seconds']:.0f} s."
    )


SECTIONS: dict[str, Callable[[], str]] = {
    "headline": headline, "curves": curves, "field": field, "extrapolation": extrapolation,
    "in-range": in_range, "measuring": measuring, "speed": speed, "step-law": step_law,
}  # fmt: skip


def render(text: str) -> str:
    """Fill every ``<!-- begin NAME -->`` … ``<!-- end NAME -->`` with its section."""
    for name, section in SECTIONS.items():
        pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
        if re.search(pattern, text, flags=re.S):
            body = section()
            text = re.sub(pattern, lambda m, b=body: f"{m[1]}{b}\n{m[2]}", text, flags=re.S)
    return text


def main() -> int:
    """Rewrite or check the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    text = README.read_text()
    new = render(text)
    if parser.parse_args().check:
        if new != text:
            print("README.md differs from benchmarks/results: run python benchmarks/tables.py")
        return int(new != text)
    README.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
