"""Points and measured rows as mappings of columns, from whatever holds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Points = Any
"""DataFrame, path of a table, or a mapping of column names to values."""


def load_points(points: Points) -> Any:
    """Read a table from a path; anything else is one already."""
    if not isinstance(points, (str, Path)):
        return points
    from lengthwise.data.table import load

    return load(points)


def mapping_of(points: Points, *, drop_warmup: bool = False) -> Mapping[str, Any]:
    """Give the columns of points by name; a mapping is one already.

    >>> mapping_of({"isl": [512]})
    {'isl': [512]}
    """
    if isinstance(points, Mapping):
        return points
    frame = load_points(points)
    if drop_warmup and "warmup" in frame:
        frame = frame[~frame["warmup"].fillna(False).astype(bool)]
    return {str(name): frame[name].to_numpy(dtype=object, na_value=None) for name in frame}
