"""Errors of operator curves on kernels they were not fitted to: attention and collectives.

    LENGTHWISE_DATA=../shared/data python benchmarks/kernels_attention.py [SUITE ...]

Three fixed splits, nothing of a test fold in its fit: each (heads, kv heads) shape left out in
turn, each batch size left out in turn, and lengths beyond a quarter of the greatest left out
together (collectives: message sizes). Writes benchmarks/results/kernels_SUITE.json. About 40 CPU
minutes for all suites; ``--folds N`` leaves every N-th shape or batch size out together instead,
which is harder and quicker.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parent / "results"
sys.path.insert(0, str(Path(__file__).parents[1] / "experiments" / "device_profiles"))

import kernel_tables  # noqa: E402

from lengthwise.calibration.operators import attention_fit, collective_fit, latent_fit  # noqa: E402

SPLITS = ("shape", "batch", "length_4")


@dataclass(frozen=True)
class Case:
    """One table with the functions that fit and predict it."""

    name: dict[str, str]
    rows: pd.DataFrame
    fit: Callable[[pd.DataFrame], Any]
    seconds: Callable[[Any, pd.DataFrame], Any]
    blocks: dict[str, Any]
    """By split: the block of each row; for ``length_4`` whether a row is beyond a quarter."""


def attention_cases(table_name: str, length: str, fit: Any, seconds: Any) -> Iterator[Case]:
    """Softmax attention: tables by processor, engine and format."""
    for table, dtype, kv, rows in kernel_tables.attention(table_name):
        yield Case(
            _name(table, dtype, kv), rows, _fitted(fit, table.system, dtype, kv), seconds,
            _blocks(rows, length),
        )  # fmt: skip


def latent_cases(names: tuple[str, str], length: str, fit: Any, seconds: Any) -> Iterator[Case]:
    """Latent attention: alone, and as a module with its projections."""
    for table_name in names:
        for table, dtype, kv, gemm, rows in kernel_tables.latent(table_name):
            kind = f"module_{gemm}" if gemm else "attention"
            rows = rows.assign(num_key_value_heads=0)
            yield Case(
                {**_name(table, dtype, kv), "kind": kind}, rows,
                _fitted(fit, table.system, dtype, kv, module=bool(gemm)), seconds,
                _blocks(rows, length),
            )  # fmt: skip


def collective_cases() -> Iterator[Case]:
    """Each library's collectives; the blocks of the first split are message sizes."""
    for system in kernel_tables.SYSTEMS:
        _, nccl = kernel_tables.messages(system, "nccl")
        found = [("nccl", kind, rows) for kind, rows in nccl.items()]
        for engine in ("trtllm", "vllm"):
            _, own = kernel_tables.messages(system, engine)
            rows = collective_fit.fastest(own["all_reduce"], nccl["all_reduce"])
            found.append((engine, "all_reduce", rows))
        for library, kind, rows in found:
            size = rows["message_bytes"].to_numpy()
            yield Case(
                {"system": system, "engine": library, "kind": kind}, rows,
                _collective(system, kind), collective_fit.collective_seconds,
                {"message": size, "length_4": size > size.max() / 4},
            )  # fmt: skip


def _collective(system: str, kind: str) -> Callable[[pd.DataFrame], Any]:
    links = kernel_tables.links(system)
    return lambda part: collective_fit.fit_collective(part, links, kind)


def _fitted(fit: Any, system: str, dtype: str, kv: str, **more: bool) -> Any:
    device = kernel_tables.device(system, dtype)
    return lambda part: fit(part, device, dtype, kv, **more)


def _name(table: Any, dtype: str, kv: str) -> dict[str, str]:
    return {"system": table.system, "engine": table.engine, "dtype": dtype, "kv_dtype": kv}


def _blocks(rows: pd.DataFrame, length: str) -> dict[str, Any]:
    shape = rows["num_heads"] * 100_000 + rows["num_key_value_heads"]
    measured = rows[length] + (length == "step")
    return {
        "shape": shape.to_numpy(),
        "batch": rows["batch_size"].to_numpy(),
        "length_4": (measured > measured.max() / 4).to_numpy(),
    }


def left_out(case: Case, split: str, folds: int) -> np.ndarray:
    """Ratio of predicted to measured time of every row that some fold left out; NaN elsewhere."""
    block = case.blocks[split]
    if split == "length_4":
        tests = [block]
    else:
        values = np.unique(block)
        count = folds or len(values)
        groups = [values[i::count] for i in range(count)]
        tests = [np.isin(block, group) for group in groups]
    ratio = np.full(len(case.rows), np.nan)
    for test in tests:
        if test.any() and not test.all():
            curve = case.fit(case.rows[~test])
            measured = case.rows["seconds"].to_numpy()[test]
            ratio[test] = case.seconds(curve, case.rows[test]) / measured
    return ratio


def scores(ratio: np.ndarray) -> dict[str, float | int]:
    """Absolute relative errors, and the bias of the middle."""
    found = ratio[np.isfinite(ratio)]
    if not len(found):
        return {"rows": 0}
    error = np.abs(found - 1.0)
    return {
        "rows": len(found),
        "median_percent": round(100 * float(np.median(error)), 2),
        "p90_percent": round(100 * float(np.quantile(error, 0.9)), 2),
        "bias_percent": round(100 * (float(np.median(found)) - 1.0), 2),
    }


SUITES: dict[str, Callable[[], Iterator[Case]]] = {
    "attention_prefill": lambda: attention_cases(
        "context_attention", "isl", attention_fit.fit_prefill, attention_fit.prefill_seconds
    ),
    "attention_decode": lambda: attention_cases(
        "generation_attention", "step", attention_fit.fit_decode, attention_fit.decode_seconds
    ),
    "latent_prefill": lambda: latent_cases(
        ("context_mla", "mla_context_module"), "isl", latent_fit.fit_latent_prefill,
        latent_fit.latent_prefill_seconds,
    ),
    "latent_decode": lambda: latent_cases(
        ("generation_mla", "mla_generation_module"), "step", latent_fit.fit_latent_decode,
        latent_fit.latent_decode_seconds,
    ),
    "collective": collective_cases,
}  # fmt: skip


def run(suite: str, folds: int) -> dict[str, Any]:
    """Hold rows of every table of a suite out and score them, each table and all together."""
    curves = []
    pooled: dict[str, list[np.ndarray]] = {}
    for case in SUITES[suite]():
        found: dict[str, Any] = {}
        for split in case.blocks:
            ratio = left_out(case, split, folds)
            found[split] = scores(ratio)
            pooled.setdefault(split, []).append(ratio)
        curves.append({**case.name, "set_apart": case.rows.attrs.get("set_apart", 0), **found})
        print(suite, *case.name.values(), *(
            f"{s} {r.get('median_percent')}/{r.get('p90_percent')}" for s, r in found.items()
        ), flush=True)  # fmt: skip
    overall = {split: scores(np.concatenate(ratios)) for split, ratios in pooled.items()}
    return {
        "suite": suite,
        "folds": folds or "one for each block",
        "overall": overall,
        "curves": curves,
    }


def main() -> None:
    """Run the suites named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", choices=[[], *SUITES], default=[])
    parser.add_argument("--folds", type=int, default=0)
    options = parser.parse_args()
    for suite in options.suites or SUITES:
        found = run(suite, options.folds)
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"kernels_{suite}.json").write_text(json.dumps(found, indent=1) + "\n")
        print(suite, "overall", found["overall"], flush=True)


if __name__ == "__main__":
    main()
