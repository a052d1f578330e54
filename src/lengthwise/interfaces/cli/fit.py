"""``lengthwise fit``: learn a law from a measurement table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lengthwise.data.output_kinds import LAW
from lengthwise.errors import GateError, InputError
from lengthwise.interfaces.cli.common import (
    AsJson,
    Output,
    TableFile,
    log,
    print_json,
    print_table,
)
from lengthwise.interfaces.cli.outputs import Force, check_output, wrote
from lengthwise.interfaces.cli.progress import Quiet, busy
from lengthwise.units import counted, format_tokens

if TYPE_CHECKING:
    import pandas as pd

    from lengthwise.data.report import Flag
    from lengthwise.prediction.latency_law import LatencyLaw

COLUMNS = (
    "deployment", "phase", "points", "tokens", "terms kept", "near %", "far %", "noise %",
)  # fmt: skip

ERRORS = (
    "near: mean error on points left out in range; far: on the long end, predicted from lengths up "
    "to\na half and a quarter of it; noise: how far repeats are from their median"
)

E1 = Literal["auto", "quadratic", "power", "nlogn", "off"]
E2 = Literal["auto", "floor", "tile", "hill", "tilt", "spline", "off"]
E3 = Literal["auto", "residual", "isotonic", "offset", "off"]


def command(
    table: TableFile,
    output: Output = None,
    formulation: Annotated[
        str, typer.Option(help="Formulation to fit; the default averages over its terms.")
    ] = "hachiya-patias",
    e1: Annotated[E1, typer.Option("--e1", help="Nonlinear term in length.")] = "auto",
    e2: Annotated[E2, typer.Option("--e2", help="Length-dependent scaling.")] = "auto",
    e3: Annotated[E3, typer.Option("--e3", help="Empirical correction.")] = "auto",
    pooling: Annotated[
        bool, typer.Option(help="Let deployments with few points borrow from the others.")
    ] = True,
    by: Annotated[
        Literal["deployment"], typer.Option(help="What gets a law of its own (with its phase).")
    ] = "deployment",
    model: Annotated[
        str | None,
        typer.Option(
            help="Model of rows that name none, and of a table of one deployment: a name, or its "
            "config.json."
        ),
    ] = None,
    prior: Annotated[
        Path | None,
        typer.Option(help="Step law to start from: a few samples then correct it."),
    ] = None,
    max_mape: Annotated[
        float | None,
        typer.Option(help="Exit with 3 if a law's held-out error is above this, %."),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Learn one law per deployment and phase of a measurement table.

    The errors shown are on points the fit did not see: near, in range; far, on the long end
    predicted from lengths up to a half and a quarter of the longest. Noise is how far repeats are
    from their median. A law that misses --max-mape is not written.

    lengthwise fit table.parquet -o law.json

    lengthwise fit table.csv -o law.json --formulation linear --max-mape 10

    lengthwise fit table.csv -o law.json --model llama3.1-8b

    The formulation step calibrates the step law on requests or steps of any deployments; with
    --prior, a few samples correct one that was learnt from many:

    lengthwise fit runs.parquet --formulation step -o law.json

    lengthwise fit five.csv --formulation step --prior law.json -o mine.json
    """
    _check_gate_value(max_mape)
    check_output(output, LAW, inputs=(table, model, prior), force=force, as_json=as_json)
    if formulation == "step" or prior is not None:
        from lengthwise.interfaces.cli.fit_step import fit_step

        _check_no_model(model)
        fit_step(table, output, formulation, prior, max_mape, quiet, as_json)
        return
    from lengthwise.data.checks import check_table
    from lengthwise.data.identity import deployment_of
    from lengthwise.data.table import load
    from lengthwise.domain.known import also_known
    from lengthwise.prediction.latency_law import LatencyLaw
    from lengthwise.prediction.models import unknown_models, with_model

    frame, known = with_model(load(table), model)
    flags = [flag for flag in check_table(frame) if flag.severity != "info"]
    for flag in flags:
        log(f"{flag.severity}: {flag}")
    with also_known(known):
        _say_unknown(unknown_models(frame), several=deployment_of(frame).nunique() > 1)
    with also_known(known), busy("fitting", quiet):
        law = LatencyLaw(formulation, e1=e1, e2=e2, e3=e3, pooling=pooling).fit(frame)
    _say_findings(law)
    missed = None if max_mape is None else _missed_gate(law, max_mape)
    kept = output if missed is None else None
    if kept is not None:
        law.save(kept)
    if as_json:
        print_json(_to_json(law, flags, kept))
    else:
        _show(law, frame)
    say_kept(output, missed, "the laws")


