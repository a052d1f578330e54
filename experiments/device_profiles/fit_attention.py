"""Fit attention, latent attention and collectives to the kernel tables, and write the profiles.

    LENGTHWISE_DATA=../shared/data python experiments/device_profiles/fit_attention.py [KIND ...]

Writes src/lengthwise/data/profiles/SYSTEM.KIND.json. Errors on held-out rows are copied from
benchmarks/results/kernels_*.json (run benchmarks/kernels_attention.py first). About 20 CPU minutes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from kernel_tables import (
    COMMIT,
    LICENCE,
    REPOSITORY,
    SYSTEMS,
    attention,
    device,
    errors,
    latent,
    links,
    messages,
)

from lengthwise.calibration.operators import attention_fit, collective_fit, latent_fit

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ROOT / "src" / "lengthwise" / "data" / "profiles"
RESULTS = ROOT / "benchmarks" / "results"
Found = Iterator[tuple[str, str, dict[str, Any]]]
"""System, file of the table, curve."""


def attention_curves(
    table_name: str, fit: Callable[..., Any], seconds: Callable[..., Any]
) -> Found:
    """Fit every attention table."""
    for table, dtype, kv, rows in attention(table_name):
        curve = fit(rows, device(table.system, dtype), dtype, kv)
        yield table.system, table.file, _record(table, dtype, kv, curve, seconds(curve, rows), rows)


def latent_curves(
    names: tuple[str, str], fit: Callable[..., Any], seconds: Callable[..., Any]
) -> Found:
    """Fit every latent attention table: attention alone, and whole modules."""
    for name in names:
        for table, dtype, kv, gemm, rows in latent(name):
            module = bool(gemm)
            curve = fit(rows, device(table.system, dtype), dtype, kv, module=module)
            record = _record(table, dtype, kv, curve, seconds(curve, rows), rows)
            kind = f"module_{gemm}" if module else "attention"
            yield table.system, table.file, {**record, "kind": kind}


def collective_curves() -> Found:
    """Fit NCCL's collectives, and each engine's all-reduce: the faster of its own and NCCL's."""
    for system in SYSTEMS:
        nccl_files, nccl = messages(system, "nccl")
        for kind, rows in nccl.items():
            yield system, nccl_files[0], _collective("nccl", kind, rows, system)
        for engine in ("trtllm", "vllm"):
            files, own = messages(system, engine)
            rows = collective_fit.fastest(own["all_reduce"], nccl["all_reduce"])
            yield system, files[0], _collective(engine, "all_reduce", rows, system)


def _collective(library: str, kind: str, rows: pd.DataFrame, system: str) -> dict[str, Any]:
    curve = collective_fit.fit_collective(rows, links(system), kind)
    predicted = collective_fit.collective_seconds(curve, rows)
    return {
        "engine": library, "kind": kind, "coefficients": curve.to_dict(),
        "fit_error": errors(predicted, rows["seconds"].to_numpy()),
    }  # fmt: skip


def _record(
    table: Any, dtype: str, kv: str, curve: Any, predicted: Any, rows: pd.DataFrame
) -> dict[str, Any]:
    return {
        "engine": table.engine, "engine_version": table.version, "dtype": dtype, "kv_dtype": kv,
        "coefficients": curve.to_dict(),
        "fit_error": errors(predicted, rows["seconds"].to_numpy()),
    }  # fmt: skip


SUITES: dict[str, Callable[[], Found]] = {
    "attention_prefill": lambda: attention_curves(
        "context_attention", attention_fit.fit_prefill, attention_fit.prefill_seconds
    ),
    "attention_decode": lambda: attention_curves(
        "generation_attention", attention_fit.fit_decode, attention_fit.decode_seconds
    ),
    "latent_prefill": lambda: latent_curves(
        ("context_mla", "mla_context_module"), latent_fit.fit_latent_prefill,
        latent_fit.latent_prefill_seconds,
    ),
    "latent_decode": lambda: latent_curves(
        ("generation_mla", "mla_generation_module"), latent_fit.fit_latent_decode,
        latent_fit.latent_decode_seconds,
    ),
    "collective": collective_curves,
}  # fmt: skip


def write(kind: str) -> None:
    """Fit one kind on all systems and write its profiles."""
    found: dict[str, dict[str, Any]] = {}
    for system, file, record in SUITES[kind]():
        profile = found.setdefault(system, {"files": [], "curves": []})
        if file not in profile["files"]:
            profile["files"].append(file)
        profile["curves"].append(record)
        print(kind, system, *(record.get(k, "") for k in ("engine", "dtype", "kv_dtype", "kind")),
              record["fit_error"], flush=True)  # fmt: skip
    for system, profile in found.items():
        source = {"repository": REPOSITORY, "commit": COMMIT, "licence": LICENCE,
                  "files": profile["files"]}  # fmt: skip
        body = {"schema_version": 1, "system": system, "source": source,
                "curves": profile["curves"]}  # fmt: skip
        PROFILES.mkdir(exist_ok=True)
        path = PROFILES / f"{system}.{kind}.json"
        path.write_text(json.dumps(body, separators=(",", ":")) + "\n")


def main() -> None:
    """Write the kinds named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[[], *SUITES], default=[])
    for kind in parser.parse_args().kinds or SUITES:
        write(kind)


if __name__ == "__main__":
    main()
