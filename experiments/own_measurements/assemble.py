"""Join the sweeps of measure_cpu.sh into the tables that ship with the package.

    python assemble.py SWEEPS OUT_DIR

Writes ``NAME_cpu.parquet`` and ``NAME_cpu.manifest.json`` for llamacpp, transformers, chunked and
mixed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd

KINDS = {
    "llamacpp": "step times of llama.cpp's server by its own clock, one thread",
    "transformers": "step times of transformers on torch, one thread",
    "chunked": "steps of prompts prefilled in chunks, openvino-genai and llama.cpp, one thread",
    "mixed": "steps of openvino-genai that mix a chunk of a prompt with running decodes, one thread",
}
DROPPED = ("visit", "timestamp")


def main() -> None:
    sweeps, out = Path(sys.argv[1]), Path(sys.argv[2])
    for kind, what in KINDS.items():
        files = sorted(sweeps.glob(f"{kind}-*.parquet"))
        table = pd.concat([pd.read_parquet(f) for f in files], ignore_index=True)
        table = table.drop(columns=[c for c in DROPPED if c in table])
        times = [c for c in ("latency_ms", "cpu_ms", "client_ms") if c in table]
        table[times] = table[times].round(4)
        table["source"] = f"lengthwise/own-{kind}-cpu"
        table.to_parquet(out / f"{kind}_cpu.parquet", index=False)
        manifest = {"schema_version": 1, "what": what, "rows": len(table), "sweeps": {}}
        for file in files:
            run = json.loads((file.with_suffix(".run") / "run.json").read_text())
            summary = json.loads((file.with_suffix(".run") / "summary.json").read_text())
            manifest["machine"] = run["machine"]
            manifest["sweeps"][file.stem] = {
                "date": run["started"][:10],
                "engine": run["engine"],
                "labels": run["labels"],
                "settings": {k: v for k, v in run["options"].items() if k != "folder"},
                "repeats": run["plan"]["repeats"],
                "shapes": len(run["plan"]["shapes"]),
                **{
                    k: summary[k]
                    for k in ("rows", "spread_percent", "wall_over_cpu", "drift_percent")
                },
            }
        (out / f"{kind}_cpu.manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        print(kind, len(table), "rows", (out / f"{kind}_cpu.parquet").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
