"""Join the events of measure_settings.sh into the table that ships with the package.

    python assemble_settings.py MEASURED OUT_DIR

Writes ``settings_cpu.parquet`` and ``settings_cpu.manifest.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd

ENGINES = ("transformers", "llamacpp")
DROPPED = ("client_ms", "top_k", "query_len", "cached_tokens", "clock", "anchor", "cpu_mhz", "tp")
"""Constant, or told by the other columns."""
DIGITS = {"latency_ms": 4, "cpu_ms": 4, "timestamp": 3, "memory_used_mib": 0,
          "cpu_util_percent": 0, "load_pressure": 1}  # fmt: skip
WHAT = "tokens of small random models at varied settings, transformers and llama.cpp, one thread"
KEPT = ("started", "asked", "varied", "loads")


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    table = pd.concat(
        [pd.read_parquet(folder / engine / "events.parquet") for engine in ENGINES],
        ignore_index=True,
    )
    table = table.drop(columns=[c for c in DROPPED if c in table]).round(DIGITS)
    for name in ("isl", "batch_size", "context_len", "output_index", "repeat", "request"):
        table[name] = table[name].astype("int32")
    table["source"] = "lengthwise/own-settings-cpu"
    path = out / "settings_cpu.parquet"
    table.to_parquet(
        path,
        index=False,
        compression="zstd",
        compression_level=19,
        use_dictionary=[c for c in table if c not in ("latency_ms", "cpu_ms")],
    )
    manifest = {"schema_version": 1, "what": WHAT, "rows": len(table), "studies": {}}
    for engine in ENGINES:
        run = json.loads((folder / engine / "events.manifest.json").read_text())
        manifest["machine"] = {**run["machine"], "versions": {
            **manifest.get("machine", {}).get("versions", {}), **run["machine"]["versions"]
        }}  # fmt: skip
        mine = table[table["engine"] == run["loads"][0]["labels"]["engine"]]
        manifest["studies"][engine] = {name: run[name] for name in KEPT} | {
            "rows": len(mine),
            "wall_over_cpu": round(float((mine["latency_ms"] / mine["cpu_ms"]).median()), 4),
            "load1": round(float(mine["load1"].median()), 2),
            "load_pressure_percent": round(float(mine["load_pressure"].median()), 1),
        }
    (out / "settings_cpu.manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(len(table), "rows", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
