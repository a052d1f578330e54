"""``lengthwise data``: list, show, fetch and read the datasets of the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lengthwise.data.datasets import DATA_VARIABLE, available, describe, fetch, names
from lengthwise.data.datasets import table as read_dataset
from lengthwise.data.output_check import check_not_read
from lengthwise.data.output_kinds import MEASUREMENTS
from lengthwise.data.registry import DatasetInfo
from lengthwise.interfaces.cli.common import AsJson, print_json
from lengthwise.interfaces.cli.outputs import Force, check_output, wrote

app = typer.Typer(
    help="Measured data by name, with source, licence and checked bytes.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Name of the dataset (see: lengthwise data list).")]
Out = Annotated[
    Path, typer.Option("-o", "--output", help="File to write: .parquet, .csv, .tsv or .jsonl.")
]


@app.command("list")
def list_datasets(as_json: AsJson = False) -> None:
    """List every dataset: rows, licence, whether it is on this machine, what was measured."""
    infos = [describe(name) for name in names()]
    if as_json:
        print_json([info.to_dict() | {"available": available(info.name)} for info in infos])
        return
    rows = [(i.name, _amount(i), i.licence, _where(i), i.measured) for i in infos]
    _print_aligned([("name", "rows", "licence", "here", "what was measured"), *rows])


@app.command("show")
def show(name: Name, as_json: AsJson = False) -> None:
    """Show one dataset: source, licence, citation, files and what its rows mean."""
    info = describe(name)
    if as_json:
        print_json(info.to_dict() | {"available": available(name)})
        return
    at = f" at {info.commit}" if info.commit else ""
    facts = [
        ("name", info.name), ("title", info.title), ("measured", info.measured),
        ("rows", _amount(info)), ("licence", info.licence),
        ("source", f"{info.repository}{at}"), ("citation", info.citation),
        ("here", _where(info)), *([("note", info.note)] if info.note else []),
    ]  # fmt: skip
    for key, value in facts:
        print(f"{key:<9} {value}")
    for file in info.files:
        print(f"file      {file.path}  {file.size_bytes:,} bytes  sha256 {file.sha256}")
        print(f"          {_origin(info, info.url(file), file.not_upstream)}")


@app.command("fetch")
def fetch_dataset(name: Name, as_json: AsJson = False) -> None:
    """Find or download a dataset, check its bytes and print its folder."""
    folder = fetch(name)
    if as_json:
        paths = [str(folder / file.path) for file in describe(name).files]
        print_json({"name": name, "folder": str(folder), "files": paths})
        return
    print(str(folder))


@app.command("table")
def write_dataset(
    name: Name, output: Out, force: Force = False, as_json: AsJson = False
) -> None:  # fmt: skip
    """Write a dataset as a measurement table."""
    check_output(output, MEASUREMENTS, force=force, as_json=as_json)
    from lengthwise.data.files import write_table

    frame = read_dataset(name)
    check_not_read(output, [fetch(name) / file.path for file in describe(name).files])
    write_table(frame, output)
    wrote(output)
    phases = {str(phase): int(count) for phase, count in frame["phase"].value_counts().items()}
    if as_json:
        print_json({"name": name, "rows": len(frame), "phases": phases, "output": str(output)})
        return
    listed = ", ".join(f"{count:,} {phase}" for phase, count in phases.items())
    print(f"{output}: {len(frame):,} rows ({listed}), licence {describe(name).licence}")


def _amount(info: DatasetInfo) -> str:
    return f"{info.rows:,}" if info.rows else info.kind


def _where(info: DatasetInfo) -> str:
    if info.ships:
        return "ships"
    if available(info.name):
        return "yes"
    return "download" if info.downloadable else f"needs {DATA_VARIABLE}"


def _origin(info: DatasetInfo, url: str, converted: str) -> str:
    if info.ships:
        return "part of the package"
    return url or f"no download: {converted}"


def _print_aligned(rows: list[tuple[str, ...]]) -> None:
    """Print columns padded to their widest cell; the last one is left as it is."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [
            cell.rjust(width) if i == 1 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        print("  ".join([*cells, row[-1]]))
