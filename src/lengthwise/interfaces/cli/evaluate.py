"""``lengthwise evaluate``: score formulations on points they have not seen."""

from __future__ import annotations

import json
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lengthwise.data.output import is_stream, write_text
from lengthwise.data.output_check import partial_path
from lengthwise.data.output_kinds import SCORES
from lengthwise.errors import InputError, MissingExtraError, NothingUsableError
from lengthwise.interfaces.cli.common import (
    AsJson,
    Output,
    TableFile,
    log,
    plain,
    print_json,
    print_table,
)
from lengthwise.interfaces.cli.evaluation_text import (
    ABLATION,
    SUMMARY,
    TITLES,
    ablation_rows,
    group_rows,
    remarks,
    summary_rows,
)
from lengthwise.interfaces.cli.interrupts import saving
from lengthwise.interfaces.cli.outputs import (
    INTERRUPTED,
    Force,
    check_output,
    partly_wrote,
    wrote,
)
from lengthwise.interfaces.cli.progress import Quiet, fits_shown
from lengthwise.units import counted

if TYPE_CHECKING:
    from lengthwise.evaluation.ablation import AblationResult
    from lengthwise.evaluation.result import EvaluationResult

SplitName = Literal["length", "random", "batch", "deployment", "hardware"]

BOOSTED = ("lightgbm", "xgboost")
"""Formulations, and the packages of the same names that they need."""
DEFAULT = "hachiya-patias,linear,power,cubic-ols,gradient-boosting"


def command(
    table: TableFile,
    split: Annotated[SplitName, typer.Option(help="What is held out.")] = "length",
    factor: Annotated[
        float, typer.Option(help="Extrapolation factor of the length and batch splits.")
    ] = 4.0,
    formulations: Annotated[
        str | None,
        typer.Option(help=f"Names with commas between, or all. Default: {DEFAULT}."),
    ] = None,
    ablation: Annotated[
        bool,
        typer.Option(
            "--ablation", help="Switch E1, E2 and E3 on one by one instead, random and length."
        ),
    ] = False,
    level: Annotated[float, typer.Option(help="Coverage asked of the intervals.")] = 0.9,
    metric: Annotated[
        str, typer.Option(help="Score to rank by: mape, median_ape, rmse_ms, spearman, ...")
    ] = "mape",
    max_mape: Annotated[
        float | None,
        typer.Option(help="Exit with 3 if the first formulation's median MAPE is above this, %."),
    ] = None,
    per_deployment: Annotated[
        bool, typer.Option("--per-deployment", help="Show each deployment and phase.")
    ] = False,
    alone: Annotated[
        bool, typer.Option("--alone", help="Fit each deployment without the others.")
    ] = False,
    per_row: Annotated[
        bool, typer.Option("--per-row", help="Test every row, not the median of repeats.")
    ] = False,
    folds: Annotated[int, typer.Option(help="Folds of the random split.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the random split.")] = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
    output: Output = None,
    force: Force = False,
) -> None:
    """Score formulations on points they have not seen, per deployment and overall.

    The median over deployments of the mean absolute percentage error (MAPE) comes with its 95 %
    bootstrap interval; noise is how far repeats of one point lie from their median. What an
    interrupted run has goes to NAME.partial.json.

    lengthwise evaluate table.parquet --split length --factor 4

    lengthwise evaluate table.csv --split random --formulations linear,power --max-mape 10
    """
    from lengthwise.data.table import load

    check_output(output, SCORES, inputs=[table], force=force, as_json=as_json)
    if ablation:
        _refuse_with_ablation(
            formulations=formulations, max_mape=max_mape,
            metric=None if metric == "mape" else metric, per_deployment=per_deployment or None,
        )  # fmt: skip
        options = {"factor": factor, "level": level, "pooled": not alone, "per_row": per_row,
                   "folds": folds, "seed": seed, "progress": fits_shown(quiet)}  # fmt: skip
        _run_ablation(load(table), options, as_json, output)
        return
    from lengthwise.evaluation.gates import check_max_mape, check_threshold
    from lengthwise.evaluation.protocol import evaluate
    from lengthwise.evaluation.result import check_metric

    check_metric(metric)
    if max_mape is not None:
        check_threshold(max_mape)
    result = evaluate(
        load(table), split=split, factor=factor, formulations=_names(formulations or DEFAULT),
        level=level, pooled=not alone, per_row=per_row, folds=folds, seed=seed,
        progress=fits_shown(quiet),
    )  # fmt: skip
    content = _kept(result, output)
    if as_json:
        print_json(content)
    else:
        _show(result, metric, per_deployment)
    _end_if(result.partial)
    if max_mape is not None:
        check_max_mape(result, max_mape)
    if not len(result.points):
        reasons = "; ".join(sorted({failure.reason for failure in result.failures}))
        raise NothingUsableError(
            "at least one formulation must fit and predict", got=reasons,
            remedy="measure more lengths, or choose simpler formulations",
        )  # fmt: skip


