"""Every simple formula and the law itself on public curves of latency against length.

    LENGTHWISE_DATA=... python benchmarks/field.py
    LENGTHWISE_DATA=... python benchmarks/field.py --only minference --kinds prompt
    LENGTHWISE_DATA=... python benchmarks/field.py --ablation

The first writes ``benchmarks/results/field.json``, the last, of the law without each of its parts,
``field_ablation.json``; a selection only prints. Laws are fitted to one
curve at a time. What the default law has learnt from public curves is taken without the source
that it is judged on.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing import Pool
from typing import Any

import field_ablation as ablation
import field_clean as clean
import numpy as np
from field_alone import Alone
from field_protocol import TESTS, Curve, Score, cases_of, curves_of, score
from field_summary import check, intervals, summary
from results_files import RESULTS

from lengthwise.calibration.lawset import OWN, LawSet
from lengthwise.calibration.learned import learned
from lengthwise.data import datasets
from lengthwise.evaluation.estimator import Estimator

SOURCES = ("ik_llama_sweep_bench", "ds4_speed_bench", "minference", "krisdcosta_edge",
           "turboquant_plus")  # fmt: skip
KINDS = ("prompt", "chunk", "decode")
SIMPLE = ("linear", "linear-plain", "quadratic", "quadratic-plain", "power", "blend")
FORMULATIONS = (OWN, *SIMPLE, "shifted-power")


def law_for(name: str, source: str | None) -> Estimator:
    """Construct the law to be judged on a source (None: on data of no source)."""
    return LawSet(name, **learned_without(source)) if name == OWN else Alone(name)


def learned_without(source: str | None) -> dict[str, Any]:
    """Return the option of a law that has learnt from every source but this one."""
    return {"learned": learned(without=source)}


def named_points(law: Estimator) -> tuple[int, ...]:
    """Return the positions, by length, of the times that the law of a curve calls spoilt."""
    (fitted,) = getattr(law, "laws_", {"": None}).values()
    return tuple(getattr(fitted, "spoilt", ()))


def judge(curve: Curve, formulations: tuple[str, ...]) -> list[Score]:
    """Score all cases of one curve."""
    return [
        score(curve, case, name, law_for(name, curve.source), named_points)
        for case in cases_of(curve)
        for name in formulations
    ]


def judge_clean(name: str, shape: str) -> list[float]:
    """Return the errors of one formulation on the clean tables of one shape."""
    return [clean.error_percent(law_for(name, None), *t) for t in clean.tables(shape)]


def corpus(sources: tuple[str, ...], kinds: tuple[str, ...]) -> Iterator[Curve]:
    """Read the curves of some sources and kinds."""
    for source in sources:
        for curve in curves_of(source, datasets.table(source)):
            if curve.kind in kinds:
                yield curve


def run(curves: list[Curve], formulations: tuple[str, ...], processes: int) -> dict[str, Any]:
    """Judge every formulation on every curve."""
    with Pool(processes) as pool:
        parts = pool.map(partial(judge, formulations=formulations), curves, chunksize=4)
    found = sorted((s for part in parts for s in part), key=lambda s: TESTS.index(s.test))
    table = summary(found)
    return {
        "formulations": list(formulations), "simple": list(SIMPLE), "errors": table,
        "intervals": intervals(found), "check": check(table, OWN, SIMPLE),
        "failures": sorted({f"{s.formulation}: {s.curve.name}: {s.failed}" for s in found
                            if s.failed}),
    }  # fmt: skip


def run_clean(formulations: tuple[str, ...], processes: int) -> dict[str, Any]:
    """Judge every formulation on tables whose truth is known."""
    jobs = [(name, shape) for shape in clean.SHAPES for name in formulations]
    with Pool(processes) as pool:
        errors = pool.starmap(judge_clean, jobs, chunksize=1)
    found: dict[str, Any] = {shape: {} for shape in clean.SHAPES}
    for (name, shape), values in zip(jobs, errors, strict=True):
        found[shape][name] = clean.figures(np.array(values))
    return found


def print_table(found: dict[str, Any]) -> None:
    """Print medians and 90th percentiles, sources in rows."""
    for test, kinds in found["errors"].items():
        for kind, part in kinds.items():
            print(f"{test}, {kind}: median / 90th percentile of the MAPE, %")
            print(f"{'':22s} {'curves':>6s}", *(f"{n:>16s}" for n in found["formulations"]))
            for source, s in part["sources"].items():
                print(f"{source:22s} {s['curves']:6d}", *_cells(s["formulations"], found))
            print(f"{'average of sources':22s} {'':6s}", *_cells(part["average"], found))


def _cells(by: dict[str, Any], found: dict[str, Any]) -> list[str]:
    pairs = [(by[n]["median"], by[n]["p90"]) for n in found["formulations"]]
    return [f"{a} / {b}".rjust(16) for a, b in pairs]


def write(name: str, found: dict[str, Any]) -> None:
    """Write the figures of a whole run."""
    (RESULTS / name).write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    """Run everything and write it, or print a selection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SOURCES, default=SOURCES, metavar="SOURCE")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--formulations", nargs="+", default=FORMULATIONS, metavar="NAME")
    parser.add_argument("--ablation", action="store_true", help="the law without each of its parts")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    asked = parser.parse_args()
    sources, kinds, names = (tuple(v) for v in (asked.only, asked.kinds, asked.formulations))
    started = time.time()
    curves, whole = list(corpus(sources, kinds)), (sources, kinds) == (SOURCES, KINDS)
    if asked.ablation:
        found = ablation.run(curves, asked.processes)
    else:
        found = run(curves, names, asked.processes)
    print_table(found)
    if asked.ablation and whole:
        write("field_ablation.json", found)
    elif whole and names == FORMULATIONS:
        found["clean"] = run_clean(names, asked.processes)
        write("field.json", found)
    print(f"{time.time() - started:.0f} s with {asked.processes} processes")


if __name__ == "__main__":
    main()
