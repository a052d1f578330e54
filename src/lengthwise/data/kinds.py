"""Turn the values of a column into its kind: numbers, text or flags."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandas.api import types

from lengthwise.data.places import place
from lengthwise.data.schema import COLUMNS
from lengthwise.errors import ColumnError

_TRUE = {"true", "t", "yes", "y", "1", "1.0"}
_FALSE = {"false", "f", "no", "n", "0", "0.0", ""}


def to_numbers(values: pd.Series) -> pd.Series:
    """Convert to float64, shape (n,); empty cells become NaN, text that is no number is refused.

    >>> to_numbers(pd.Series(["1.5", ""], name="latency_ms")).tolist()
    [1.5, nan]
    """
    if types.is_datetime64_any_dtype(values) and values.name == "timestamp":
        since_1970 = pd.to_datetime(values, utc=True) - pd.Timestamp(0, tz="UTC")
        return since_1970 / pd.Timedelta(seconds=1)
    if types.is_bool_dtype(values) or types.is_complex_dtype(values):
        _refuse(values, np.ones(len(values), dtype=bool))
    if types.is_numeric_dtype(values):
        return pd.Series(values.to_numpy(dtype=float, na_value=np.nan), name=values.name)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if types.is_object_dtype(values):
        values = values.map(_plain)
    blank = (values.isna() | (values.astype(str).str.strip() == "")).to_numpy()
    numbers = pd.to_numeric(values.where(~blank, None), errors="coerce")
    numbers = numbers.astype(float)
    _refuse(values, numbers.isna().to_numpy() & ~blank)
    return numbers


def is_number(text: str) -> bool:
    """Tell whether a text reads as a number.

    >>> is_number("1e3"), is_number("1,000")
    (True, False)
    """
    try:
        float(text)
    except ValueError:
        return False
    return True


def to_text(values: pd.Series) -> pd.Series:
    """Convert to stripped text, shape (n,); empty cells stay empty.

    >>> to_text(pd.Series([" h100 ", None], name="hardware")).tolist()
    ['h100', nan]
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        return to_text(values.astype(values.cat.categories.dtype))
    missing = values.isna()
    if types.is_float_dtype(values) and not missing.all():
        values = values.map(lambda value: f"{value:g}")
    text = values.astype(str).str.strip()
    return text.where(~missing & (text != ""), np.nan)


def to_flag(values: pd.Series) -> pd.Series:
    """Convert to bool, shape (n,); empty cells are False.

    >>> to_flag(pd.Series(["yes", 0, None], name="warmup")).tolist()
    [True, False, False]
    """
    if types.is_bool_dtype(values) and not values.isna().any():
        return values.astype(bool)
    text = values.astype(object).where(values.notna(), "").map(str).str.strip().str.lower()
    bad = ~text.isin(_TRUE | _FALSE).to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        raise ColumnError(
            f"{values.name} must be true or false",
            got=f"{values.iloc[row]!r} in {place(values, row)}",
            remedy="write true or false (empty means false)",
        )  # fmt: skip
    return text.isin(_TRUE)


def _plain(value: object) -> object:
    """Refuse as text what ``to_numeric`` would choke on (lists, bools); keep the rest."""
    number = isinstance(value, (int, float, str)) and not isinstance(value, bool)
    return value if number or value is None or value is pd.NA else str(value)


def _refuse(values: pd.Series, bad: np.ndarray) -> None:
    if not bad.any():
        return
    row = int(np.argmax(bad))
    found = str(values.iloc[row])
    name = str(values.name)
    if "," in found and found.replace(",", "").replace(".", "").isdigit():
        remedy = f"write {found.replace(',', '')} without separators, decimals with a point"
    else:
        remedy = "leave the cell empty if it was not measured, or correct it"
    raise ColumnError(
        f"{name} must be numbers ({COLUMNS[name].unit or 'no unit'})",
        got=f"{found[:60]!r} in {place(values, row)}", remedy=remedy,
    )  # fmt: skip
