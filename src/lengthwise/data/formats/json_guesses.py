"""JSON that no reader knows: what it looks like, and which file to use instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lengthwise.data.formats.base import Document
from lengthwise.data.signatures import Guess
from lengthwise.units import counted

_KNOWN: tuple[tuple[frozenset[str], Guess], ...] = (
    (frozenset({"nbformat", "cells"}), Guess(
        "a Jupyter notebook", "write the table from the notebook: DataFrame.to_csv('table.csv')")),
    (frozenset({"model_type", "architectures"}), Guess(
        "the configuration of a model",
        "it holds no measurement; lengthwise predict --model FILE takes it")),
    (frozenset({"benchmark", "metric", "model"}), Guess(
        "a record of PyTorch's benchmark database (*.pytorch.json)",
        "import the JSON without .pytorch beside it")),
    (frozenset({"added_tokens", "model"}), Guess(
        "a tokenizer", "it holds no measurement: import what a benchmark wrote")),
    (frozenset({"choices", "usage"}), Guess(
        "an answer of the OpenAI API, without times",
        "measure the server: lengthwise measure http://HOST:PORT/v1 -o table.parquet")),
    (frozenset({"weight_map"}), Guess(
        "an index of weights", "it holds no measurement: import what a benchmark wrote")),
)  # fmt: skip


def json_guess(document: Document) -> Guess | None:
    """Return what JSON looks like; None for what is no JSON.

    >>> import tempfile; from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "x.json")
    ...     _ = path.write_text('[{"isl": 512, "ms": [20.5]}]')
    ...     json_guess(Document(path)).looks
    'a JSON array of 1 object with the keys isl, ms, of which ms holds lists'
    """
    if not document.objects:
        return None
    first = document.objects[0]
    known = next((guess for keys, guess in _KNOWN if keys <= set(first)), None)
    return known or _table_guess(document, first)


def _table_guess(document: Document, first: Mapping[str, Any]) -> Guess:
    many = counted(len(document.objects), "object")
    is_array = isinstance(document.json, list)
    form = f"a JSON array of {many}" if is_array else many.replace("object", "JSON object")
    keys = ", ".join(map(str, list(first)[:6])) + (", ..." if len(first) > 6 else "")
    nested = [str(key) for key, value in first.items() if isinstance(value, (list, Mapping))]
    inside = ", ".join(nested[:4]) + (", ..." if len(nested) > 4 else "")
    holds = "holds" if len(nested) == 1 else "hold"
    looks = f"{form} with the keys {keys or '(none)'}"
    if nested:
        return Guess(
            f"{looks}, of which {inside} {holds} lists" if _all_lists(first, nested)
            else f"{looks}, of which {inside} {holds} more JSON",
            "a table has one number or text a cell: write one object per line with such keys only, "
            "and name them with --map; lengthwise import --help lists the files of tools",
        )  # fmt: skip
    remedy = "if it is a table, name its columns with --map"
    if is_array:
        remedy = "write one object per line: jq -c '.[]' FILE > rows.jsonl"
    return Guess(looks, f"{remedy}; lengthwise import --help lists the files of tools")


def _all_lists(first: Mapping[str, Any], keys: list[str]) -> bool:
    return all(isinstance(first[key], list) for key in keys if key in first)
