"""``lengthwise demo``: the main job, measured on the spot or on measurements that ship with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lengthwise.data.output import is_stream
from lengthwise.data.output_kinds import DEMO, DEMO_ROWS, PAGE, PICTURE
from lengthwise.errors import pip_install
from lengthwise.interfaces.cli.common import AsJson, log, print_json, print_table
from lengthwise.interfaces.cli.live import Live
from lengthwise.interfaces.cli.outputs import Force, check_output, wrote

if TYPE_CHECKING:
    import pandas as pd

    from lengthwise.reporting.demo import Demo


def command(
    engine: Annotated[
        Literal["openvino", "llamacpp"] | None, typer.Option(help="Engine to measure with.")
    ] = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Use our measurements; needs no engine.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Picture to write, .png or .svg (needs matplotlib).")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Page to write, .html; the table goes beside it.")
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Measure short prompts here, fit, predict long ones, measure those and show the error.

    Takes about a minute, with a small model of random weights in an engine in this process. Without
    an engine, or with --recorded, it uses measurements of ours that come with the package: lengths
    up to a quarter of the longest are fitted; the rest is predicted and compared.
    """
    check_output(plot, PICTURE, force=force, as_json=as_json)
    check_output(report, PAGE, force=force, as_json=as_json)
    if report is not None and not is_stream(report):
        check_output(_rows_of(report), DEMO_ROWS, force=force)
    name = None if recorded else engine or _installed()
    if name is None:
        demo, table = _recorded(recorded)
    else:
        from lengthwise.reporting.live_demo import run_live

        demo, table = run_live(name, log, Live(sparse=True))
    if plot is not None:
        from lengthwise.reporting.figures.plots import save

        save(demo.charts, plot, title=demo.title)
        wrote(plot)
    if report is not None:
        _write_report(table, demo, report)
    if as_json:
        print_json(demo.to_dict())
    else:
        _show(demo)


def _installed() -> str | None:
    from importlib.util import find_spec

    for name, packages in (("openvino", ("openvino_genai", "gguf")),
                           ("llamacpp", ("xllamacpp", "gguf"))):  # fmt: skip
        if all(find_spec(package) for package in packages):
            return name
    return None


def _recorded(asked: bool) -> tuple[Demo, pd.DataFrame]:
    from lengthwise.data import datasets
    from lengthwise.reporting.demo import DATASET, run

    if not asked:
        log("no engine is installed, so recorded measurements are used; to measure here: "
            f"{pip_install('openvino')}")  # fmt: skip
    log("fitting the short part, predicting the long part ...")
    return run(), datasets.table(DATASET)


def _write_report(table: pd.DataFrame, demo: Demo, path: Path) -> None:
    from lengthwise.data.table import write_table
    from lengthwise.reporting.demo_page import write_demo_page

    wrote(write_demo_page(demo, path))
    if not is_stream(path):
        table.attrs["made_by"] = DEMO
        write_table(table, _rows_of(path))
        wrote(_rows_of(path))


def _rows_of(page: Path) -> Path:
    """Return where the rows behind a page are written."""
    return page.with_suffix(".parquet")


def _show(demo: Demo) -> None:
    from lengthwise.reporting.demo_page import columns_of, rows_of

    print(f"{demo.title}.")
    print(f"Fitted: {demo.rows_fitted:,} rows, {demo.part}.")
    print(f"Predicted: {demo.rows_held_out:,} rows at longer lengths. Shown: batch 1.")
    print()
    print_table(columns_of(demo), rows_of(demo))
    print()
    for line in summary_lines(demo.summary):
        print(line)


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
