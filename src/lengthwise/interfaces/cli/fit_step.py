"""``lengthwise fit --formulation step``: calibrate the step law."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lengthwise.errors import GateError, InputError
from lengthwise.interfaces.cli.common import print_json, print_table
from lengthwise.interfaces.cli.progress import busy
from lengthwise.units import counted

if TYPE_CHECKING:
    from lengthwise.prediction.step_law import StepLaw


def fit_step(
    table: Path, output: Path | None, formulation: str, prior: Path | None,
    max_mape: float | None, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Fit a step law, or update one by a few samples, and say what was found."""
    from lengthwise.interfaces.cli.fit import say_kept
    from lengthwise.prediction.step_law import StepLaw

    if formulation != "step" and prior is not None:
        raise InputError("--prior belongs to the formulation step", got=formulation,
                         remedy="add --formulation step")  # fmt: skip
    with busy("fitting", quiet):
        law = StepLaw.load(prior).update(table) if prior else StepLaw().fit(table)
    missed = None if max_mape is None else _missed_gate(law, max_mape)
    kept = output if missed is None else None
    if kept is not None:
        law.save(kept)
    if as_json:
        print_json({"law": kept, **_to_json(law)})
    else:
        _show(law, updated=prior is not None)
    say_kept(output, missed, "the law")


def _to_json(law: StepLaw) -> dict[str, Any]:
    return {
        "formulation": "step", "training": law.training_,
        "coefficients": law.coefficients_.to_dict(),
        "errors": {name: asdict(head.error) for name, head in law.heads_.items()},
    }  # fmt: skip


def _show(law: StepLaw, *, updated: bool) -> None:
    training = law.training_ or {"rows": 0, "deployments": []}
    of = f"{training['rows']:,} rows of {counted(len(training['deployments']), 'deployment')}"
    rows = [_error_row(name, head.error) for name, head in law.heads_.items()]
    title = f"step law, {'updated to' if updated else 'fitted to'} {of}"
    print_table(("quantity", "left out", "rows", "median %", "mean %"), rows, title=title)
    factors = [
        [name.replace("_", " "), f"{x:.2f}"] for name, x in law.coefficients_.factors.items()
    ]
    if factors:
        print()
        print_table(("part of a step", "factor"), factors, title="times the device profile")
    shares = [
        [engine, f"{x.between:.2f}", f"{x.together:.2f}", f"{x.wait:.1f}",
         f"{1e3 * x.overhead_s:.0f} ms", f"{x.room:.2f}"]
        for engine, x in law.coefficients_.interference.items() if engine
    ]  # fmt: skip
    if shares:
        print()
        columns = ("engine", "prompts between", "together", "steps waited", "overhead", "room")
        print_table(columns, shares, title="how requests interfere")


def _error_row(name: str, error: Any) -> list[Any]:
    if not error.rows:
        return [name, "nothing: too few rows", None, None, None]
    return [name, f"one {error.by} at a time", f"{error.rows:,}", f"{error.median_percent:.1f}",
            f"{error.mape_percent:.1f}"]  # fmt: skip


def _missed_gate(law: StepLaw, max_mape: float) -> GateError | None:
    for name, head in law.heads_.items():
        if not head.error.mape_percent <= max_mape:
            got = f"{head.error.mape_percent:.2f} %" if head.error.rows else "no left-out row"
            return GateError(f"held-out errors of all quantities must be at most {max_mape:g} %",
                             got=f"{got} for {name}", remedy="measure more, or relax the gate",
                             )  # fmt: skip
    return None
