"""What the README says of the step law."""

from __future__ import annotations

from results_files import RESULTS, result


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


KERNELS = {
    "gemm": "matrix products", "experts": "experts", "attention_prefill": "attention of prefills",
    "attention_decode": "of decodes", "latent_prefill": "latent attention of prefills",
    "latent_decode": "of decodes", "collective": "collectives",
}  # fmt: skip
FAR = {
    "length_4": "4 times as long",
    "m_8": "8 times as many rows",
    "tokens_8": "8 times the tokens",
}
NEAR = ("block", "model", "shape", "message")
"""The hardest split of each suite that leaves whole shapes out."""


def _kernel_lines() -> list[str]:
    rows = ["", "| kernel times, median / 90th percentile | shapes left out | beyond the data |",
            "|---|--:|--:|"]  # fmt: skip
    for name, label in KERNELS.items():
        if not (RESULTS / f"kernels_{name}.json").is_file():
            continue
        overall = result(f"kernels_{name}")["overall"]
        near = next(overall[split] for split in NEAR if split in overall)
        split = next(split for split in FAR if split in overall)
        far = f"{_both(overall[split])} ({FAR[split]})"
        rows.append(f"| {label} | {_both(near)} | {far} |")
    return [*rows, ""]


def _both(scores: dict[str, float]) -> str:
    return f"{scores['median_percent']:.1f} / {scores['p90_percent']:.0f} %"


def _step_speed() -> str:
    found = result("step_speed")["deployments"]
    worst = max(x["scalar_us"]["mixed"] for x in found.values())
    least = min(x["million_steps_per_cpu_s"]["mixed"] for x in found.values())
    return (f"- A compiled mixed step takes at most {worst:.1f} us; {least:.0f} million a second "
            "vectorised.")  # fmt: skip
