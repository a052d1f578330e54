"""``lengthwise explain``: where the time of a request goes, and what would change it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lengthwise.errors import InputError
from lengthwise.interfaces.cli.common import AsJson, length_option, print_json, width
from lengthwise.interfaces.cli.completion import complete_hardware, complete_model
from lengthwise.interfaces.cli.explain_text import show
from lengthwise.interfaces.cli.knob_options import KnobSettings, knob_list, with_knobs
from lengthwise.interfaces.cli.saying import say_remarks

Text = str | None


@with_knobs
def command(
    model: Annotated[
        Text,
        typer.Option(
            help="config.json, its folder, or a known name (lengthwise models).",
            autocompletion=complete_model,
        ),
    ] = None,
    hardware: Annotated[
        Text,
        typer.Option(
            help="Known processor (lengthwise hardware) or .toml file.",
            autocompletion=complete_hardware,
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="vllm, trtllm, sglang, ...")] = "vllm",
    precision: Annotated[
        str, typer.Option(help="bf16, fp8, int4, ...; auto: as published.")
    ] = "auto",
    kv_precision: Annotated[Text, typer.Option(help="Format of the cache.")] = None,
    tp: Annotated[int, typer.Option(help="Tensor parallelism.")] = 1,
    pp: Annotated[int, typer.Option(help="Pipeline parallelism.")] = 1,
    ep: Annotated[int, typer.Option(help="Expert parallelism.")] = 1,
    dp: Annotated[int, typer.Option(help="Data parallelism of attention.")] = 1,
    isl: Annotated[int, length_option("Prompt tokens.")] = 2048,
    osl: Annotated[int, length_option("Output tokens.")] = 256,
    concurrency: Annotated[
        int | None, typer.Option(help="Requests in flight; 1 when left out.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="The same as --concurrency.")] = None,
    cached_tokens: Annotated[int, length_option("Prompt tokens already in the cache.")] = 0,
    list_knobs: Annotated[
        bool, typer.Option("--knobs", help="List the techniques that can be set, and stop.")
    ] = False,
    as_json: AsJson = False,
    knobs: KnobSettings = None,
) -> None:
    """Where the time goes: operators, limits, techniques, what-if. Nothing is measured.

    Shows TTFT and TPOT of a request by operator, what binds them, how far they are from what the
    processor can do, memory, and what other settings would change. Techniques are options too, like
    --kv-bits 8 or --prefix-hit-rate 0.5; --knobs lists them all with their sources.

    For example:
      lengthwise explain --model llama3.1-8b --hardware h100_sxm --isl 8192
      lengthwise explain --model config.json --hardware a100_sxm --kv-bits 8
      lengthwise explain --knobs
    """
    if list_knobs:
        _list(as_json)
        return
    if concurrency is not None and batch_size is not None:
        raise InputError("--concurrency and --batch-size are the same here", got="both",
                         remedy="leave one of them out")  # fmt: skip
    in_flight = next((x for x in (concurrency, batch_size) if x is not None), 1)
    load = {"isl": isl, "osl": osl, "concurrency": in_flight, "cached_tokens": cached_tokens}
    labels = {"engine": engine, "precision": precision, "kv_precision": kv_precision}
    degrees = {"tp": tp, "pp": pp, "ep": ep, "dp": dp}
    deployment = {"model": model, "hardware": hardware, "engine": engine, "tp": tp}
    say_remarks(deployment, "request", ("isl", "osl"), [(isl, osl)])
    found = _explained(model, hardware, degrees, labels, load, knobs or {})
    if as_json:
        print_json(found)
    else:
        show(found)


def _explained(
    model: Text, hardware: Text, degrees: dict[str, int], labels: dict[str, Any],
    load: dict[str, Any], knobs: dict[str, Any],
) -> Any:  # fmt: skip
    for name, value in (("--model", model), ("--hardware", hardware)):
        if value is None:
            raise InputError(f"explain needs {name}", got="none",
                             remedy="such as --model llama3.1-8b --hardware h100_sxm")  # fmt: skip
    from lengthwise.data.hardware_catalog import load_hardware
    from lengthwise.data.model_files import load_model
    from lengthwise.domain.parallelism import Parallelism
    from lengthwise.formulations.step.knobs import Request
    from lengthwise.formulations.step.step_model import StepModel
    from lengthwise.prediction.explain import explain

    layout = Parallelism(**degrees)
    step = StepModel.of(load_model(str(model)), load_hardware(str(hardware)), layout, **labels)
    return explain(Request(step, **load), knobs)


def _list(as_json: bool) -> None:
    from lengthwise.formulations.step.knobs import knobs

    if as_json:
        print_json([knob.to_dict() for knob in knobs()])
        return
    print("Each changes a physical quantity of a request; its times follow from that.")
    print("\n".join(knob_list(min(width(), 100))))
