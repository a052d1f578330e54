"""Write the committed benchmark results into the README and a page of the docs, between markers.

python benchmarks/tables.py           rewrite README.md and docs/reference/field.md
python benchmarks/tables.py --check   fail when one of them differs from the results
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from results_files import result
from tables_field import CORPUS
from tables_known import KNOWN
from tables_service import service
from tables_step import step_law

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/reference/field.md", "docs/reference/known.md")
OURS, LINE, TREES, TREND = "hachiya-patias", "linear", "gradient-boosting", "trend-boosting"


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
    "service": service, **CORPUS, **KNOWN,
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
    """Rewrite or check the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    only_check = parser.parse_args().check
    stale = False
    for page in PAGES:
        text = (ROOT / page).read_text()
        new = render(text)
        if not only_check:
            (ROOT / page).write_text(new)
        elif new != text:
            stale = True
            print(f"{page} differs from benchmarks/results: run python benchmarks/tables.py")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
