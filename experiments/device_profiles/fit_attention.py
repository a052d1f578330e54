"""Fit attention, latent attention and collectives to the kernel tables, and write the profiles.

    LENGTHWISE_DATA=../shared/data python experiments/device_profiles/fit_attention.py [KIND ...]

Writes src/lengthwise/data/profiles/SYSTEM.KIND.json. Errors on held-out rows are copied from
benchmarks/results/kernels_*.json (run benchmarks/kernels_attention.py first). About 2 CPU minutes.
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

from lengthwise.calibration.operators import (
    attention_fit,
    collective_fit,
    latent_fit,
    pooled_fit,
)

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
        "coefficients": curve.to_dict(), "set_apart": rows.attrs.get("set_apart", 0),
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


def generic_attention(
    rows: list[tuple[Any, str, str, pd.DataFrame]],
    fit: Callable[..., Any],
    seconds: Callable[..., Any],
) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Fit typical curves, and judge each system by a curve fitted to the others."""
    groups: dict[tuple[str, str, str], list[tuple[Any, pd.DataFrame]]] = {}
    for table, dtype, kv, calls in rows:
        groups.setdefault((table.engine, dtype, kv), []).append((table, calls))
    for (engine, dtype, kv), found in groups.items():
        tables = [(calls, device(table.system, dtype)) for table, calls in found]
        curve = fit(tables, dtype, kv)
        apart = {}
        for i, (table, calls) in enumerate(found):
            others = tables[:i] + tables[i + 1 :]
            if others:
                other = fit(others, dtype, kv).on(tables[i][1])
                apart[table.system] = errors(seconds(other, calls), calls["seconds"].to_numpy())
        record = {"engine": engine, "engine_version": "", "dtype": dtype, "kv_dtype": kv,
                  "kind": "attention", "coefficients": curve.to_dict(),
                  "held_out": {"leave_one_system_out": apart}}  # fmt: skip
        yield [table.file for table, _ in found], record


def generic_collectives() -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Fit typical collectives, and judge each system by a curve fitted to the others."""
    for library in ("nccl", "trtllm", "vllm"):
        for kind in ("all_reduce", "all_gather", "reduce_scatter", "alltoall"):
            found = []
            for system in SYSTEMS:
                files, by_kind = messages(system, library)
                if kind in by_kind:
                    table = by_kind[kind]
                    if library != "nccl":
                        nccl = messages(system, "nccl")[1]["all_reduce"]
                        table = collective_fit.fastest(table, nccl)
                    found.append((system, files[0], table, links(system)))
            if not found:
                continue
            tables = [(table, link) for _, _, table, link in found]
            apart = {}
            for i, (system, _, table, link) in enumerate(found):
                others = tables[:i] + tables[i + 1 :]
                other = collective_fit.pooled_collective(others, kind).on(link)
                predicted = collective_fit.collective_seconds(other, table)
                apart[system] = errors(predicted, table["seconds"].to_numpy())
            curve = collective_fit.pooled_collective(tables, kind)
            record = {"engine": library, "kind": kind, "coefficients": curve.to_dict(),
                      "held_out": {"leave_one_system_out": apart}}  # fmt: skip
            yield [file for _, file, _, _ in found], record


GENERIC: dict[str, Callable[[], Iterator[tuple[list[str], dict[str, Any]]]]] = {
    "attention_prefill": lambda: generic_attention(
        attention("context_attention"), pooled_fit.pooled_prefill, attention_fit.prefill_seconds
    ),
    "attention_decode": lambda: generic_attention(
        attention("generation_attention"), pooled_fit.pooled_decode, attention_fit.decode_seconds
    ),
    "latent_prefill": lambda: generic_attention(
        [(t, d, k, r) for t, d, k, _, r in latent("context_mla")],
        pooled_fit.pooled_latent_prefill,
        latent_fit.latent_prefill_seconds,
    ),
    "latent_decode": lambda: generic_attention(
        [(t, d, k, r) for t, d, k, _, r in latent("generation_mla")],
        pooled_fit.pooled_latent_decode,
        latent_fit.latent_decode_seconds,
    ),
    "collective": generic_collectives,
}


NAMED = ("system", "engine", "dtype", "kv_dtype", "kind")


def held_out(suite: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """Read the errors on rows left out of the fit, by system, engine, formats and kind."""
    path = RESULTS / f"kernels_{suite}.json"
    if not path.exists():
        return {}
    curves = json.loads(path.read_text())["curves"]
    return {
        tuple(c.get(name, "") for name in NAMED): {
            split: {k: v[k] for k in ("rows", "median_percent", "p90_percent") if k in v}
            for split, v in c.items()
            if isinstance(v, dict)
        }
        for c in curves
    }


def write_generic(kind: str) -> None:
    """Fit the typical curves of one kind and write their profile."""
    files: list[str] = []
    curves = []
    for sources, record in GENERIC[kind]():
        files += [f for f in sources if f not in files]
        curves.append(record)
        apart = record["held_out"]["leave_one_system_out"]
        print("generic", kind, *(record.get(k, "") for k in ("engine", "dtype", "kv_dtype", "kind")),
              {k: (v["median"], v["p90"]) for k, v in apart.items()}, flush=True)  # fmt: skip
    _save("generic", kind, files, curves)


def _save(system: str, kind: str, files: list[str], curves: list[dict[str, Any]]) -> None:
    source = {"repository": REPOSITORY, "commit": COMMIT, "licence": LICENCE, "files": files}
    body = {"schema_version": 1, "system": system, "source": source, "curves": curves}
    PROFILES.mkdir(exist_ok=True)
    path = PROFILES / f"{system}.{kind}.json"
    path.write_text(json.dumps(body, separators=(",", ":")) + "\n")


def write(kind: str) -> None:
    """Fit one kind on all systems and write its profiles."""
    found: dict[str, dict[str, Any]] = {}
    apart = held_out(kind)
    for system, file, record in SUITES[kind]():
        key = (system, *(record.get(name, "") for name in NAMED[1:]))
        record["held_out"] = apart.get(key, {})
        profile = found.setdefault(system, {"files": [], "curves": []})
        if file not in profile["files"]:
            profile["files"].append(file)
        profile["curves"].append(record)
        print(kind, system, *(record.get(k, "") for k in ("engine", "dtype", "kv_dtype", "kind")),
              record["fit_error"], flush=True)  # fmt: skip
    for system, profile in found.items():
        _save(system, kind, profile["files"], profile["curves"])


def main() -> None:
    """Write the kinds named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[[], *SUITES], default=[])
    for kind in parser.parse_args().kinds or SUITES:
        write(kind)
        write_generic(kind)


if __name__ == "__main__":
    main()
