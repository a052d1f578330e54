"""``lengthwise measure``: time an engine in this process, or any server at a URL."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lengthwise.errors import InputError
from lengthwise.interfaces.cli.common import AsJson, length_option
from lengthwise.interfaces.cli.counts import parse_counts, unscaled
from lengthwise.interfaces.cli.measure_run import check_measured
from lengthwise.interfaces.cli.outputs import Force

if TYPE_CHECKING:
    from lengthwise.measurement.engine import Shape

Text = str | None
RANGES = "one, several with commas, first-last*factor or first-last+step"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|min|h)?")
_SECONDS = {"ms": 1e-3, "s": 1.0, None: 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_MIXED = re.compile(r"(\d+)x(\d+)\+(\d+)")


def command(
    target: Annotated[
        str, typer.Argument(help="openvino, llamacpp, transformers, or http://host:port.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Table to write (.parquet, .csv, .jsonl).")
    ] = Path("table.parquet"),
    isl: Annotated[Text, typer.Option(help=f"Prompt tokens: {RANGES}.")] = None,
    batch: Annotated[str, typer.Option(help="Engine: sequences in a step.")] = "1",
    context: Annotated[
        Text, typer.Option(help="Engine: further contexts for decode steps.")
    ] = None,
    cached: Annotated[str, typer.Option(help="Engine: prompt tokens in the cache.")] = "0",
    mixed: Annotated[
        Text, typer.Option(help="Engine: RUNNINGxCONTEXT+PROMPT, a prompt that joins decodes.")
    ] = None,
    decode_steps: Annotated[int, typer.Option(help="Engine: decode steps after a prefill.")] = 8,
    repeats: Annotated[int, typer.Option(help="Engine: repetitions of every point.")] = 5,
    max_batch_tokens: Annotated[
        int | None, length_option("Engine: leave points with more tokens out.")
    ] = None,
    model: Annotated[
        Text, typer.Option(help="GGUF, config.json or built-in random model; a server's model.")
    ] = None,
    precision: Annotated[Text, typer.Option(help="Engine: precision or quantisation.")] = None,
    threads: Annotated[int, typer.Option(help="Engine: CPU threads.")] = 1,
    device: Annotated[str, typer.Option(help="Engine: cpu or cuda.")] = "cpu",
    engine_set: Annotated[
        list[str] | None, typer.Option("--engine-set", help="Engine: NAME=VALUE of its own.")
    ] = None,
    osl: Annotated[str, typer.Option(help="Server: output tokens.")] = "64",
    concurrency: Annotated[Text, typer.Option(help="Server: requests in flight.")] = None,
    request_rate: Annotated[Text, typer.Option(help="Server: requests per second.")] = None,
    arrival: Annotated[str, typer.Option(help="Server: constant, poisson or gamma.")] = "poisson",
    burstiness: Annotated[float, typer.Option(help="Server: shape of gamma arrivals.")] = 1.0,
    trace: Annotated[Path | None, typer.Option(help="Server: trace to replay.")] = None,
    requests: Annotated[int | None, typer.Option(help="Server: requests per point.")] = None,
    duration: Annotated[Text, typer.Option(help="Server: time per point, as 30s.")] = None,
    endpoint: Annotated[str, typer.Option(help="Server: auto, completions or chat.")] = "auto",
    timeout: Annotated[str, typer.Option(help="Server: longest request.")] = "600s",
    warmup_requests: Annotated[int, typer.Option(help="Server: requests before counting.")] = 2,
    scrape: Annotated[bool, typer.Option(help="Server: read its /metrics.")] = True,
    budget: Annotated[Text, typer.Option(help="Engine: stop repeating after, as 60s.")] = None,
    seed: Annotated[int, typer.Option(help="Of order, arrivals and an engine's prompts.")] = 0,
    labels: Annotated[
        list[str] | None, typer.Option("--set", help="Label of all rows, as hardware=h100.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an ended run.")] = False,
    force: Force = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show plan and time only.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure an engine or a server into a table worth fitting.

    Repeats are interleaved in random order, first visits are marked as warm-up, CPU time stands
    beside wall time. Beside the table a run directory (NAME.run) keeps every step as it is
    measured: a run that is killed loses one point at most and goes on with the same command and
    --resume. A table or a run that is there is replaced with --force only.

    lengthwise measure openvino --isl 128-8192*2 --batch 1,4 --budget 60s -o table.parquet

    lengthwise measure llamacpp --model model.gguf --isl 512-4096*2 --dry-run

    lengthwise measure http://127.0.0.1:8000 --isl 512 --osl 64 --concurrency 1,4,16
    """
    check_measured(output, inputs=(trace, model), resume=resume, force=force or dry_run,
                   as_json=as_json and not dry_run)  # fmt: skip
    given = name_values(labels, "--set")
    if target.startswith(("http://", "https://")):
        from lengthwise.interfaces.cli.measure_server import measure_server

        raise typer.Exit(measure_server(
            target, output=output, isl=parse_counts(isl or "512", "--isl"),
            osl=parse_counts(osl, "--osl"),
            concurrency=parse_counts(concurrency, "--concurrency") if concurrency else [],
            request_rate=_rates(request_rate), arrival=arrival, burstiness=burstiness, trace=trace,
            requests=requests, duration_s=_seconds(duration, "--duration"), endpoint=endpoint,
            model=model, timeout_s=_seconds(timeout, "--timeout") or 600.0,
            warmup_requests=warmup_requests, labels=given, scrape=scrape, seed=seed,
            as_json=as_json, quiet=quiet, dry_run=dry_run, resume=resume,
        ))  # fmt: skip
    from lengthwise.interfaces.cli.measure_engine import SweepOptions, measure_engine
    from lengthwise.measurement.engine import EngineOptions
    from lengthwise.measurement.plan import plan_of

    plan = plan_of(
        parse_counts(isl, "--isl") if isl else [] if mixed else [128, 512, 2048],
        parse_counts(batch, "--batch"),
        contexts=parse_counts(context, "--context") if context else [],
        cached_tokens=parse_counts(cached, "--cached"), decode_steps=decode_steps,
        mixed=[_mixed(text) for text in mixed.split(",")] if mixed else [],
        max_batch_tokens=max_batch_tokens, repeats=repeats, seed=seed,
    )  # fmt: skip
    options = EngineOptions(
        model=model or EngineOptions.model, threads=_positive(threads, "--threads"),
        precision=precision, device=device,
        max_tokens=max(shape.longest for shape in plan.shapes) + 1,
        max_batch=max(shape.batch_size for shape in plan.shapes),
        settings={"seed": str(seed)} | name_values(engine_set, "--engine-set"),
    )  # fmt: skip
    sweep = SweepOptions(output, _seconds(budget, "--budget"), given, resume, dry_run, quiet,
                         as_json)  # fmt: skip
    raise typer.Exit(measure_engine(target, options, plan, sweep))


