"""From files of any shape to a measurement table and the account of how it got there.

A file is a plain table (CSV, TSV, Parquet, JSON lines with our columns or any others) or the result
of a benchmark tool, found by its content (:mod:`lengthwise.data.formats`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from lengthwise.data.checks import check_table, skipped_by_reason, usable
from lengthwise.data.finding import expand
from lengthwise.data.formats import registry
from lengthwise.data.load_columns import with_load, with_load_from
from lengthwise.data.lookalikes import RELEVANT, lookalikes
from lengthwise.data.mapping import apply_mapping
from lengthwise.data.places import forget, lines_of
from lengthwise.data.report import Flag, ImportReport
from lengthwise.data.schema import COLUMNS, DEPLOYMENT, LOAD
from lengthwise.data.separating import may_separate, separations
from lengthwise.data.settings import BETWEEN, NAME, with_settings
from lengthwise.data.sources import Source, declared_means, read_source, without_summaries
from lengthwise.data.table import prepare
from lengthwise.errors import InputError, NothingUsableError

PARTIAL = "partial"
"""Attribute of a table that an interrupted import gave."""


def import_table(
    path: str | Path, *, maps: Sequence[str] = (), constants: Mapping[str, str] | None = None,
    file_format: str | None = None,
) -> tuple[pd.DataFrame, ImportReport]:  # fmt: skip
    """Read, map, fill in constants, prepare and check a file. Every row is kept.

    Parameters
    ----------
    path
        CSV, TSV, Parquet, JSON lines, the result file of a benchmark tool, or a folder of them.
    maps
        Expressions ``target=expression``, see :mod:`lengthwise.data.mapping`.
    constants
        Columns with one value for the whole file; they win over columns of the file.
    file_format
        A name of :mod:`lengthwise.data.formats.registry` or ``table``; found when left out.

    Raises
    ------
    InputError
        If the file, an expression or a hard rule of the table fails.

    Examples
    --------
    >>> import json, tempfile
    >>> run = {"backend": "vllm", "model_id": "llama3-8b", "max_concurrency": 1, "completed": 1,
    ...        "total_token_throughput": 9.0, "mean_ttft_ms": 30.0, "ttfts": [0.03],
    ...        "itls": [[0.01, 0.01]], "input_lens": [512], "output_lens": [3], "errors": [""]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "run.json")
    ...     _ = path.write_text(json.dumps(run))
    ...     table, report = import_table(path)
    >>> report.format, table[["ttft_ms", "tpot_ms", "e2e_ms"]].round(6).values.tolist()
    ('vllm-serve', [[30.0, 10.0, 50.0]])
    """
    table, reports = import_files([path], maps=maps, constants=constants, file_format=file_format)
    return table, reports[0] if len(reports) == 1 else _merged(str(path), reports)


def import_files(
    paths: Sequence[str | Path], *, maps: Sequence[str] = (),
    constants: Mapping[str, str] | None = None, file_format: str | None = None,
) -> tuple[pd.DataFrame, list[ImportReport]]:  # fmt: skip
    """Import several files, or folders of them, as one table, with a report for each file.

    A summary of requests that another of the files holds is left out and counted; files with the
    same content are flagged. Parameters are those of :func:`import_table`. An interrupt ends it
    with the files read so far, if any: ``table.attrs["partial"]`` then says how many.
    """
    files = expand([Path(path) for path in paths], file_format)
    sources = _read_all(files.paths, file_format)
    count = len(sources)
    sources = without_summaries(sources)
    tables = []
    reports: list[ImportReport] = []
    for source in sources:
        table, report = _prepared(source, maps, constants or {})
        if table is not None:
            tables.append(table)
        reports.append(report)
    if files.ignored:
        reports[0].assumptions.append(files.ignored)
    if not tables:
        raise NothingUsableError(
            "an import needs at least one measurement", got=_reasons(reports),
            remedy="check that requests of the run succeeded",
        )  # fmt: skip
    joined = tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)
    joined, told = _with_settings(joined, sources)
    reports[0].assumptions.extend(told)
    if count < len(files.paths):
        joined.attrs[PARTIAL] = f"interrupted: {count} of {len(files.paths)} files were read"
        reports[0].assumptions.append(joined.attrs[PARTIAL])
    return joined, reports


def _read_all(paths: Sequence[Path], file_format: str | None) -> list[Source]:
    """Read one file after the other; an interrupt ends it with those that were read, if any."""
    sources: list[Source] = []
    try:
        for path in paths:
            sources.append(read_source(path, file_format))
    except KeyboardInterrupt:
        if not sources:
            raise
    return sources


def report_on(
    table: pd.DataFrame, source: str, kind: str, before: pd.DataFrame | None = None
) -> ImportReport:
    """Account for a prepared table; ``before`` is the frame it was prepared from."""
    skipped = skipped_by_reason(table)
    unknown = [str(name) for name in table.columns if name not in COLUMNS]
    return ImportReport(
        source=source,
        format=kind,
        rows_read=len(table),
        rows_kept=len(table) - sum(skipped.values()),
        skipped=skipped,
        flags=check_table(table),
        assumptions=_assumptions(table, table if before is None else before),
        unknown_columns=unknown,
    )


def _prepared(
    source: Source, maps: Sequence[str], constants: Mapping[str, str]
) -> tuple[pd.DataFrame | None, ImportReport]:
    parsed, frame = source.parsed, source.parsed.frame.copy()
    dropped = {f"{reason} (left out)": count for reason, count in parsed.dropped.items()}
    if frame.empty:
        lost = sum(dropped.values())
        return None, ImportReport(str(source.path), source.format, lost, 0, dropped)
    if maps:
        frame = apply_mapping(frame, maps)
    frame = frame.assign(**{name: _constant(name, text) for name, text in constants.items()})
    is_table = source.format not in registry.NAMES
    frame, means = declared_means(frame) if is_table else (frame, [])
    frame, loads = with_load(frame)
    _check_needs(parsed.needs, frame, source)
    table = with_load_from(prepare(frame), frame)
    report = report_on(table, str(source.path), source.format, frame)
    if "source" not in table:
        table = table.assign(source=source.path.name)
    settled = _settled(table)
    flags = [*source.flags, *(f for f in parsed.flags if f.rule not in settled), *means]
    flags = [_with_lines(flag, table) for flag in (*flags, *report.flags)]
    return forget(table), ImportReport(
        report.source, report.format, report.rows_read + sum(dropped.values()), report.rows_kept,
        {**dropped, **report.skipped},
        flags,
        [*parsed.assumptions, *loads, *_unnamed(source, table), *report.assumptions],
        report.unknown_columns,
    )  # fmt: skip


def _with_settings(
    table: pd.DataFrame, sources: Sequence[Source]
) -> tuple[pd.DataFrame, list[str]]:
    """Tell deployments apart by the settings of all files; those of results by what they explain.

    A column that explains why rows of one point differ is a setting where a tool wrote it; in a
    table of the user's it is only flagged.
    """
    of_tools = all(source.format in registry.NAMES for source in sources)
    table = with_settings(table)
    if NAME in table or not of_tools:
        return table, _told(table)
    good = table[usable(table)]
    found = separations(good, may_separate(good, extra_only=True))
    return (table := with_settings(table, [one.column for one in found])), _told(table)


def _told(table: pd.DataFrame) -> list[str]:
    if NAME not in table:
        return []
    names = sorted({part.partition("=")[0] for text in table[NAME].dropna().unique()
                    for part in str(text).split(BETWEEN)})  # fmt: skip
    return [f"rows that differ in {' or '.join(names)} are of different deployments ({NAME})"]


def _with_lines(flag: Flag, table: pd.DataFrame) -> Flag:
    """Name the lines of the file on which the rows of a flag stand, where they are known."""
    return replace(flag, lines=tuple(lines_of(table, flag.rows).values()))


def _settled(table: pd.DataFrame) -> set[str]:
    """Rules that no longer hold because the user has given what was missing."""
    if "statistic" not in table or "isl" not in table:
        return set()
    return {"means only"} if table["isl"].notna().all() else set()


def _check_needs(needs: Sequence[str], frame: pd.DataFrame, source: Source) -> None:
    absent = [name for name in needs if name not in frame or frame[name].isna().all()]
    if absent:
        title = registry.get(source.format).TITLE
        raise InputError(
            f"a file of {title} is of use with {', '.join(absent)} only, which it does not hold",
            got=str(source.path),
            remedy=f"say how the run was started: {' '.join(f'--set {n}=N' for n in absent)}",
        )  # fmt: skip


def _unnamed(source: Source, table: pd.DataFrame) -> list[str]:
    """Name what a result file leaves open about the deployment."""
    if source.format not in registry.NAMES:
        return []
    open_ = [name for name in ("model", "hardware") if name not in table]
    options = " ".join(f"--set {name}=NAME" for name in open_)
    return [f"{' and '.join(open_)} not in the file; to name: {options}"] if open_ else []


def _merged(source: str, reports: list[ImportReport]) -> ImportReport:
    """Add the reports of the files of a folder up; rows of flags count within their file."""
    skipped: dict[str, int] = {}
    for report in reports:
        for reason, count in report.skipped.items():
            skipped[reason] = skipped.get(reason, 0) + count
    return ImportReport(
        source, " and ".join(dict.fromkeys(report.format for report in reports)),
        sum(report.rows_read for report in reports), sum(report.rows_kept for report in reports),
        skipped, [flag for report in reports for flag in report.flags],
        list(dict.fromkeys(text for report in reports for text in report.assumptions)),
        list(dict.fromkeys(name for report in reports for name in report.unknown_columns)),
    )  # fmt: skip


def _reasons(reports: list[ImportReport]) -> str:
    counts = _merged("", reports).skipped
    return ", ".join(f"{count:,} times {reason}" for reason, count in counts.items()) or "no record"


def _assumptions(table: pd.DataFrame, before: pd.DataFrame) -> list[str]:
    made = []
    if "batch_size" in table:
        given = before["batch_size"].notna().sum() if "batch_size" in before else 0
        filled = int(table["batch_size"].notna().sum() - given)
        if filled > 0:
            made.append(f"batch_size is 1 in {filled:,} rows that say nothing about load")
    phases = [str(phase) for phase in table["phase"].unique()]
    relevant = [c for phase in phases for c in RELEVANT[phase]]
    relevant += LOAD if "request" in phases else ()
    targets = dict.fromkeys([*relevant, *DEPLOYMENT])
    for name, target, mapping in lookalikes(table.columns, targets):
        if target not in table:
            made.append(f"{name} is not read as {target}; to use it: --map {mapping}")
    return made


def _constant(name: str, text: str) -> str | float:
    column = COLUMNS.get(name)
    if column is None or column.kind in ("text", "flag"):
        return text
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"{name} must be a number ({column.unit or 'no unit'})", got=f"--set {name}={text}",
            remedy=f"write --set {name}=1, or --map {name}=COLUMN to take it from the file",
        ) from None  # fmt: skip
