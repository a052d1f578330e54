"""``lengthwise export``: a measurement table in a format of somebody else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lengthwise.data.output_kinds import LLMD_REPORT
from lengthwise.interfaces.cli.common import TableFile
from lengthwise.interfaces.cli.outputs import Force, check_output, wrote


def command(
    table: TableFile,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="File to write: .yaml, .jsonl or .json.")
    ],
    to: Annotated[
        Literal["llm-d"], typer.Option("--to", help="Format: llm-d Benchmark Report 0.2.")
    ] = "llm-d",
    force: Force = False,
) -> None:
    """Write the requests of a table as llm-d benchmark reports, one document per load.

    For example:
      lengthwise export served.parquet -o report.yaml
    """
    check_output(output, LLMD_REPORT, inputs=[table], force=force)
    from lengthwise.data.export_llmd import write_llmd
    from lengthwise.data.table import load
    from lengthwise.units import counted

    count = write_llmd(load(table), output)
    wrote(output, counted(count, f"{to} report"))
