"""Which model the rows of a measurement table are about."""

from __future__ import annotations

import pandas as pd

from lengthwise.data.identity import deployment_of
from lengthwise.data.model_files import load_model
from lengthwise.domain.model import ModelSpec, find_model


def with_model(
    table: pd.DataFrame, model: ModelSpec | str | None
) -> tuple[pd.DataFrame, dict[str, ModelSpec]]:
    """Say what model the rows are about that do not say it themselves.

    Parameters
    ----------
    table
        Measurement table, n rows.
    model
        A model, its name or its ``config.json``; None changes nothing.

    Returns
    -------
    table, known
        The table with the column ``model`` filled where it was empty, and the model by the names
        that stand for it: its own, and the one in the table when that has one deployment.

    Raises
    ------
    InputError
        If no model of that name is known.

    Examples
    --------
    >>> rows = pd.DataFrame({"phase": "prefill", "isl": [1, 2], "latency_ms": 1.0})
    >>> table, known = with_model(rows, "Llama-3.1-8B-Instruct")
    >>> table["model"].tolist(), known["llama3.1-8b"].layers
    (['llama3.1-8b', 'llama3.1-8b'], 32)
    """
    if model is None:
        return table, {}
    spec = load_model(model) if isinstance(model, str) else model
    known = {spec.name: spec}
    if deployment_of(table).nunique() == 1:
        known |= dict.fromkeys(model_names(table), spec)
    named = table["model"] if "model" in table else pd.Series(None, table.index, dtype=object)
    empty = named.isna() | (named.astype(str).str.strip() == "")
    if not empty.any():
        return table, known
    return table.assign(model=named.astype(object).mask(empty, spec.name)), known


def model_names(table: pd.DataFrame) -> list[str]:
    """Return the distinct models a table names, in order of appearance.

    >>> model_names(pd.DataFrame({"model": ["b", None, "a", "b"]}))
    ['b', 'a']
    """
    if "model" not in table:
        return []
    names = (str(name) for name in table["model"].dropna().unique())
    return [name for name in names if name.strip()]


def unknown_models(table: pd.DataFrame) -> list[str]:
    """Return the models a table names that :func:`~lengthwise.find_model` does not know.

    >>> unknown_models(pd.DataFrame({"model": ["qwen3-8b", "our-llm"]}))
    ['our-llm']
    """
    return [name for name in model_names(table) if find_model(name) is None]
