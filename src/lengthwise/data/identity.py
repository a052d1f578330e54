"""Who was measured: readable keys of deployments and of hardware."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.data.schema import COLUMNS, DEPLOYMENT

NOBODY = "(all)"
"""Key of rows that do not say what was measured."""


def deployment_of(frame: pd.DataFrame) -> pd.Series[Any]:
    """Name the deployment of each row by the columns of ``schema.DEPLOYMENT`` that it has.

    Parameters
    ----------
    frame
        Measurement table, n rows. Missing columns and empty cells are left out of the key.

    Returns
    -------
    categorical Series of shape (n,) on the index of ``frame``, categories in order of appearance.

    Examples
    --------
    >>> rows = {"model": ["llama2-70b", "llama2-70b"], "hardware": "a100-80gb", "tp": [2, 4]}
    >>> deployment_of(pd.DataFrame(rows)).tolist()
    ['llama2-70b | a100-80gb | tp=2', 'llama2-70b | a100-80gb | tp=4']
    """
    return _key_of(frame, DEPLOYMENT)


def hardware_of(frame: pd.DataFrame) -> pd.Series[Any]:
    """Name the hardware of each row, shape (n,).

    >>> hardware_of(pd.DataFrame({"hardware": ["t4", None]})).tolist()
    ['t4', '(all)']
    """
    return _key_of(frame, ("hardware",))


def _key_of(frame: pd.DataFrame, names: Sequence[str]) -> pd.Series[Any]:
    """Join columns into one key; text is made once per distinct combination, not per row."""
    present = [name for name in names if name in frame]
    combined = np.zeros(len(frame), dtype=np.int64)
    labels: list[str] = [""]
    for name in present:
        codes, values = pd.factorize(frame[name])
        parts = ["", *(_part(name, value) for value in values)]
        # Renumber after each column, so that the product of many columns cannot overflow.
        combined, pairs = pd.factorize(combined * len(parts) + codes + 1)
        labels = [_join(labels[p // len(parts)], parts[p % len(parts)]) for p in pairs.tolist()]
    merged, categories = pd.factorize(np.array([x or NOBODY for x in labels], dtype=object))
    key = pd.Categorical.from_codes(merged[combined], categories=pd.Index(categories))
    return pd.Series(key, index=frame.index, name="deployment" if len(names) > 1 else names[0])


def _part(name: str, value: Any) -> str:
    text = f"{value:g}" if isinstance(value, (float, np.floating)) else str(value).strip()
    return f"{name}={text}" if COLUMNS[name].kind == "count" and text else text


def _join(left: str, right: str) -> str:
    return f"{left} | {right}" if left and right else left or right
