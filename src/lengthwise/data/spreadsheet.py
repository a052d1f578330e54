"""Text in CSV that a spreadsheet would run as a formula, and how it is kept from doing so.

A cell that begins with ``=``, ``+``, ``-``, ``@`` or a control character, and is no number, gets a
single quote in front, which spreadsheets take away; our own reader takes it away too, so that a
table comes back as it was. ``LENGTHWISE_CSV_ESCAPE=off`` switches both off.
"""

from __future__ import annotations

import os
import re
from typing import Any

import pandas as pd

from lengthwise.errors import InputError

SETTING = "LENGTHWISE_CSV_ESCAPE"

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
_FORMULA = rf"'*(?:[=@\t\r\n]|[+-](?!{_NUMBER}|$))"
_BEGINS = re.compile(_FORMULA)
_QUOTED = re.compile(f"'(?={_FORMULA})")


def is_on() -> bool:
    """Whether formulas are kept from running.

    Raises
    ------
    InputError
        If the setting is neither ``on`` nor ``off``.
    """
    text = os.environ.get(SETTING, "on").strip().lower() or "on"
    if text not in ("on", "off"):
        raise InputError(f"{SETTING} must be on or off", got=repr(text[:20]),
                         remedy="unset it for on")  # fmt: skip
    return text == "on"


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table for CSV in which no cell and no name is a formula.

    Examples
    --------
    >>> frame = pd.DataFrame({"model": ["=1+1", "-5", "llama"]})
    >>> without_formulas(frame)["model"].tolist()
    ["'=1+1", '-5', 'llama']
    """
    if not is_on():
        return frame
    frame = frame.rename(columns=quoted)
    for name in frame.columns[[not _is_numeric(kind) for kind in frame.dtypes]]:
        values = frame[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            if any(_is_formula(value) for value in values.cat.categories):
                frame = frame.assign(**{name: values.astype(object).map(quoted)})
        elif any(_is_formula(value) for value in values.unique()):
            frame = frame.assign(**{name: values.map(quoted)})
    return frame


def quoted(value: Any) -> Any:
    """Return a cell with a quote in front if it would be a formula."""
    return f"'{value}" if _is_formula(value) else value


def unquoted(value: Any) -> Any:
    """Return a cell without the quote that keeps it from being a formula.

    >>> unquoted("'=1+1"), unquoted("'tis"), unquoted(quoted("''-x"))
    ('=1+1', "'tis", "''-x")
    """
    return value[1:] if isinstance(value, str) and _QUOTED.match(value) else value


def _is_formula(value: Any) -> bool:
    return isinstance(value, str) and _BEGINS.match(value) is not None


def _is_numeric(kind: Any) -> bool:
    return pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)
