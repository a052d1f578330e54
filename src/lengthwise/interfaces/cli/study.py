"""``lengthwise study``: repeat published protocols on measurements of one's own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lengthwise.data.output import write_text
from lengthwise.data.output_kinds import MEASUREMENTS, STUDY
from lengthwise.errors import InputError
from lengthwise.interfaces.cli.common import (
    AsJson,
    disk_errors,
    length_option,
    log,
    plain,
    print_json,
    print_table,
)
from lengthwise.interfaces.cli.outputs import Force, check_folder, wrote
from lengthwise.interfaces.cli.study_measure import EVENTS, Asked, engines, is_engine, measured

if TYPE_CHECKING:
    import pandas as pd

    from lengthwise.evaluation.per_token import PerTokenStudy

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Repeat published protocols on measurements of your own.",
)

Features = Literal["lengths", "known", "system"]
OutputFolder = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="Folder for study.json and predictions.csv."),
]


@app.callback()
def main() -> None:
    """Repeat published protocols on measurements of your own."""


@app.command("per-token")
def per_token(
    table: Annotated[
        str, typer.Argument(help="Measurement table, or an engine to measure with first.")
    ],
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    features: Annotated[
        Features,
        typer.Option(
            help="Features beside the two lengths: lengths (none), known (before the step), "
            "system (also measured while it ran)."
        ),
    ] = "system",
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Leave out non-linear regressors and what each group of features buys."
        ),
    ] = False,
    max_events: Annotated[
        int, typer.Option(help="Events per model and machine; beyond, whole requests are drawn.")
    ] = 5000,
    isl: Annotated[str, typer.Option(help="Engine: prompt tokens, as 16-1024*2.")] = "16-1024*2",
    osl: Annotated[int, length_option("Engine: tokens generated per prompt.")] = 32,
    batch: Annotated[str, typer.Option(help="Engine: prompts in a step, as 1,2,4.")] = "1",
    prompts: Annotated[
        int, typer.Option(help="Engine: repeats of every length, batch and setting.")
    ] = 4,
    model: Annotated[str | None, typer.Option(help="Engine: model, as for measure.")] = None,
    engine_set: Annotated[
        list[str] | None, typer.Option("--engine-set", help="Engine: NAME=VALUE of its own.")
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary", help="Engine: NAME=A,B,... of its own, precision (quantisation) or threads."
        ),
    ] = None,
    as_json: AsJson = False,
    output: OutputFolder = None,
    force: Force = False,
) -> None:
    """Run the protocol of the per-token latency thesis on a table of token events.

    Ridge on input length and context size, a random fifth of the events held out, MAE and RMSE;
    beside it the linear law, ours and non-linear regressors, on held-out requests and lengths too;
    where the error comes from; what each group of features buys.

    The table has a prefill or decode row per token, with output_index (0 for the first token). An
    engine (openvino, llamacpp, transformers) is measured first, prompt by prompt, warm-up included;
    --vary measures every combination of settings, each setting a column.

    lengthwise study per-token events.parquet -o study

    lengthwise study per-token transformers --engine-set loop=thesis --isl 16-512*2

    lengthwise study per-token transformers --vary beams=1,2,4 --vary precision=f32,bf16 -o study

    lengthwise study per-token llamacpp --vary quantisation=f16,q8_0,q4_0 --batch 1,2,4 -o study
    """
    from lengthwise.evaluation.per_token import per_token_study

    check_folder(output, r"study\.json|predictions\.csv", STUDY, inputs=[table], force=force)
    if is_engine(table):
        check_folder(output, re.escape(EVENTS), MEASUREMENTS, force=force)
    if seed < 0:
        raise InputError("seed must not be negative", got=f"{seed}", remedy="write --seed 0")
    events: Path | pd.DataFrame = Path(table)
    if is_engine(table):
        asked = Asked(table, isl, osl, batch, prompts, model, engine_set or [], vary or [], seed)
        events = measured(asked, output)
    elif vary:
        raise InputError("--vary measures an engine, and a table is measured already",
                         got=f"{table} and --vary {vary[0]}",
                         remedy=f"name one of {', '.join(engines())}")  # fmt: skip
    study = per_token_study(
        events, seed=seed, features=features, quick=quick, max_events=max_events, progress=log
    )
    if output is not None:
        _write(study, output)
    if as_json:
        print_json(study.to_dict())
    else:
        show(study)


def show(study: PerTokenStudy) -> None:
    """Print a study."""
    from lengthwise.evaluation.per_token.remarks import remarks
    from lengthwise.evaluation.per_token.tables import tables_of

    for subject in study.subjects:
        for one in tables_of(subject):
            print_table(one.columns, one.rows, title=one.title)
            print()
        for line in remarks(subject):
            print(line)
        print()
    print(
        "The thesis's figures are its own (Mistral-7B-Instruct-v0.3, 8 bit, GPU not named) and "
        "stand for reference only."
    )


def _write(study: PerTokenStudy, folder: Path) -> None:
    import pandas as pd

    from lengthwise.data.files import write_table

    parts: list[Any] = [s.predictions.assign(subject=s.events.name) for s in study.subjects]
    content = {"kind": "lengthwise-study", **plain(study.to_dict())}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "study.json", text + "\n")
    write_table(pd.concat(parts, ignore_index=True), folder / "predictions.csv")
    wrote(folder, "study.json and predictions.csv")