def _show(result: EvaluationResult, metric: str, per_deployment: bool) -> None:
    title = TITLES[result.split].format(factor=result.factor or 0)
    columns = SUMMARY if metric in ("mape", "mape_percent") else (*SUMMARY, metric)
    held_out = counted(sum(result.expected.values()), "held-out point")
    what = f"{counted(len(result.expected), 'group')}, {held_out}"
    print_table(columns, summary_rows(result, metric), title=f"{what}: {title}")
    if per_deployment:
        print_table(*group_rows(result), title="MAPE % of each deployment and phase")
    for line in remarks(result):
        print(line)


def _run_ablation(table: Any, options: dict[str, Any], as_json: bool, output: Path | None) -> None:
    from lengthwise.evaluation.ablation import ablation

    result = ablation(table, **options)
    content = _kept(result, output)
    if as_json:
        print_json(content)
    else:
        title = f"What each term buys in range and {options['factor']:g} times beyond"
        print_table(ABLATION, ablation_rows(result), title=title)
        both = [line for side in result.sides.values() for line in remarks(side, worst=False)]
        for line in dict.fromkeys(both):
            print(line)
    _end_if(result.partial)


def _end_if(partial: bool) -> None:
    if partial:
        log("interrupted: the figures above cover only what was done")
        raise typer.Exit(INTERRUPTED)


def _refuse_with_ablation(**options: Any) -> None:
    for name, value in options.items():
        if value is not None:
            flag = "--" + name.replace("_", "-")
            raise InputError(
                f"--ablation compares the terms of one family and takes no {flag}",
                got=f"{flag} {value}", remedy=f"run it once with --ablation, once with {flag}",
            )  # fmt: skip


def _names(text: str) -> tuple[str, ...]:
    from lengthwise.formulations.registry import names

    if text.strip() == "all":
        absent = [name for name in BOOSTED if find_spec(name) is None]
        if absent:
            remedy = MissingExtraError(absent[0], "boosting").remedy
            log(f"note: without {' and '.join(absent)}: {remedy}")
        return tuple(name for name in names() if name not in absent)
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _kept(
    result: EvaluationResult | AblationResult, output: Path | None
) -> dict[str, Any]:  # fmt: skip
    """Write an evaluation, beside the output when it is partial; return what was written."""
    with saving() if result.partial else nullcontext():
        return _write(result.to_dict(), output, partial=result.partial)


def _write(value: dict[str, Any], output: Path | None, *, partial: bool) -> dict[str, Any]:
    content = {"kind": "lengthwise-evaluation", **plain(value)}
    if output is None:
        return content
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if partial and not is_stream(output):
        write_text(partial_path(output), text)
        partly_wrote(output)
    else:
        write_text(output, text)
        wrote(output)
    return content