def _show(law: LatencyLaw, frame: pd.DataFrame) -> None:
    training, rows = law.training_, [_row(law, *key) for key in law.law_set_.laws_]
    used = f"{training.rows_used:,} of {training.rows:,} rows used"
    print_table(COLUMNS, rows, title=f"{counted(len(rows), 'law')}, {used}")
    print(ERRORS)


def _say_findings(law: LatencyLaw) -> None:
    """Say which points a law doubts, and which simple formula does better on its long end."""
    from lengthwise.prediction.text import findings

    laws = law.law_set_.laws_
    several = len({deployment for deployment, _ in laws}) > 1
    for (deployment, _), one in laws.items():
        for line in findings(one):
            log(f"{deployment}: {line}" if several else line)


def _row(law: LatencyLaw, deployment: str, phase: str) -> list[Any]:
    from lengthwise.prediction.coefficients import terms_of

    one, error = law.law_set_.laws_[deployment, phase], law.errors_[deployment, phase]
    low, high = (format_tokens(length) for length in one.domain.length)
    span = low if low == high else f"{low}–{high}"
    return [
        deployment, phase, one.n_points, span, _short(terms_of(one.law)),
        _number(error.in_range_percent), _number(error.long_end_percent),
        _number(100.0 * one.noise),
    ]  # fmt: skip


def _short(terms: str) -> str:
    """Leave out what is off and the names of the terms, so that a row fits a terminal.

    >>> _short("E1 quadratic, E2 floor, E3 off"), _short("E1 off, E2 off, E3 off")
    ('quadratic+floor', 'none')
    """
    kept = [part[3:] for part in terms.split(", ") if part[:1] == "E" and part[3:] != "off"]
    return "+".join(kept) or ("none" if terms.startswith("E1 ") else terms)


def _to_json(law: LatencyLaw, flags: list[Flag], output: Path | None) -> dict[str, Any]:
    from dataclasses import asdict

    from lengthwise.prediction.coefficients import coefficients_of, equation_of, terms_of

    laws = [
        {
            "deployment": deployment, "phase": phase, "points": one.n_points, "rows": one.n_rows,
            "lengths": one.domain.length, "terms": terms_of(one.law),
            "equation": equation_of(one.law),
            "coefficients": [asdict(c) for c in coefficients_of(one.law)],
            "suspects": [asdict(suspect) for suspect in one.suspects],
            "rival": asdict(one.rival) if one.rival else None,
            "noise_percent": 100.0 * one.noise, **asdict(law.errors_[deployment, phase]),
        }
        for (deployment, phase), one in law.law_set_.laws_.items()
    ]  # fmt: skip
    return {
        "law": output, "formulation": law.formulation, "training": asdict(law.training_),
        "laws": laws, "flags": [asdict(flag) for flag in flags],
    }  # fmt: skip


def say_kept(output: Path | None, missed: GateError | None, what: str) -> None:
    """Say where a law is, or that it is nowhere; raise the gate that was missed."""
    if missed is not None:
        if output is not None:
            log(f"{output} was not written")
        raise missed
    if output is not None:
        wrote(output)
    else:
        log(f"not saved: give -o law.json to keep {what}")


def _check_gate_value(max_mape: float | None) -> None:
    if max_mape is not None and not 0 < max_mape < float("inf"):
        raise InputError("max-mape must be a positive percentage", got=f"{max_mape}",
                         remedy="write 6 for 6 %")  # fmt: skip


def _check_no_model(model: str | None) -> None:
    if model is not None:
        raise InputError("--model belongs to laws of length", got="--formulation step",
                         remedy="write the model's name in the table's column model")  # fmt: skip


def _say_unknown(names: list[str], *, several: bool) -> None:
    """Say in one line that the law starts without the architecture of these models."""
    if names:
        others = f" and {counted(len(names) - 1, 'other')}" if names[1:] else ""
        one = "write its public name in the column model" if several else "add --model config.json"
        log(f"model {names[0]!r}{others} not known: fitted without its architecture; {one}")


def _missed_gate(law: LatencyLaw, max_mape: float) -> GateError | None:
    """Say which law has no held-out error, or one above the threshold; None for none."""
    rule = f"held-out errors of all laws must be at most {max_mape:g} %"
    for (deployment, phase), error in law.errors_.items():
        if not error.worst_percent <= max_mape:
            known = error.in_range_points + error.long_end_points > 0
            got = f"{error.worst_percent:.2f} %" if known else "no held-out point"
            return GateError(rule, got=f"{got} for {deployment}, {phase}",
                             remedy="measure more lengths, or relax the gate")  # fmt: skip
    return None


def _number(value: float) -> str | None:
    return f"{value:.2f}" if value == value else None
