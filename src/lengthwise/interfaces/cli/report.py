"""``lengthwise report``: one self-contained HTML page about a table or laws."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lengthwise.data.output import is_standard, is_stream
from lengthwise.data.output_check import partial_path
from lengthwise.data.output_kinds import PAGE, PICTURE, REPORT_DATA
from lengthwise.errors import InputError
from lengthwise.interfaces.cli.common import AsJson, print_json
from lengthwise.interfaces.cli.interrupts import saving
from lengthwise.interfaces.cli.outputs import (
    INTERRUPTED,
    Force,
    check_folder,
    check_output,
    partly_wrote,
    wrote,
)
from lengthwise.interfaces.cli.progress import Quiet, fits_shown

if TYPE_CHECKING:
    from lengthwise.reporting.content import Content, Options

SplitName = Literal["length", "random"]

FIGURES = r"(overview|\d\d)-[\w.-]+\.(png|svg)"
"""Names of the files of ``--plots``."""

Files = Annotated[list[Path], typer.Argument(help="Measurement tables, law files, or both.")]


def command(
    files: Files,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Page to write, .html.")
    ] = None,
    split: Annotated[SplitName, typer.Option(help="What is held out.")] = "length",
    factor: Annotated[float, typer.Option(help="Extrapolation factor of the length split.")] = 4.0,
    formulations: Annotated[
        str | None, typer.Option(help="Names with commas between, the one of interest first.")
    ] = None,
    level: Annotated[float, typer.Option(help="Coverage asked of the intervals.")] = 0.9,
    no_ablation: Annotated[
        bool, typer.Option("--no-ablation", help="Leave out the comparison of terms (faster).")
    ] = False,
    plots: Annotated[
        Path | None, typer.Option(help="Folder for each figure as .svg and .png.")
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Latency laws",
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write a self-contained HTML page about a table or laws, and its content as JSON beside it.

    The page needs no network and no script. With tables, formulations are scored on points they
    have not seen; law files add their curves. --json prints the content to stdout.

    For example:
      lengthwise report table.parquet -o report.html
      lengthwise report table.parquet law.json -o report.html --plots figures
      lengthwise report table.csv --formulations hachiya-patias,linear --no-ablation --json
    """
    if output is None and not as_json and plots is None:
        raise InputError("a report goes to a file", got="no --output",
                         remedy="-o report.html, or --json for its content")  # fmt: skip
    _check_outputs(output, plots, files, force, as_json)
    options = _options(split, factor, formulations, level, no_ablation, title)
    from lengthwise.reporting.content import build
    from lengthwise.reporting.sources import read_all

    content = build(read_all(files), options, progress=fits_shown(quiet))
    if output is not None:
        _write(content, output)
    if plots is not None and not content.partial:
        wrote(plots, f"{_save_figures(content, plots)} figures")
    if as_json:
        print_json(content.to_dict())
    elif output is not None and not is_standard(output) and not content.partial:
        print(output)
    if content.partial:
        raise typer.Exit(INTERRUPTED)


def _check_outputs(
    output: Path | None, plots: Path | None, files: list[Path], force: bool, as_json: bool
) -> None:
    """Look at the page, its twin and the figures before the work begins."""
    from lengthwise.reporting.html import twin_of

    if output is not None and not is_stream(output):
        check_output(output, PAGE, inputs=files, force=force)
        check_output(twin_of(output), REPORT_DATA, inputs=files, force=force)
    else:
        check_output(output, PAGE, as_json=as_json)
    check_folder(plots, FIGURES, PICTURE, inputs=files, force=force)


def _write(content: Content, output: Path) -> None:
    from lengthwise.reporting.html import write

    if content.partial and not is_stream(output):
        with saving():
            write(content, partial_path(output))
        partly_wrote(output)
        return
    for file in write(content, output):
        size = "" if is_stream(file) else f" ({file.stat().st_size / 1024:,.0f} KiB)"
        wrote(file, note=size)


def _options(
    split: SplitName,
    factor: float,
    formulations: str | None,
    level: float,
    no_ablation: bool,
    title: str,
) -> Options:
    from lengthwise.evaluation.estimator import check_names
    from lengthwise.reporting.content import DEFAULT_FORMULATIONS, Options

    names: tuple[str, ...] = DEFAULT_FORMULATIONS
    if formulations:
        names = tuple(name.strip() for name in formulations.split(",") if name.strip())
    check_names(names)
    return Options(split, factor, names, level, not no_ablation, title=title)


def _save_figures(content: Content, folder: Path) -> int:
    from lengthwise.reporting.figure_names import named_figures
    from lengthwise.reporting.figures.plots import save

    folder.mkdir(parents=True, exist_ok=True)
    named = named_figures(content)
    for name, figure in named.items():
        for ending in ("png", "svg"):
            save([figure], folder / f"{name}.{ending}")
    return 2 * len(named)
