"""Files as they are read, before the rules of the table: means set apart, nothing counted twice.

Means over many requests are kept but not offered to a fit as if they were a request: their lengths
are in ``isl_mean`` and ``osl_mean``, and ``isl`` is left empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lengthwise.data.files import format_of, read_noted
from lengthwise.data.finding import PLAIN, kind_of
from lengthwise.data.formats import registry
from lengthwise.data.formats.base import Parsed
from lengthwise.data.repeats import SUMMARY_OF, repeated_files, summaries_of
from lengthwise.data.report import Flag
from lengthwise.units import counted

_ONE_LENGTH = (
    "import the tool's file with one entry per request; or, if all prompts of a run had one "
    "length, --map isl=isl_mean --map osl=osl_mean"
)
_DECLARED = "leave statistic out if all requests of a row had one length"


@dataclass(frozen=True)
class Source:
    """A file that was read: its rows, and the account of its reader."""

    path: Path
    format: str
    parsed: Parsed
    flags: list[Flag] = field(default_factory=list)


def read_source(path: Path, file_format: str | None) -> Source:
    """Read a file in the format that its content has, or in the one named."""
    kind = kind_of(path) if file_format is None else file_format
    if kind == PLAIN:
        frame = read_noted(path)
        return Source(path, format_of(path), Parsed(frame, len(frame)))
    parsed, name = registry.read_format(path, kind)
    return Source(path, name, _means_apart(parsed))


def _means_apart(parsed: Parsed) -> Parsed:
    """Move lengths that are means of many requests out of ``isl`` and ``osl``, and say so."""
    frame, flags = means_apart(parsed.frame)
    return replace(parsed, frame=frame, flags=(*parsed.flags, *flags))


def declared_means(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Flag]]:
    """Return a user's table with the means it declares (``statistic=mean``) set apart, and a flag.

    A row of means is of requests where the table names no phase. A table with a column
    ``isl_mean`` has its means set apart already.

    Examples
    --------
    >>> table = pd.DataFrame({"statistic": ["mean"], "isl": [511.6], "ttft_ms": [20.0]})
    >>> declared_means(table)[0][["phase", "isl_mean"]].values.tolist()
    [['request', 511.6]]
    """
    if "statistic" not in frame or "isl_mean" in frame:
        return frame, []
    if "phase" not in frame and frame["statistic"].notna().all():
        frame = frame.assign(phase="request")
    return means_apart(frame, _DECLARED) if "phase" in frame else (frame, [])


def means_apart(frame: pd.DataFrame, remedy: str = _ONE_LENGTH) -> tuple[pd.DataFrame, list[Flag]]:
    """Return a table whose means have their lengths in columns of their own, and a flag."""
    if "statistic" not in frame or not len(frame):
        return frame, []
    means = ((frame["phase"] == "request") & frame["statistic"].notna()).to_numpy()
    rows = np.flatnonzero(means).tolist()
    if not rows:
        return frame, []
    frame = frame.copy()
    for name in ("isl", "osl"):
        if name in frame:
            old = frame.get(f"{name}_mean", pd.Series(np.nan, frame.index))
            frame[f"{name}_mean"] = old.where(~means, frame[name]).where(means)
            frame[name] = frame[name].where(~means)
    seen = (
        f"{counted(len(rows), 'row')} of means over a run, not of single requests: kept without "
        "isl, so that a fit leaves them out"
    )
    return frame, [Flag.of("means only", "warning", rows, seen, remedy)]


def without_summaries(sources: list[Source]) -> list[Source]:
    """Leave out summaries of requests that are there, and flag files that are there twice."""
    frames = [source.parsed.frame for source in sources]
    repeated = repeated_files([source.path for source in sources])
    out = []
    for index, source in enumerate(sources):
        flags = []
        if index in repeated:
            twin = sources[repeated[index]].path
            flags.append(Flag.of(
                "file twice", "warning", range(len(frames[index])),
                f"the same bytes as {twin}", "name it once; its rows count double in a fit",
            ))  # fmt: skip
        old, told = source.parsed, summaries_of(index, frames)
        if told.any():
            dropped = {**old.dropped, SUMMARY_OF: int(told.sum())}
            frame = old.frame[~told].reset_index(drop=True)
            left = tuple(flag for flag in old.flags if not told.all())
            old = Parsed(frame, old.rows_read, dropped, old.assumptions, left, old.needs)
        out.append(Source(source.path, source.format, old, flags))
    return out