def name_values(texts: list[str] | None, option: str) -> dict[str, str]:
    """Read options of the form NAME=VALUE.

    >>> name_values(["hardware=h100"], "--set")
    {'hardware': 'h100'}
    """
    found = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise InputError(f"{option} must be NAME=VALUE", got=repr(text),
                             remedy=f"write {option} hardware=h100")  # fmt: skip
        found[name.strip()] = value.strip()
    return found


def _seconds(text: str | None, option: str) -> float | None:
    """Read ``60``, ``60s``, ``500ms``, ``2m`` or ``1h``.

    >>> _seconds("2m", "--budget")
    120.0
    """
    if text is None:
        return None
    match = _DURATION.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise InputError(f"{option} must be a positive time", got=repr(text),
                         remedy="write 60s, 500ms, 2m or 1h")  # fmt: skip
    return float(match[1]) * _SECONDS[match[2]]


def _rates(text: str | None) -> list[float]:
    if text is None:
        return []
    try:
        rates = [float(part) for part in text.split(",")]
    except ValueError:
        rates = [-1.0]
    if any(not 0 < rate < float("inf") for rate in rates):
        raise InputError("--request-rate must be positive numbers", got=repr(text),
                         remedy="write 4 or 1,2,4 (requests per second)")  # fmt: skip
    return rates


def _mixed(text: str) -> Shape:
    from lengthwise.measurement.engine import Shape

    match = _MIXED.fullmatch(unscaled(re.sub(r"(?<=\d)x(?=\d)", " x ", text)).replace(" ", ""))
    if match is None or not all(int(number) for number in match.groups()):
        raise InputError("--mixed must be RUNNINGxCONTEXT+PROMPT", got=repr(text),
                         remedy="write 4x512+2048: a prompt of 2,048 tokens joins 4 sequences of "
                         "512; set the chunk with --engine-set chunk=512")  # fmt: skip
    running, context, prompt = (int(number) for number in match.groups())
    return Shape(prompt, running + 1, 0, running=running, running_context=context)


def _positive(value: int, option: str) -> int:
    if value < 1:
        raise InputError(f"{option} must be at least 1", got=str(value), remedy="write 1")
    return value
