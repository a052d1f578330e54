"""``lengthwise serve``: predict and learn over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lengthwise.data.limits import TOML
from lengthwise.data.opening import read_text
from lengthwise.errors import InputError
from lengthwise.interfaces.cli.interrupts import stand_down

if TYPE_CHECKING:
    from lengthwise.interfaces.service.settings import ServiceSettings

Text = str | None


def command(
    host: Annotated[Text, typer.Option(help="Address to listen on. [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one. [8000]")] = None,
    llm_d: Annotated[
        bool, typer.Option("--llm-d", help="Answer llm-d's latency predictor endpoints too.")
    ] = False,
    role: Annotated[Text, typer.Option(help="both, training or prediction. [both]")] = None,
    trainer_url: Annotated[
        Text, typer.Option(help="Role prediction: the trainer whose laws to follow.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Directory of the state. [~/.local/state/lengthwise]")
    ] = None,
    database: Annotated[
        Text, typer.Option(help="postgresql://user@host/name instead of SQLite in the state.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that answer. [1]")] = None,
    objective: Annotated[
        Text, typer.Option(help="llm-d endpoints: mean or quantile. [mean]")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="The quantile. [0.9]")] = None,
    seed_law: Annotated[
        Path | None, typer.Option(help="Law to begin with, exported by another service.")
    ] = None,
    model: Annotated[
        Text, typer.Option(help="Begin with the step law of this LLM (name or config.json).")
    ] = None,
    hardware: Annotated[
        Text, typer.Option(help="Processor of that step law (name or TOML file).")
    ] = None,
    tp: Annotated[int, typer.Option(help="Tensor parallelism of that step law.")] = 1,
    unready_503: Annotated[
        bool, typer.Option("--unready-503", help="Refuse to predict until the error is known.")
    ] = False,
    token: Annotated[
        list[str] | None, typer.Option(help="TOKEN:ROLE, role read or write; shows in ps.")
    ] = None,
    tokens_file: Annotated[
        Path | None, typer.Option(help="File of such tokens, one per line.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Name the service may be called by (Host); * for any.")
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None, typer.Option(help="Address whose X-Forwarded-For says who asks.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Requests a second of one client; 0: no limit. [0]"),
    ] = None,
    max_rows: Annotated[int | None, typer.Option(help="Rows of one request. [10000]")] = None,
    max_body: Annotated[int | None, typer.Option(help="Bytes of one request. [16 MiB]")] = None,
    min_rows: Annotated[
        int | None, typer.Option(help="Observations before a law may be ready. [100]")
    ] = None,
    train_every: Annotated[float | None, typer.Option(help="Seconds between rounds. [1]")] = None,
    log_requests: Annotated[
        bool, typer.Option("--log-requests", help="One JSON line per request on stderr.")
    ] = False,
) -> None:
    """Predict latencies over HTTP and learn from what requests really took.

    Options win over environment variables (LENGTHWISE_*, and those of llm-d's latency predictor).
    Every accepted observation is on disk before it is acknowledged. Ends on SIGTERM (exit code 0)
    or Ctrl-C (130) after requests in flight are answered.

    lengthwise serve --state ./state

    lengthwise serve --llm-d --port 8000 --objective quantile --alpha 0.9

    lengthwise serve --role prediction --trainer-url http://trainer:8000 --port 8001
    """
    from lengthwise.interfaces.service.settings import ServiceSettings
    from lengthwise.interfaces.service.supervisor import serve

    settings = ServiceSettings.from_environment(
        host=host, port=port, llm_d=llm_d or None, role=role, trainer_url=trainer_url,
        state=state, database=database, workers=workers, objective=objective, alpha=alpha,
        seed_law=seed_law, unready_503=unready_503 or None, tokens=_tokens(token, tokens_file),
        tls_cert=tls_cert, tls_key=tls_key, rate_per_s=rate, max_rows=max_rows,
        max_body_bytes=max_body, min_rows=min_rows, train_every_s=train_every,
        log_requests=log_requests or None, hosts=tuple(allow_host) if allow_host else None,
        trusted_proxies=tuple(trusted_proxy) if trusted_proxy else None,
    )  # fmt: skip
    stand_down()
    if model or hardware:
        settings = _seeded(settings, model, hardware, tp)
    raise typer.Exit(serve(settings))


def _tokens(given: list[str] | None, file: Path | None) -> dict[str, str] | None:
    from lengthwise.interfaces.service.tokens import read_tokens

    found = read_tokens("\n".join(given), "--token") if given is not None else {}
    if file is not None:
        try:
            found |= read_tokens(read_text(file, TOML), f"file {file}")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError("the file of tokens must be readable text", got=f"{file} ({error})",
                             remedy="write one TOKEN:ROLE per line") from None  # fmt: skip
    return found or None


def _seeded(
    settings: ServiceSettings, model: str | None, hardware: str | None, tp: int
) -> ServiceSettings:
    """Write a seed law made from the step law into the state directory."""
    if not (model and hardware):
        raise InputError("a step law to begin with needs --model and --hardware",
                         got=f"--model {model}, --hardware {hardware}",
                         remedy="give both")  # fmt: skip
    if settings.seed_law is not None:
        raise InputError("a service begins with one law", got="--seed-law and --model",
                         remedy="leave one out")  # fmt: skip
    from lengthwise.interfaces.service.step_seed import write_seed_apart

    path = write_seed_apart(settings.state, model, hardware, tp)
    return settings.with_options(seed_law=path)
