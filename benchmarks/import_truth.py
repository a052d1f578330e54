"""Import one run of known token times from the files of every tool, and measure the difference.

    python benchmarks/import_truth.py

Writes ``benchmarks/results/import_truth.json``: for each tool and metric the largest difference
from the truth over all requests, milliseconds, and the largest between any two tools. The files are
made by ``tests/data/formats/exports.py`` in each tool's exact shape.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "data" / "formats"))

from exports import GIVEN, PER_REQUEST, Request, good, run  # noqa: E402

from lengthwise.data.importing import import_table  # noqa: E402

OUT = ROOT / "benchmarks" / "results" / "import_truth.json"
METRICS = ("ttft_ms", "tpot_ms", "e2e_ms", "itl_mean_ms")
REQUESTS = 2000
LIMIT_MS = 1e-3
"""Unix seconds in a double are 0.24 us apart, so no file can be more exact than that."""


def truth(requests: list[Request]) -> pd.DataFrame:
    def ms(values: list[float | None]) -> list[float]:
        return [np.nan if value is None else value * 1e3 for value in values]

    done = good(requests)
    return pd.DataFrame({
        "ttft_ms": ms([r.ttft for r in done]), "tpot_ms": ms([r.tpot for r in done]),
        "e2e_ms": ms([r.e2e for r in done]), "itl_mean_ms": ms([r.itl_mean for r in done]),
    })  # fmt: skip


def largest(a: pd.Series, b: pd.Series) -> float | None:
    both = (a - b).abs()
    if (a.isna() != b.isna()).any():
        raise SystemExit("one of two tools lacks a value the other has")
    return None if both.isna().all() else float(both.max())


def main() -> int:
    requests = run(n=REQUESTS, failed=20)
    wanted, tables = truth(requests), {}
    with tempfile.TemporaryDirectory() as folder:
        for name, save in PER_REQUEST.items():
            path = Path(folder, "result")
            path.write_text(save(requests))
            tables[name], report = import_table(path, constants=GIVEN.get(name))
            assert report.format == name
    from_truth = {
        name: {m: largest(table[m], wanted[m]) for m in METRICS if m in table}
        for name, table in tables.items()
    }
    between = {
        metric: max(
            largest(a[metric], b[metric]) or 0.0
            for a in tables.values() for b in tables.values() if metric in a and metric in b
        )
        for metric in METRICS
    }  # fmt: skip
    worst = max(value for found in from_truth.values() for value in found.values() if value)
    result = {
        "what": "largest difference over all requests after import, ms",
        "requests": len(wanted), "failed_left_out": REQUESTS - len(wanted),
        "from_truth_ms": from_truth, "between_any_two_tools_ms": between,
        "limit_ms": LIMIT_MS, "holds": bool(max(worst, *between.values()) <= LIMIT_MS),
    }  # fmt: skip
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
