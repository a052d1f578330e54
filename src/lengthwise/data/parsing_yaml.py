"""YAML of others, within limits: what its aliases stand for is counted before anybody walks it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from lengthwise.data import limits
from lengthwise.errors import FileFormatError

MOST_ALIASED = 1_000_000
"""Values that a document with aliases may stand for, each counted wherever it is meant."""


def parse_yaml(text: str, where: object) -> list[Any]:
    """Return the documents of a YAML text; empty ones are left out.

    Raises
    ------
    FileFormatError
        If it is not YAML, is nested too deeply, or stands for far more than it says.
    ModuleNotFoundError
        If pyyaml is not installed.

    Examples
    --------
    >>> parse_yaml("a: [1, 2]", "report.yaml")
    [{'a': [1, 2]}]
    """
    yaml = importlib.import_module("yaml")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = [one for one in yaml.load_all(text, Loader=loader) if one is not None]
    except (yaml.YAMLError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError,
            RecursionError) as error:  # fmt: skip
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileFormatError(
            "YAML must be sound", got=f"{why:.120} in {where}",
            remedy="check that the file is as the tool wrote it",
        ) from None  # fmt: skip
    if _meant(found, 0, {}, where) > MOST_ALIASED and "*" in text:
        raise FileFormatError(
            f"the aliases of a YAML file must stand for at most {MOST_ALIASED:,} values",
            got=f"more in {where}", remedy="write the report without aliases, or as JSON",
        )  # fmt: skip
    return found


def _meant(value: Any, depth: int, known: dict[int, int], where: object) -> int:
    """Count values, those under an alias wherever it is used."""
    if not isinstance(value, (Mapping, list, tuple, set)):
        return 1
    if depth > limits.NESTING.value:  # an alias of what it is inside of ends here as well
        limits.NESTING.refuse(where, "more")
    if id(value) not in known:
        inside = value.values() if isinstance(value, Mapping) else value
        known[id(value)] = 1 + sum(_meant(one, depth + 1, known, where) for one in inside)
    return known[id(value)]
