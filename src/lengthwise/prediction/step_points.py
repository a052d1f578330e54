"""Points and measured rows as mappings of columns, from whatever holds them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lengthwise.errors import FitWarning, InputError, NothingUsableError
from lengthwise.units import counted

Points = Any
"""DataFrame, path of a table, or a mapping of column names to values."""


def load_points(points: Points, *, measured: bool = False) -> Any:
    """Read a table from a path; anything else is one already.

    Parameters
    ----------
    measured
        The rows are measurements and have to obey the rules of those; phases may be left out.
    """
    if not isinstance(points, (str, Path)):
        return points
    from lengthwise.data.files import read_table

    frame = read_table(points)
    if not measured:
        return frame
    from lengthwise.data.table import prepare

    return prepare(frame if "phase" in frame else frame.assign(phase=_phases(frame)))


def _phases(frame: Any) -> Any:
    """Say what rows are from the lengths they have."""
    known = {name: frame[name].notna() for name in ("isl", "osl", "context_len") if name in frame}
    none = frame.index.to_series().isna()
    request = known.get("isl", none) & known.get("osl", none)
    decode = ~request & known.get("context_len", none)
    return request.map({True: "request", False: "prefill"}).mask(decode, "decode").to_numpy()


def _with_known_load(frame: Any) -> Any:
    """Leave out requests of which only a rate, or a limit beside a rate, is known, and say so."""
    from lengthwise.data.load import is_rate_only

    unknown = is_rate_only(frame)
    if not unknown.any():
        return frame
    rule = "the step law needs the requests in flight of each row, and a rate is not that"
    remedy = "give them as concurrency (throughput x mean E2E), or import the file with its times"
    if unknown.all():
        raise NothingUsableError(rule, got="a request_rate alone in all rows", remedy=remedy)
    warnings.warn(
        f"{rule}: {counted(int(unknown.sum()), 'row')} of {len(frame):,} left out; {remedy}",
        FitWarning, stacklevel=2,
    )  # fmt: skip
    return frame[~unknown]


def mapping_of(points: Points, *, measured: bool = False) -> Mapping[str, Any]:
    """Give the columns of points by name, of measured rows without those of warming up.

    A mapping is taken as it is.

    >>> mapping_of({"isl": [512]})
    {'isl': [512]}
    """
    if isinstance(points, Mapping):
        return points
    frame = load_points(points, measured=measured)
    if not hasattr(frame, "to_dict"):
        raise InputError("points are a table, a mapping of columns or the path of a file",
                         got=type(points).__name__)  # fmt: skip
    if measured and "warmup" in frame:
        frame = frame[~frame["warmup"].fillna(False).astype(bool)]
    if measured:
        frame = _with_known_load(frame)
    return {str(name): frame[name].to_numpy(dtype=object, na_value=None) for name in frame}
