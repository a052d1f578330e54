"""Who was measured: readable keys of deployments and of hardware."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.data.load import only_loads
from lengthwise.data.schema import COLUMNS, DEPLOYMENT, LOAD

NOBODY = "(all)"
"""Key of rows that do not say what was measured."""


def deployment_of(frame: pd.DataFrame, *, with_load: bool = True) -> pd.Series[Any]:
    """Name the deployment of each row by the columns of ``schema.DEPLOYMENT`` that it has.

    Parameters
    ----------
    frame
        Measurement table, n rows. Missing columns and empty cells are left out of the key.
    with_load
        Whether rows under load (:mod:`lengthwise.data.load`) are told apart by it.

    Returns
    -------
    categorical Series of shape (n,) on the index of ``frame``, categories in order of appearance.

    Examples
    --------
    >>> rows = {"model": ["llama2-70b", "llama2-70b"], "hardware": "a100-80gb", "tp": [2, 4]}
    >>> deployment_of(pd.DataFrame(rows)).tolist()
    ['llama2-70b | a100-80gb | tp=2', 'llama2-70b | a100-80gb | tp=4']
    >>> deployment_of(pd.DataFrame({"model": "m", "concurrency": [1, 8]})).tolist()
    ['m', 'm | concurrency=8']
    """
    if not with_load:
        return _key_of(frame, DEPLOYMENT)
    return _key_of(only_loads(frame), (*DEPLOYMENT, *LOAD))


def labels_of(rows: pd.DataFrame) -> dict[str, object]:
    """Read the labels of one deployment from its first row; a load only where there is one.

    Parameters
    ----------
    rows
        Rows of one deployment; none give no labels.

    Examples
    --------
    >>> labels_of(pd.DataFrame({"model": ["m"], "tp": [2.0], "concurrency": [1.0]}))
    {'model': 'm', 'tp': 2.0}
    """
    first = only_loads(rows.iloc[:1])
    present = [name for name in (*DEPLOYMENT, *LOAD) if name in first] if len(first) else []
    known = {name: first[name].tolist()[0] for name in present}
    return {name: None if pd.isna(value) else value for name, value in known.items()}


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
    return f"{name}={text}" if COLUMNS[name].kind in ("count", "rate") and text else text


def _join(left: str, right: str) -> str:
    return f"{left} | {right}" if left and right else left or right
