"""``lengthwise compare``: which of two laws or tables is faster, and where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lengthwise.data.output_kinds import PICTURE
from lengthwise.interfaces.cli.common import AsJson, print_json, print_table
from lengthwise.interfaces.cli.outputs import Force, check_output, wrote
from lengthwise.interfaces.cli.progress import Quiet, busy

if TYPE_CHECKING:
    from lengthwise.reporting.comparison import Comparison, Pair

MOST_LENGTHS = 12


def command(
    first: Annotated[Path, typer.Argument(help="Law file (.json) or measurement table.")],
    second: Annotated[Path, typer.Argument(help="Law file (.json) or measurement table.")],
    formulation: Annotated[
        str, typer.Option(help="Formulation fitted to tables.")
    ] = "hachiya-patias",
    plot: Annotated[
        Path | None, typer.Option(help="Picture of both, .png or .svg (needs matplotlib).")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compare two laws, two tables, or a law with a table.

    Says at which lengths which one is faster, which coefficients differ, and how far each law is
    off on the other's data. Tables are compared through a law fitted to each.

    For example:
      lengthwise compare old.json new.json
      lengthwise compare law.json tonight.csv --plot drift.png
    """
    check_output(plot, PICTURE, inputs=[first, second], force=force, as_json=as_json)
    from lengthwise.reporting.comparison import compare
    from lengthwise.reporting.sources import read

    with busy("fitting", quiet):
        found = compare(read(first), read(second), formulation)
    if plot is not None:
        from lengthwise.reporting.figures.plots import save

        save([pair.chart for pair in found.pairs], plot,
             title=f"{found.second} against {found.first}")  # fmt: skip
        wrote(plot)
    if as_json:
        print_json(found.to_dict())
    else:
        _show(found)


def _show(found: Comparison) -> None:
    for pair in found.pairs:
        _show_pair(pair, found)
    for name, missing in ((found.first, found.only_first), (found.second, found.only_second)):
        for law in missing:
            print(f"only in {name}: {law}")


def _show_pair(pair: Pair, found: Comparison) -> None:
    import numpy as np

    from lengthwise.units import format_tokens

    print(f"{pair.phase}, batch {pair.batch:g}, of {pair.first}")
    if pair.second != pair.first:
        print(f"against {pair.second}")
    for line in verdict(pair, found.first, found.second):
        print(f"  {line}")
    at = np.flatnonzero(np.log2(pair.lengths) % 1 == 0)
    at = at[:: -(-len(at) // MOST_LENGTHS) or 1]
    print()
    rows = [[format_tokens(pair.lengths[i]), f"{pair.ratio[i]:.3f}"] for i in at]
    print_table(["tokens", f"time of {found.second} / {found.first}"], rows)
    print()
    if pair.differences:
        print_table(
            ["coefficient", "unit", found.first, found.second, "differs"],
            [[d.name, d.unit or None, _value(d.first), _value(d.second), "yes" if d.clear else "no"]
             for d in pair.differences],
        )  # fmt: skip
        print()
    print_table(["", "terms"], [[found.first, pair.terms[0]], [found.second, pair.terms[1]]])
    if pair.errors:
        print()
        names = {"first": found.first, "second": found.second}
        rows = []
        for text, error in pair.errors.items():
            law, data = text.split(" on the data of the ")
            rows.append([names[law], names[data], f"{error:.1f}"])
        print_table(["law of", "on the data of", "MAPE %"], rows)
    print()


def verdict(pair: Pair, first: str, second: str) -> list[str]:
    """Say which side is faster where."""
    from lengthwise.units import format_tokens

    names = {"first": first, "second": second}
    lines = []
    for stretch in pair.stretches:
        inside = (pair.lengths >= stretch.low) & (pair.lengths <= stretch.high)
        ratio = pair.ratio[inside]
        where = f"{format_tokens(stretch.low)} to {format_tokens(stretch.high)} tokens"
        if stretch.faster == "equal":
            lines.append(f"{where}: within 1 %")
            continue
        gain = ratio if stretch.faster == "first" else 1.0 / ratio
        low, high = gain.min(), gain.max()
        by = f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
        lines.append(f"{where}: {names[stretch.faster]} is {by} times as fast")
    lines += [f"equally fast at {format_tokens(length)} tokens" for length in pair.crossings]
    return lines


def _value(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"
