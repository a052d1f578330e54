"""The one deployment a step law was learnt on, which stands where a question names none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

NAMES = (
    "model", "hardware", "engine", "engine_version", "precision", "kv_precision", "tp", "pp", "ep",
    "dp",
)  # fmt: skip
PLAIN: dict[str, Any] = {
    "engine": "", "engine_version": "", "precision": "auto", "kv_precision": "auto", "tp": 1,
    "pp": 1, "ep": 1, "dp": 1,
}  # fmt: skip
"""What a label is worth that nobody gave; it is left out."""


def only_deployment(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the labels of rows that are all of one deployment; empty for rows of several.

    Parameters
    ----------
    columns
        Complete columns of n rows (:func:`lengthwise.calibration.step.columns.columns_of`).

    Examples
    --------
    >>> one = {name: np.array([PLAIN.get(name, "x")] * 2, dtype=object) for name in NAMES}
    >>> only_deployment({**one, "tp": np.array([4.0, 4.0])})
    {'model': 'x', 'hardware': 'x', 'tp': 4}
    """
    found: dict[str, Any] = {}
    for name in NAMES:
        values = {_plain(value) for value in np.asarray(columns[name], dtype=object)}
        if len(values) != 1:
            return {}
        value = values.pop()
        if value != PLAIN.get(name):
            found[name] = value
    return found


def with_only_deployment(
    given: Mapping[str, Any], training: Mapping[str, Any] | None
) -> tuple[dict[str, Any], list[str]]:
    """Complete the labels of a question by those of a law's only deployment.

    Nothing is added where the question names another model, hardware or engine.

    Parameters
    ----------
    given
        Labels of the question.
    training
        What the law learnt; None if nothing.

    Returns
    -------
    labels, added
        All labels, and the names of those that the law added.

    Examples
    --------
    >>> learnt = {"only": {"model": "llama3.1-8b", "hardware": "h100_sxm", "tp": 4}}
    >>> with_only_deployment({"tp": 2}, learnt)
    ({'model': 'llama3.1-8b', 'hardware': 'h100_sxm', 'tp': 2}, ['model', 'hardware'])
    >>> with_only_deployment({"hardware": "a100_sxm"}, learnt)[1]
    []
    """
    own = (training or {}).get("only") or {}
    if any(given.get(name, own.get(name)) != own.get(name) for name in NAMES[:3]):
        return dict(given), []
    return {**own, **given}, [name for name in own if name not in given]


def check_only(value: Any) -> dict[str, Any]:
    """Read the labels from a law file; one written before they were kept has none."""
    labels = dict(value or {})
    if not set(labels) <= set(NAMES):
        raise ValueError(f"a deployment has the labels {', '.join(NAMES)}")
    if not all(isinstance(x, (str, int)) and not isinstance(x, bool) for x in labels.values()):
        raise ValueError("labels of a deployment must be text or whole numbers")
    return labels


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else int(value)
