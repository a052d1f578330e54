"""``lengthwise predict``: times of a point, a grid of points, or a table of any size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lengthwise.data.law_files import STEP_LAW, law_kind
from lengthwise.data.output_kinds import PREDICTIONS
from lengthwise.errors import InputError, NothingUsableError
from lengthwise.interfaces.cli.common import AsJson, Output, log, print_json, print_table
from lengthwise.interfaces.cli.completion import complete_hardware, complete_model
from lengthwise.interfaces.cli.knob_options import KnobSettings, with_knobs
from lengthwise.interfaces.cli.outputs import Force, check_output, wrote
from lengthwise.interfaces.cli.predict_grid import RANGES, check_table_options, combinations
from lengthwise.interfaces.cli.predict_step import StepRequest, predict_step
from lengthwise.interfaces.cli.predict_text import columns, describe, table_rows
from lengthwise.interfaces.cli.saying import say_remarks

if TYPE_CHECKING:
    import pandas as pd

    from lengthwise.prediction.latency_law import LatencyLaw
    from lengthwise.prediction.streaming import StreamReport

Text = str | None


@with_knobs
def command(
    law: Annotated[Path | None, typer.Argument(help="Law file made by lengthwise fit.")] = None,
    phase: Annotated[
        Literal["prefill", "decode", "request"] | None,
        typer.Option(help="What is timed; follows from the lengths when left out."),
    ] = None,
    isl: Annotated[Text, typer.Option(help=f"Prompt tokens per sequence: {RANGES}.")] = None,
    osl: Annotated[Text, typer.Option(help="Output tokens per sequence.")] = None,
    context_len: Annotated[
        Text, typer.Option(help="Context of a decode step, its new token included.")
    ] = None,
    batch_size: Annotated[Text, typer.Option(help="Sequences in the step.")] = None,
    concurrency: Annotated[
        Text,
        typer.Option(
            help="Requests in flight: a load the law was measured under, or any for the step law."
        ),
    ] = None,
    request_rate: Annotated[
        float | None, typer.Option(help="Requests per second the law was measured under.")
    ] = None,
    cached_tokens: Annotated[Text, typer.Option(help="Prompt tokens already in the cache.")] = None,
    prefill_chunk: Annotated[
        Text,
        typer.Option(help="Most prompt tokens of a step, if the engine prefills in chunks."),
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="Table of points to predict (.csv, .parquet, .jsonl).")
    ] = None,
    output: Output = None,
    force: Force = False,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.9,
    allow_extrapolation: Annotated[
        bool, typer.Option("--allow-extrapolation", help="Answer at any length.")
    ] = False,
    model: Annotated[
        Text,
        typer.Option(
            help="Deployment: model; without a law a name or its config.json.",
            autocompletion=complete_model,
        ),
    ] = None,
    hardware: Annotated[
        Text,
        typer.Option(
            help="Deployment: hardware; without a law a name or a TOML file.",
            autocompletion=complete_hardware,
        ),
    ] = None,
    engine: Annotated[Text, typer.Option(help="Deployment: engine.")] = None,
    engine_version: Annotated[Text, typer.Option(help="Deployment: version of the engine.")] = None,
    precision: Annotated[Text, typer.Option(help="Deployment: precision.")] = None,
    kv_precision: Annotated[
        Text, typer.Option(help="Precision of cached keys and values (step law).")
    ] = None,
    tp: Annotated[int | None, typer.Option(help="Deployment: tensor parallel degree.")] = None,
    pp: Annotated[int | None, typer.Option(help="Deployment: pipeline parallel degree.")] = None,
    ep: Annotated[int | None, typer.Option(help="Deployment: expert parallel degree.")] = None,
    dp: Annotated[int | None, typer.Option(help="Deployment: data parallel degree.")] = None,
    settings: Annotated[
        Text, typer.Option(help="Deployment: other settings, such as n_gpu_layers=10.")
    ] = None,
    law_file: Annotated[
        Path | None, typer.Option("--law", help="Law file: another way to write the argument.")
    ] = None,
    energy: Annotated[
        bool, typer.Option("--energy", help="Add joules and watts (step law).")
    ] = False,
    as_json: AsJson = False,
    knobs: KnobSettings = None,
) -> None:
    """Predict times with intervals: a step, a request, a grid or a whole table.

    A request (isl and osl) is its prefill and the exact sum of its decode steps; with a chunk the
    prefill is the sum of its steps, which takes a law measured in such steps. Lengths over 8
    times the longest one measured are refused; the message names the measurement that would help.
    Requests measured under load answer for the loads measured only (--concurrency, --request-rate).

    lengthwise predict law.json --phase prefill --isl 65536

    lengthwise predict law.json --isl 8192 --osl 512 --batch-size 8

    lengthwise predict law.json --isl 1024-65536*2 --batch-size 1,8

    lengthwise predict law.json --isl 8192 --osl 512 --concurrency 8

    lengthwise predict law.json --table points.parquet -o out.parquet

    Without a law, or with one of the formulation step, a model and hardware are enough:

    lengthwise predict --model llama3.1-8b --hardware h100_sxm --isl 8192 --osl 512

    There, techniques are options too, such as --prefix-hit-rate 0.5 or --speculative-tokens 3;
    lengthwise explain --knobs lists them.
    """
    law = _law_of(law, law_file)
    check_output(output, PREDICTIONS, inputs=(law, table, model, hardware), force=force,
                 as_json=as_json)  # fmt: skip
    labels = {
        "model": model, "hardware": hardware, "engine": engine, "engine_version": engine_version,
        "precision": precision, "kv_precision": kv_precision, "tp": tp, "pp": pp, "ep": ep,
        "dp": dp,
    }  # fmt: skip
    given: dict[str, Any] = {k: v for k, v in labels.items() if v is not None}
    sizes = {
        "isl": isl, "osl": osl, "context_len": context_len, "batch_size": batch_size,
        "concurrency": concurrency, "cached_tokens": cached_tokens,
        "prefill_chunk": prefill_chunk,
    }  # fmt: skip
    if law is None or law_kind(law) == STEP_LAW:
        if settings is not None:
            raise InputError("settings belong to laws of measured steps", got="the step law",
                             remedy="leave --settings out")  # fmt: skip
        if request_rate is not None:
            raise InputError("the step law takes its load as requests in flight",
                             got=f"--request-rate {request_rate:g}",
                             remedy="give --concurrency")  # fmt: skip
        asked = StepRequest(
            law, phase, sizes, given, table, output, level, as_json, knobs or {}, energy
        )
        predict_step(asked)
        return
    if knobs or energy:
        raise InputError(
            "techniques and energy belong to the step law", got=f"{law}, a law of measured steps",
            remedy="give --model and --hardware without a law, or fit --formulation step",
        )  # fmt: skip
    from lengthwise.prediction.latency_law import LatencyLaw

    loaded = LatencyLaw.load(law)
    if allow_extrapolation:
        loaded.max_extrapolation = None
    told = {"request_rate": request_rate, "settings": settings}
    given |= {name: value for name, value in told.items() if value is not None}
    if table is not None:
        check_table_options(sizes)
        defaults = given | ({"phase": phase} if phase else {})
        _predict_table(loaded, table, output, level, defaults, as_json)
        return
    _check_load(batch_size, concurrency, request_rate)
    points = _grid(sizes, phase, given, loaded.only_labels | given)
    _predict_points(loaded, points, level, as_json, output)


def _law_of(argument: Path | None, option: Path | None) -> Path | None:
    if argument is not None and option is not None:
        raise InputError("a prediction takes one law", got=f"{argument} and --law {option}",
                         remedy="leave one of them out")  # fmt: skip
    return argument or option


def _predict_points(
    law: LatencyLaw, points: pd.DataFrame, level: float, as_json: bool, output: Path | None
) -> None:
    answers = law.predict_table(points, level)
    if answers["provenance"].astype(str).str.contains("never measured").any():
        log("warning: no measured deployment has these labels; its relatives answer")
    if output is not None:
        from lengthwise.data.table import write_table

        write_table(answers, output)
        wrote(output)
    if as_json:
        rows = [{**row, "level": level} for row in answers.to_dict("records")]
        print_json(rows[0] if len(rows) == 1 else rows)
    elif len(answers) == 1:
        print(describe(answers.iloc[0], level))
    else:
        print_table(columns(answers), table_rows(answers),
                    title=f"with {level * 100:g} % intervals")  # fmt: skip


def _predict_table(
    law: LatencyLaw, table: Path, output: Path | None, level: float,
    defaults: dict[str, Any], as_json: bool,
) -> None:  # fmt: skip
    from lengthwise.prediction.streaming import predict_file

    if output is None:
        raise InputError("a table of predictions needs a file to go to", got="no -o",
                         remedy="add -o out.parquet (or .csv, .jsonl)")  # fmt: skip
    report = predict_file(law, table, output, level=level, defaults=defaults, progress=_progress())
    if as_json:
        print_json({"output": output, "rows": report.rows, "predicted": report.predicted,
                    "problems": report.problems})  # fmt: skip
    _report(report, output)


def _report(report: StreamReport, output: Path) -> None:
    wrote(output, note=f": {report.predicted:,} of {report.rows:,} rows predicted")
    for reason, count in sorted(report.problems.items(), key=lambda item: -item[1]):
        log(f"  {count:,} not: {reason}")
    if not report.predicted:
        raise NothingUsableError("at least one row must be one a law can answer", got="none",
                                 remedy="see the column problem of the output")  # fmt: skip


def _check_load(batch_size: Text, concurrency: Text, request_rate: float | None) -> None:
    load = concurrency or request_rate
    if batch_size and load:
        raise InputError(
            "a point has a batch (sequences of a step) or a load (requests in flight), not both",
            got=f"--batch-size {batch_size} and a load of {load}",
            remedy="leave one of them out; under load the engine makes the batches",
        )


def _grid(
    sizes: dict[str, Text], phase: Text, labels: dict[str, Any], deployment: dict[str, Any]
) -> pd.DataFrame:
    """Make the points of all combinations of sizes; under load they have no batch."""
    import pandas as pd

    phase, names, rows = combinations(sizes, phase, loaded="request_rate" in labels)
    known = {name: value for name, value in deployment.items() if name != "hardware"}
    say_remarks(known, phase, names, rows, measured_engines=None)
    grid = pd.DataFrame(rows, columns=names)
    grid.insert(0, "phase", phase)
    return grid.assign(**labels)


def _progress() -> Any:
    import sys

    if not sys.stderr.isatty():
        return None
    return lambda done: print(f"\r{done:,} rows", end="\r", file=sys.stderr)
