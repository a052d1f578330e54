"""Run accuracy suites and write one JSON each to ``benchmarks/results``.

    LENGTHWISE_DATA=... python benchmarks/accuracy.py [SUITE ...] [--formulations NAME ...]

Without names all suites run (about 15 CPU minutes, nearly all of it the learned baselines). With
``--formulations`` only these run again, and the others' figures stay as they are: nothing but their
own code and the data enters them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from suites import SUITES, Suite

from lengthwise.evaluation.protocol import evaluate
from lengthwise.evaluation.result import EvaluationResult

RESULTS = Path(__file__).parent / "results"
GROUP_SCORES = ("mape_percent", "bias_percent", "coverage", "median_width_percent")
OVERALL = (
    "groups", "failed_groups", "points", "mape_percent", "mape_lo_percent", "mape_hi_percent",
    "worst_mape_percent", "worst_group", "pooled_mape_percent", "bias_percent", "spearman",
    "pooled_coverage", "median_width_percent", "noise_percent",
)  # fmt: skip


def run(suite: Suite, formulations: tuple[str, ...]) -> dict[str, Any]:
    """Evaluate one suite and keep what the tables need."""
    result = evaluate(
        suite.table(), split=suite.split, factor=suite.factor, formulations=formulations
    )
    return {
        "title": suite.title,
        "split": suite.split,
        "factor": suite.factor if suite.split in ("length", "batch") else None,
        "level": result.level,
        "overall": {r["formulation"]: _round(r, OVERALL) for r in result.to_dict()["overall"]},
        "groups": _groups(result),
        "failures": sorted({f"{f.formulation}: {f.group}: {f.reason}" for f in result.failures}),
        "skipped": sorted({f"{s.group}: {s.reason}" for s in result.skipped}),
    }


def _groups(result: EvaluationResult) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for row in result.to_dict()["groups"]:
        group = out.setdefault(row["group"], {"points": row["points"]})
        group[row["formulation"]] = _round(row, GROUP_SCORES)
    return out


def _round(row: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {k: round(row[k], 3) if isinstance(row[k], float) else row[k] for k in keys}


def merged(kept: dict[str, Any], found: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Replace the figures of some formulations in a committed result.

    The order of formulations in the file stays, and so do failures of the others.
    """
    overall = kept["overall"] | found["overall"]
    groups = {g: kept["groups"].get(g, {}) | new for g, new in found["groups"].items()}
    others = [f for f in kept["failures"] if f.split(":")[0] not in names]
    return found | {
        "overall": overall, "groups": groups, "failures": sorted({*others, *found["failures"]}),
    }  # fmt: skip


def main() -> None:
    """Run the suites named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", choices=[[], *SUITES], default=[])
    parser.add_argument("--formulations", nargs="+", default=None, metavar="NAME")
    asked = parser.parse_args()
    for name in asked.suites or SUITES:
        suite, path = SUITES[name], RESULTS / f"{name}.json"
        some = tuple(f for f in suite.formulations if f in (asked.formulations or [f]))
        found = run(suite, some)
        if len(some) < len(suite.formulations):
            found = merged(json.loads(path.read_text()), found, some)
        RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")
        line = ", ".join(
            f"{f} {r['mape_percent']} (worst {r['worst_mape_percent']}, "
            f"covered {r['pooled_coverage']})"
            for f, r in found["overall"].items()
        )
        print(f"{name}: {line}", flush=True)


if __name__ == "__main__":
    main()
