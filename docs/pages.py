"""Reference pages made from the code they describe."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from profile_page import profiles_page

from lengthwise import errors
from lengthwise.data import registry as datasets
from lengthwise.data.limits import FREE_BYTES, FREE_CELLS, LAW, LIMITS
from lengthwise.data.schema import COLUMNS, DEPLOYMENT, NEEDED, PHASES
from lengthwise.data.spreadsheet import SETTING as CSV_SETTING
from lengthwise.formulations import registry as formulations
from lengthwise.formulations.hachiya_patias import family, scaling
from lengthwise.interfaces.cli import main as cli
from lengthwise.prediction import artifact, step_artifact

NOTE = "<!-- Made by docs/generate.py: edit the code, not this page. -->\n"


def cli_page() -> str:
    """Every command with its help."""
    parts = [f"# Commands\n\n{NOTE}\nThe result goes to stdout, everything else to stderr. "
             "`--debug` shows tracebacks.\n\n" + _exit_codes()]  # fmt: skip
    for name, (_, what) in cli.COMMANDS.items():
        parts.append(f"## lengthwise {name}\n\n{what}\n\n```text\n{_help(name)}```\n")
        for sub in _subcommands(name):
            parts.append(f"### lengthwise {name} {sub}\n\n```text\n{_help(name, sub)}```\n")
    return "\n".join(parts)


def _exit_codes() -> str:
    rows = [("0", "done"),
            ("1", "nothing usable, refused, or a result that could not be written"),
            ("2", "usage or bad input"),
            ("3", "a gate that was asked for was not met"),
            ("130", "interrupted; partial results are kept and marked"),
            ("143", "the same, by SIGTERM")]  # fmt: skip
    return _table(("exit code", "meaning"), rows)


def _help(*words: str) -> str:
    """Give what ``--help`` prints, at a width that does not depend on the terminal."""
    out, before = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "88"
    try:
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            cli.app([*words, "--help"], prog_name="lengthwise")
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def _subcommands(name: str) -> list[str]:
    return sorted(getattr(cli._load(name), "commands", {}))


def table_page() -> str:
    """Describe the columns of the measurement table."""
    rows = [(f"`{c.name}`", c.kind, c.unit or "-", c.meaning) for c in COLUMNS.values()]
    needed = [(f"`{phase}`", ", ".join(f"`{c}`" for c in columns))
              for phase, columns in NEEDED.items()]  # fmt: skip
    return (
        f"# The measurement table\n\n{NOTE}\n"
        "One row is one timed thing, in CSV, TSV, Parquet or JSON lines."
        " Unknown columns are kept. Times are milliseconds, lengths tokens per sequence.\n\n"
        f"`phase` is one of {', '.join(f'`{p}`' for p in PHASES)}. A request also needs at least "
        "one of its times.\n\n## Columns each phase needs\n\n"
        + _table(("phase", "columns"), needed)
        + "\n## All columns\n\n"
        + _table(("column", "kind", "unit", "meaning"), rows)
        + "\n## Deployments\n\nRows that agree in "
        + ", ".join(f"`{c}`" for c in DEPLOYMENT)
        + " are one deployment; each deployment and phase gets a law of its own.\n"
    )


def formulations_page() -> str:
    """Every formulation with equation, citation and properties."""
    parts = [
        f"# Formulations\n\n{NOTE}\nA formulation is a family of functions; fitted to data it is"
        " a law. `T` new tokens, `KV` tokens read, `B` sequences, times in seconds.\n"
    ]
    rows = []
    for name in formulations.names():
        cls = formulations.get(name)
        rows.append((f"[`{name}`](#{name})", "yes" if cls.monotone else "no",
                     "yes" if cls.extrapolates else "no", cls.min_points))  # fmt: skip
    columns = ("name", "never falls with length", "can follow a trend beyond data", "fewest points")
    parts.append(_table(columns, rows))
    for name in formulations.names():
        cls = formulations.get(name)
        source = inspect.getmodule(cls)
        text = inspect.getdoc(source) or ""
        summary, _, body = text.partition("\n\n")
        parts.append(
            f"## {name}\n\n{summary}\n\n```text\n{cls.equation}\n```\n\nSource: "
            f"{cls.citation}.\n\n" + (f"```text\n{body}\n```\n" if body else "")
        )
    parts.append("## Terms of hachiya-patias\n\n"
                 f"`e1`: {_kinds(family.E1_KINDS)}. `e2`: {_kinds(family.E2_KINDS)}. "
                 f"`e3`: {_kinds(family.E3_KINDS)}. A law fitted with `auto` averages over some of "
                 "them: see [the mathematics](../explanation.md#the-default-law-an-average).\n\n"
                 f"```text\n{inspect.getdoc(scaling)}\n```\n")  # fmt: skip
    return "\n".join(parts)


def _kinds(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def datasets_page() -> str:
    """Every dataset with what was measured, licence and citation."""
    parts = [f"# Datasets\n\n{NOTE}\n"
             "`lengthwise data table NAME -o table.parquet` turns one into a "
             "measurement table. Files are looked for in the package, in the folder "
             "`LENGTHWISE_DATA` names, in the download cache, and are downloaded last; bytes are "
             "checked by SHA-256.\n"]  # fmt: skip
    for name, info in datasets.registry().items():
        at = f" at `{info.commit}`" if info.commit else ""
        parts.append(f"## {name}\n\n{info.title}: {info.measured}.\n\n"
                     + _table(("", ""), [("rows", f"{info.rows:,}"), ("holds", info.kind),
                                         ("licence", info.licence),
                                         ("source", f"{info.repository}{at}"),
                                         ("cite", info.citation)]))  # fmt: skip
    return "\n".join(parts)


def law_file_page() -> str:
    """Describe the schema of the law file."""
    text = inspect.getdoc(artifact) or ""
    summary, _, body = text.partition("\n\n::\n\n")
    block, _, rest = body.partition("\n\nTimes are")
    return (
        f"# The law file\n\n{NOTE}\n{summary}\n\n```text\n{inspect.cleandoc(block)}\n```\n\n"
        f"Times are{rest}\n\n"
        f"{_step_law_file()}\n"
        f"Schema version {artifact.SCHEMA_VERSION}; files above {LAW.default} MB, "
        "unknown versions and numbers that are not finite are refused with `ArtifactError`. A law "
        "file holds numbers and names, never code: loading it runs nothing.\n"
    )


def _step_law_file() -> str:
    """Describe the file of a step law."""
    text = inspect.getdoc(step_artifact) or ""
    summary, _, body = text.partition("\n\n::\n\n")
    block, _, rest = body.partition("\n\nTimes are")
    return (f"## The file of a step law\n\n{summary}\n\n"
            f"```text\n{inspect.cleandoc(block)}\n```\n\nTimes are{rest}\n")  # fmt: skip


def files_page() -> str:
    """List limits on what is read, and say what becomes of text of others."""
    rows = [
        (f"`{one.setting}`", f"{one.default:,} {one.unit}".strip(), one.what.rstrip(","))
        for one in LIMITS
    ]
    return (
        f"# Limits on files\n\n{NOTE}\n"
        "Everything that is read from disk goes through one opener. It takes regular files only (a "
        "pipe, a device or a folder is named and refused), unpacks gzip as it reads, and stops "
        "with a message at the limits below. Each is a variable of the environment; the message "
        "names it. With the defaults a file of 1 MB takes less than 1 GB of memory and 20 s.\n\n"
        f"{_table(('Setting', 'Default', 'What must be at most that'), rows)}\n"
        f"A packed file may unpack to {FREE_BYTES >> 20} MB, and a table may have {FREE_CELLS:,} "
        "cells, whatever its size. In Parquet, columns of lists or structures of text are left "
        "out. In YAML, aliases may stand for a million values.\n\n"
        "Values beyond physics are refused: a law that takes less time for more tokens or "
        "sequences though its formulation never falls, steps of over 115 days, processors with a "
        "million multiprocessors or rates out of any range.\n\n"
        "## Text of others\n\n"
        "Names and cells are shown without control characters and cut, on terminals, in errors and "
        "in reports. In CSV and TSV that lengthwise writes, a cell that a spreadsheet would run as "
        "a formula (it begins with `=`, `+`, `-`, `@`, a tab or a line end, and is no number) gets "
        "a single quote in front; lengthwise takes it away again when it reads the file. "
        f"`{CSV_SETTING}=off` leaves both out, for programs that want the cells as they are.\n"
    )


def errors_page() -> str:
    """Draw the tree of errors and say what each means."""
    tree = (inspect.getdoc(errors) or "").partition("::\n\n")[2]
    parts = [f"# Errors and warnings\n\n{NOTE}\nEvery message states the rule, what was found, and "
             f"the remedy.\n\n```text\n{inspect.cleandoc(tree)}\n```\n"]  # fmt: skip
    source = ast.parse(Path(errors.__file__).read_text())
    rows = []
    for node in source.body:
        if isinstance(node, ast.ClassDef):
            cls = getattr(errors, node.name)
            code = str(cls.exit_code) if issubclass(cls, errors.LengthwiseError) else "-"
            first = (inspect.getdoc(cls) or "An optional dependency is absent.").splitlines()[0]
            rows.append((f"`{node.name}`", code, first))
    parts.append(_table(("class", "exit code", "meaning"), rows))
    return "\n".join(parts)


def python_page() -> str:
    """List the public classes, documented by their docstrings."""
    names = ("lengthwise.prediction.latency_law.LatencyLaw", "lengthwise.domain.estimate.Estimate",
             "lengthwise.evaluation.protocol.evaluate", "lengthwise.formulations.base.Formulation",
             "lengthwise.testing.check_formulation", "lengthwise.prediction.step_law.StepLaw",
             "lengthwise.prediction.suggest.suggest", "lengthwise.prediction.explain.explain",
             "lengthwise.prediction.energy.energy_of_request",
             "lengthwise.formulations.step.compiled.CompiledStep")  # fmt: skip
    return f"# Python\n\n{NOTE}\n" + "\n".join(f"::: {name}\n" for name in names)


def _table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    def line(cells: tuple[Any, ...]) -> str:
        return "| " + " | ".join(re.sub(r"\|", r"\\|", str(c)) for c in cells) + " |\n"

    return line(columns) + line(("---",) * len(columns)) + "".join(line(row) for row in rows)


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli_page, "table.md": table_page, "formulations.md": formulations_page,
    "datasets.md": datasets_page, "law-file.md": law_file_page, "errors.md": errors_page,
    "file-limits.md": files_page,
    "python.md": python_page, "profiles.md": lambda: profiles_page(NOTE, _table),
}  # fmt: skip
