"""Workload traces: when requests arrived and how long they were.

Known are Mooncake (JSON lines: ``timestamp`` in ms, ``input_length``, ``output_length``), Azure
(CSV: ``TIMESTAMP``, ``ContextTokens``, ``GeneratedTokens``) and BurstGPT (CSV: ``Timestamp`` in s,
``Request tokens``, ``Response tokens``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.data.table import read_table
from lengthwise.errors import FileFormatError
from lengthwise.units import FloatArray

IntArray = npt.NDArray[np.int64]

FORMATS: dict[str, tuple[str, str, str]] = {
    "mooncake": ("timestamp", "input_length", "output_length"),
    "azure": ("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    "burstgpt": ("Timestamp", "Request tokens", "Response tokens"),
}


@dataclass(frozen=True)
class Trace:
    """Requests of a trace, by arrival; n requests.

    Attributes
    ----------
    format
        ``mooncake``, ``azure`` or ``burstgpt``.
    arrival_s
        Seconds since the first request, ascending; shape (n,).
    isl, osl
        Tokens; shape (n,).
    left_out
        Requests without output, which cannot be timed.
    """

    format: str
    arrival_s: FloatArray
    isl: IntArray
    osl: IntArray
    left_out: int = 0

    @property
    def request_rate(self) -> float:
        """Mean rate, requests/s; that of one per second for a single instant."""
        span = float(self.arrival_s[-1])
        return (len(self.arrival_s) - 1) / span if span > 0 else float(len(self.arrival_s))

    @property
    def digest(self) -> str:
        """SHA-256 of arrivals and lengths, to tell traces apart."""
        parts = (self.arrival_s, self.isl, self.osl)
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()

    def head(self, n: int) -> Trace:
        """Give the first ``n`` requests."""
        return Trace(self.format, self.arrival_s[:n], self.isl[:n], self.osl[:n], self.left_out)


def read_trace(path: str | Path) -> Trace:
    r"""Read a trace; its format is found from its columns.

    Raises
    ------
    FileFormatError
        If it is none of those known, or a value in it is not what it must be.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "azure.csv")
    ...     _ = path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n"
    ...         "2023-11-16 18:17:03.98,4808,10\n2023-11-16 18:17:04.98,110,27\n")
    ...     trace = read_trace(path)
    >>> trace.arrival_s.tolist(), trace.isl.tolist(), trace.request_rate
    ([0.0, 1.0], [4808, 110], 1.0)
    """
    frame = read_table(path)
    names = set(frame.columns)
    kind = next((name for name, columns in FORMATS.items() if set(columns) <= names), None)
    if kind is None:
        known = "; ".join(f"{name}: {', '.join(columns)}" for name, columns in FORMATS.items())
        raise FileFormatError(
            f"a trace must have the columns of one of these ({known})",
            got=f"{path} with {', '.join(map(str, frame.columns[:8]))}",
            remedy="rename its columns",
        )  # fmt: skip
    when, isl, osl = FORMATS[kind]
    seconds = _seconds(frame[when], kind, path)
    lengths = {name: _lengths(frame[name], path) for name in (isl, osl)}
    order = np.argsort(seconds, kind="stable")
    timed = order[(lengths[osl][order] > 0) & (lengths[isl][order] > 0)]
    if not len(timed):
        raise FileFormatError(
            "a trace needs a request with input and output", got=f"{path} with none",
            remedy="check its lengths",
        )  # fmt: skip
    start = float(seconds[timed[0]])
    return Trace(
        kind, seconds[timed] - start, lengths[isl][timed], lengths[osl][timed],
        len(order) - len(timed),
    )  # fmt: skip


def _seconds(values: pd.Series, kind: str, path: str | Path) -> FloatArray:
    """Give arrival times in seconds; the start is arbitrary."""
    numbers = pd.to_numeric(values, errors="coerce")
    if kind == "azure" and numbers.isna().any():
        times = pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601")
        numbers = (times - times.min()).dt.total_seconds()
    _check(numbers, values, path, numbers.notna(), "a time")
    return numbers.to_numpy(np.float64) / (1e3 if kind == "mooncake" else 1.0)


def _lengths(values: pd.Series, path: str | Path) -> IntArray:
    numbers = pd.to_numeric(values, errors="coerce")
    fits = (numbers >= 0) & (numbers <= 1e9) & (numbers == numbers.round())
    _check(numbers, values, path, fits, "a whole number of tokens")
    return numbers.to_numpy(np.int64)


def _check(
    numbers: pd.Series, values: pd.Series, path: str | Path, fits: pd.Series, what: str
) -> None:
    if not fits.all():
        row = int(np.argmin(fits.to_numpy()))
        raise FileFormatError(
            f"{values.name} of a trace must be {what}",
            got=f"'{values.iloc[row]}' in row {row} of {path}", remedy="mend or drop this row",
        )  # fmt: skip
