"""``lengthwise demo``: the main job on measurements that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lengthwise.interfaces.cli.common import AsJson, check_output, log, print_json, print_table

if TYPE_CHECKING:
    from lengthwise.reporting.demo import Demo

COLUMNS = ("model", "phase", "tokens", "measured", "predicted", "90 % interval", "error")


def command(
    plot: Annotated[
        Path | None, typer.Option(help="Picture to write, .png or .svg (needs matplotlib).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit on short prompts, predict long ones, and show the error.

    The measurements are our own (two small models on one CPU thread) and come with the package.
    Lengths up to a quarter of the longest are fitted; the rest is predicted and compared.
    """
    check_output(plot)
    from lengthwise.reporting.demo import run

    log("fitting the short part, predicting the long part ...")
    demo = run()
    if as_json:
        print_json(demo.to_dict())
    else:
        _show(demo)
    if plot is not None:
        from lengthwise.reporting.figures.plots import save

        save(demo.charts, plot, title=TITLE)
        log(f"wrote {plot}")


TITLE = "Fitted on the shaded lengths (filled points), predicted beyond (open points)"


def _show(demo: Demo) -> None:
    print(f"{demo.title}, two small models.")
    print(f"Fitted: {demo.rows_fitted:,} rows, lengths up to 1/4 of the longest, all batch sizes.")
    print(f"Predicted: {demo.rows_held_out:,} rows at longer lengths. Shown: batch 1.")
    print()
    print_table(COLUMNS, [_line(row) for row in demo.lines.to_dict("records")])
    print()
    for line in summary_lines(demo.summary):
        print(line)


def _line(row: dict[Any, Any]) -> list[str]:
    from lengthwise.units import format_ms, format_tokens

    error = 100.0 * (row["predicted_ms"] / row["measured_ms"] - 1.0)
    bounds = _span(row["lo_ms"], row["hi_ms"], row["predicted_ms"])
    model = row["model"].removeprefix("random-")
    return [model, row["phase"], format_tokens(row["length"]), format_ms(row["measured_ms"]),
            format_ms(row["predicted_ms"]), bounds, f"{error:+.1f} %"]  # fmt: skip


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """Say in a few lines how far each formulation was off.

    >>> one = {"mape_percent": 3.0, "prefill_mape_percent": 2.0, "decode_mape_percent": 4.0,
    ...        "worst_curve_mape_percent": 9.0}
    >>> summary_lines({"points": 10, "level": 0.9, "coverage": 0.9, "hachiya-patias": one})[1]
    'hachiya-patias          3.0 %       2.0 %       4.0 %       9.0 %'
    """
    shown = {"mape": "all curves", "prefill_mape": "prefill", "decode_mape": "decode",
             "worst_curve_mape": "worst"}  # fmt: skip
    lines = [f"{'mean error':<18}" + "".join(f"{title:>12}" for title in shown.values())]
    for name in (name for name in summary if isinstance(summary[name], dict)):
        cells = [f"{summary[name][f'{key}_percent']:.1f} %" for key in shown]
        lines.append(f"{name:<18}" + "".join(f"{cell:>12}" for cell in cells))
    inside, level = 100.0 * summary["coverage"], 100.0 * summary["level"]
    lines.append("")
    lines.append(f"{inside:.0f} % of the {summary['points']} held-out points lie inside their "
                 f"{level:.0f} % interval.")  # fmt: skip
    return lines


def _span(lo_ms: float, hi_ms: float, near_ms: float) -> str:
    """Both ends in the unit in which the value between them is written, without the unit.

    >>> _span(520.4, 1130.2, 800.0), _span(900.0, 3150.0, 2000.0)
    ('520 to 1,130', '0.90 to 3.15')
    """
    size = 1e3 if near_ms >= 1e3 else 1.0
    lo, hi = lo_ms / size, hi_ms / size
    return " to ".join(f"{v:,.{2 if v < 10 else 1 if v < 100 else 0}f}" for v in (lo, hi))
