"""``lengthwise suggest``: what to measure next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lengthwise.errors import InputError
from lengthwise.interfaces.cli.common import AsJson, print_json, print_table
from lengthwise.interfaces.cli.completion import complete_hardware, complete_model
from lengthwise.interfaces.cli.predict_grid import RANGES, combinations
from lengthwise.interfaces.cli.saying import say_remarks
from lengthwise.units import format_ms, format_tokens

if TYPE_CHECKING:
    from lengthwise.prediction.suggest import Measurement

Text = str | None


def command(
    law: Annotated[
        Path | None, typer.Argument(help="Step law made by lengthwise fit --formulation step.")
    ] = None,
    model: Annotated[
        Text, typer.Option(help="Model: a name or its config.json.", autocompletion=complete_model)
    ] = None,
    hardware: Annotated[
        Text,
        typer.Option(help="Hardware: a name or a TOML file.", autocompletion=complete_hardware),
    ] = None,
    engine: Annotated[Text, typer.Option(help="Engine, such as vllm.")] = None,
    engine_version: Annotated[Text, typer.Option(help="Version of the engine.")] = None,
    precision: Annotated[Text, typer.Option(help="Precision, such as fp8.")] = None,
    tp: Annotated[int | None, typer.Option(help="Tensor parallel degree.")] = None,
    pp: Annotated[int | None, typer.Option(help="Pipeline parallel degree.")] = None,
    ep: Annotated[int | None, typer.Option(help="Expert parallel degree.")] = None,
    dp: Annotated[int | None, typer.Option(help="Data parallel degree.")] = None,
    isl: Annotated[
        Text, typer.Option(help=f"Prompt tokens that matter: {RANGES}.")
    ] = "512-32768*4",
    osl: Annotated[Text, typer.Option(help="Output tokens that matter.")] = "512",
    concurrency: Annotated[Text, typer.Option(help="Requests in flight that matter.")] = "1-64*4",
    quantity: Annotated[
        Literal["tpot", "ttft"], typer.Option(help="What has to be predicted well.")
    ] = "tpot",
    samples: Annotated[int, typer.Option(help="Runs to suggest at most.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Say what to measure next: most certainty per second of measuring.

    The points named by --isl, --osl and --concurrency are the ones that matter, and the candidates.
    It stops when one more run would take away less than 2 % of the expected error.

    lengthwise suggest --model llama3.1-8b --hardware h100_sxm --concurrency 1-256*4

    lengthwise suggest law.json --model qwen3-32b --hardware h200_sxm --quantity ttft
    """
    from lengthwise.prediction.step_law import StepLaw
    from lengthwise.prediction.suggest import suggest

    if model is None or hardware is None:
        raise InputError("suggest needs a model and hardware", got="no --model or no --hardware",
                         remedy="add --model llama3.1-8b --hardware h100_sxm")  # fmt: skip
    if samples < 1:
        raise InputError("samples must be 1 or more", got=str(samples), remedy="write 5")
    sizes = {"isl": isl, "osl": osl, "concurrency": concurrency}
    _, names, rows = combinations(sizes, "request")
    labels = {"model": model, "hardware": hardware, "engine": engine, "precision": precision,
              "engine_version": engine_version, "tp": tp, "pp": pp, "ep": ep, "dp": dp}  # fmt: skip
    points: dict[str, Any] = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    points |= {k: [v] * len(rows) for k, v in labels.items() if v is not None}
    step_law = StepLaw() if law is None else StepLaw.load(law)
    say_remarks(labels, "request", names, rows, measured_engines=step_law.measured_engines)
    found = suggest(step_law, points, samples, quantity)
    if as_json:
        print_json({"quantity": quantity, "suggestions": [m.to_dict() for m in found]})
        return
    _show(found, quantity, samples)


def _show(found: list[Measurement], quantity: str, samples: int) -> None:
    if not found:
        print(f"nothing: one more run would hardly make {quantity.upper()} any surer")
        return
    rows = [
        [i, *(format_tokens(m.settings[k]) for k in ("isl", "osl", "concurrency")),
         format_ms(1e3 * m.seconds), f"{m.error_before:.1f}", f"{m.error_after:.1f}"]
        for i, m in enumerate(found, 1)
    ]  # fmt: skip
    columns = ("run", "isl", "osl", "in flight", "takes about", "error now %", "then %")
    print_table(columns, rows, title=f"to predict {quantity.upper()} over these points")
    if len(found) < samples:
        print("more runs would buy less than 2 % each")
    print("\nthen: lengthwise fit runs.csv --formulation step [--prior law.json] -o mine.json")
