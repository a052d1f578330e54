"""``lengthwise measure ENGINE``: a sweep in this process."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lengthwise.errors import NothingUsableError
from lengthwise.interfaces.cli.common import disk_errors, log, print_json, print_table
from lengthwise.interfaces.cli.guard import tell_run
from lengthwise.interfaces.cli.interrupts import last_words, saving
from lengthwise.interfaces.cli.live import Live
from lengthwise.interfaces.cli.measure_run import MeasuredRun
from lengthwise.interfaces.cli.outputs import INTERRUPTED, wrote
from lengthwise.units import counted, format_tokens

if TYPE_CHECKING:
    import pandas as pd

    from lengthwise.measurement.engine import Engine, EngineOptions
    from lengthwise.measurement.plan import Plan
    from lengthwise.measurement.sweep import SweepResult


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

    asked = {"engine": name, "plan": asdict(plan), "options": asdict(engine)}
    run = MeasuredRun(options.output, asked, resume=options.resume)
    if options.resume and not options.dry_run:
        kept = run.into.rows()
        if len(_visits(kept)) == plan.count:
            return _nothing_left(kept, run, plan.count, engine.threads, options)
    log(f"loading {engine.model} in {name}")
    opened = open_engine(name, engine)
    try:
        opened.labels = {**opened.labels, **options.labels}
        if options.dry_run:
            return _dry_run(opened, plan, options)
        return _run(opened, plan, run, engine.threads, options)
    finally:
        opened.close()


def _run(
    engine: Engine, plan: Plan, run: MeasuredRun, threads: int, options: SweepOptions
) -> int:  # fmt: skip
    from lengthwise.measurement.run_directory import STEPS
    from lengthwise.measurement.sweep import run_sweep

    facts = {"labels": dict(engine.labels), "notes": dict(engine.notes)}
    with disk_errors(run.into.path):
        kept = run.into.rows() if options.resume else []
        if options.resume:
            run.check_same({"labels": facts["labels"]}, remedy="use the same versions and --set")
            run.into.keep(kept)
        there = f"{len(_visits(kept))} of {plan.count} visits are there"
        run.begin(facts, (STEPS,), there=there)
    show = Live(options.quiet)
    tell_run(run.output, run.into.path)
    with last_words(lambda: rescue(run.output, run.into.path)):
        result = run_sweep(engine, plan, into=run.into, budget_s=options.budget_s, show=show)
    show.end()
    with saving() if result.status == "interrupted" else nullcontext():
        return _finish(result, run, threads, options)


def _visits(rows: list[dict[str, Any]]) -> set[int]:
    return {row["visit"] for row in rows}


def _nothing_left(
    kept: list[dict[str, Any]], run: MeasuredRun, visits: int, threads: int, options: SweepOptions
) -> int:
    """Give table and summary of a run that has every visit, without loading the engine."""
    from lengthwise.measurement.sweep import SweepResult

    log(f"nothing is left to measure: all {visits} visits are there")
    with disk_errors(run.into.path):
        run.into.keep(kept)
    return _finish(SweepResult(kept), run, threads, options)


def _finish(result: SweepResult, run: MeasuredRun, threads: int, options: SweepOptions) -> int:
    from lengthwise.measurement.quality import summary_of

    if result.status == "interrupted" and not result.rows:
        raise KeyboardInterrupt
    if not result.rows:
        raise result.problem or NothingUsableError("a sweep must measure something",
                                                   got="no finished step")  # fmt: skip
    table = _table_of(result.rows)
    summary = {"status": result.status, **summary_of(table, threads)}
    with disk_errors(run.into.path):
        run.end(table, summary, summary["points"], {"status": result.status})
    if options.as_json:
        print_json(run.files() | summary)
    else:
        _print(table, summary, run)
    return _exit_code(result)


def _table_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    from lengthwise.data.table import prepare

    return prepare(pd.DataFrame(rows).drop(columns=["visit_rows"]))


def rescue(output: Path, run: Path) -> None:
    """Write the table of the whole visits of a run, and that it was interrupted.

    For an engine that does not come back in time; the run directory has every whole visit.
    """
    from lengthwise.data.table import write_table
    from lengthwise.measurement.run_directory import RunDirectory

    into = RunDirectory(run)
    rows = into.rows()
    into.write_manifest({**into.manifest(), "status": "interrupted", "rows": len(rows)})
    if not rows:
        log(f"interrupted: {output} was not written")
        return
    write_table(_table_of(rows), output)
    wrote(output, counted(len(rows), "row"))
    log("interrupted: what was measured is kept; go on with --resume")


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


def _print(table: pd.DataFrame, summary: dict[str, Any], run: MeasuredRun) -> None:
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
    run.say_written()
    log(f"next: lengthwise fit {run.output} -o law.json")


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
