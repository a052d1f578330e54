"""``lengthwise measure ENGINE``: a sweep in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lengthwise.errors import InputError, NothingUsableError
from lengthwise.interfaces.cli.common import disk_errors, log, plain, print_json, print_table
from lengthwise.interfaces.cli.live import Live
from lengthwise.units import format_tokens

if TYPE_CHECKING:
    import pandas as pd

    from lengthwise.measurement.engine import Engine, EngineOptions
    from lengthwise.measurement.plan import Plan
    from lengthwise.measurement.run_directory import RunDirectory
    from lengthwise.measurement.sweep import SweepResult

INTERRUPTED = 130


@dataclass(frozen=True)
class SweepOptions:
    """What the command line asked of a sweep."""

    output: Path
    budget_s: float | None
    labels: Mapping[str, str]
    resume: bool
    dry_run: bool
    quiet: bool
    as_json: bool


def measure_engine(name: str, engine: EngineOptions, plan: Plan, options: SweepOptions) -> int:
    """Open an engine, run a sweep, write table and run directory; give the exit code."""
    from lengthwise.measurement.engines import open_engine
    from lengthwise.measurement.run_directory import RunDirectory

    into = RunDirectory(options.output.with_suffix(".run"))
    asked = {"engine": name, "options": plain(asdict(engine)), "plan": plain(asdict(plan))}
    if options.resume:
        asked = _resumed(into, asked)
    log(f"loading {engine.model} in {name}")
    opened = open_engine(name, engine)
    try:
        opened.labels = {**opened.labels, **options.labels}
        if options.dry_run:
            return _dry_run(opened, plan, options)
        return _run(opened, plan, into, asked, engine.threads, options)
    finally:
        opened.close()


def _run(
    engine: Engine, plan: Plan, into: RunDirectory, asked: dict[str, Any], threads: int,
    options: SweepOptions,
) -> int:  # fmt: skip
    from lengthwise.measurement.machine import describe, pressure
    from lengthwise.measurement.sweep import run_sweep

    manifest = {
        "command": " ".join(sys.argv), "status": "running",
        "started": datetime.now(UTC).isoformat(timespec="seconds"), **asked,
        "labels": dict(engine.labels), "notes": dict(engine.notes), "machine": describe(),
        "cpu_pressure_percent": pressure(), "output": options.output.name,
    }  # fmt: skip
    with disk_errors(into.path):
        if options.resume:
            kept = into.rows()
            into.keep(kept)
            log(f"resuming: {len({r['visit'] for r in kept})} of {plan.count} visits are there")
        else:
            into.start(manifest)
    show = Live(options.quiet)
    result = run_sweep(engine, plan, into=into, budget_s=options.budget_s, show=show)
    show.end()
    return _finish(result, into, manifest, threads, options)


def _finish(
    result: SweepResult, into: RunDirectory, manifest: dict[str, Any], threads: int,
    options: SweepOptions,
) -> int:  # fmt: skip
    import pandas as pd

    from lengthwise.data.table import prepare, write_table
    from lengthwise.measurement.quality import summary_of

    if not result.rows:
        raise result.problem or NothingUsableError("a sweep must measure something",
                                                   got="no finished step")  # fmt: skip
    table = prepare(pd.DataFrame(result.rows).drop(columns=["visit_rows"]))
    summary = {"status": result.status, **summary_of(table, threads)}
    with disk_errors(into.path):
        write_table(table, options.output)
        into.write_manifest(manifest | {"status": result.status, "rows": len(table)})
        into.write_text("summary.json", json.dumps(plain(summary), indent=1) + "\n")
        into.write_text("summary.csv", pd.DataFrame(summary["points"]).to_csv(index=False))
    if options.as_json:
        print_json({"output": str(options.output), "run": str(into.path), **summary})
    else:
        _print(table, summary, options, into)
    return _exit_code(result)


def _exit_code(result: SweepResult) -> int:
    if result.status == "interrupted":
        log("interrupted: what was measured is kept; go on with --resume")
        return INTERRUPTED
    if result.problem is not None:
        log(f"error: {result.problem}")
        log("the sweep ended early: what was measured is kept; go on with --resume")
        return 1
    if result.status == "budget":
        log("the budget is used up; every point was visited at least once")
    return 0


def _print(
    table: pd.DataFrame, summary: dict[str, Any], options: SweepOptions, into: RunDirectory
) -> None:
    points = summary["points"]
    prefixes = any(point.get("cached_tokens") for point in points)
    rows = [_line(point, prefixes) for point in points]
    labels = table.iloc[0]
    print_table(
        ["phase", "tokens", *(["cached"] if prefixes else []), "batch", "median ms", "range ms",
         "spread %", "n"], rows,
        title=f"{labels['model']}, {labels['engine']} {labels['precision']}, {labels['hardware']}",
    )  # fmt: skip
    for warning in summary["warnings"]:
        log(f"warning: {warning}")
    log(f"wrote {len(table):,} rows to {options.output} and the run to {into.path}")
    log(f"next: lengthwise fit {options.output} -o law.json")


def _line(point: Mapping[str, Any], prefixes: bool) -> list[str]:
    mixed = point["phase"] == "mixed"
    size = ("sum_query_len", "sum_context_len") if mixed else ("isl",)
    spread = point["spread_percent"]
    return [
        point["phase"], " of ".join(format_tokens(point[name]) for name in size),
        *([f"{point['cached_tokens']:g}"] if prefixes else []),
        f"{point['batch_size']:g}", f"{point['median_ms']:.3g}",
        f"{point['min_ms']:.3g} to {point['max_ms']:.3g}",
        "-" if spread is None or spread != spread else f"{spread:.1f}", f"{point['n']}",
    ]  # fmt: skip


def _dry_run(engine: Engine, plan: Plan, options: SweepOptions) -> int:
    from lengthwise.measurement.forecast import forecast_s

    seconds = forecast_s(engine, plan)
    if options.budget_s is not None:
        seconds = min(seconds, options.budget_s)
    found = {
        "shapes": [asdict(shape) for shape in plan.shapes], "repeats": plan.repeats,
        "visits": plan.count, "estimated_s": round(seconds, 1), "labels": dict(engine.labels),
    }  # fmt: skip
    if options.as_json:
        print_json(found)
        return 0
    print_table(
        ["prompt", "batch", "cached", "decode steps", "tokens in cache"],
        [[s.isl, s.batch_size, s.cached_tokens, s.decode_steps, s.tokens] for s in plan.shapes],
        title=f"{len(plan.shapes)} points, {plan.repeats} repeats, {plan.count} visits",
    )  # fmt: skip
    print(f"about {seconds:.0f} s (within a factor of two); nothing was written")
    return 0


def _resumed(into: RunDirectory, asked: dict[str, Any]) -> dict[str, Any]:
    """Check that the run to go on with asked for the same."""
    before = into.manifest()
    for name in ("engine", "options", "plan"):
        if before.get(name) != asked[name]:
            raise InputError(
                f"a resumed run must have the same {name}", got=f"{asked[name]}",
                remedy=f"repeat the command of {into.path / 'run.json'}, or leave --resume out",
            )  # fmt: skip
    return asked
