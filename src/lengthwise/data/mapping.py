"""Expressions that make columns of the measurement table out of the columns of a foreign file.

::

    latency_ms=step_seconds*1000        arithmetic: + - * / and parentheses, on columns and numbers
    isl=`Prompt Tokens`                 a column with spaces (backticks inside arithmetic)
    phase='prefill'                     a constant

Expressions are parsed and walked, never evaluated as Python: nothing but these forms is accepted.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.data.places import place
from lengthwise.data.schema import COLUMNS, PHASES
from lengthwise.errors import ColumnError, InputError

MAX_LENGTH = 500
"""Longest expression, characters."""

_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_FORMS = "write a column, a number, 'text', or + - * / of columns and numbers"


def apply_mapping(frame: pd.DataFrame, expressions: Sequence[str]) -> pd.DataFrame:
    """Add the columns that expressions define; all other columns stay.

    Parameters
    ----------
    frame
        Foreign table; every expression sees its columns as they are in the file.
    expressions
        ``target=expression`` each.

    Raises
    ------
    InputError
        If an expression is not one of the accepted forms.
    ColumnError
        If it names an unknown column, or computes with text.

    Examples
    --------
    >>> foreign = pd.DataFrame({"prompt": [512], "seconds": [0.02]})
    >>> table = apply_mapping(foreign, ["latency_ms=seconds*1000", "phase='prefill'"])
    >>> table[["phase", "latency_ms"]].values.tolist()
    [['prefill', 20.0]]
    """
    made: dict[str, Any] = {}
    for expression in expressions:
        target, text = split_expression(expression)
        if target in made:
            raise InputError(
                "a column is mapped once", got=f"{target} twice", remedy="delete one --map"
            )
        made[target] = _value(frame, target, text)
    return frame.assign(**made)


def split_expression(expression: str) -> tuple[str, str]:
    """Split ``target=expression``.

    >>> split_expression("latency_ms = t*1000")
    ('latency_ms', 't*1000')
    """
    target, sign, text = (part.strip() for part in expression.partition("="))
    if not sign or not target or not text:
        raise InputError(
            "a mapping reads target=expression", got=repr(expression),
            remedy="for example --map latency_ms=step_seconds*1000",
        )  # fmt: skip
    if len(expression) > MAX_LENGTH:
        raise InputError(
            f"a mapping has at most {MAX_LENGTH} characters", got=f"{len(expression)}",
            remedy="compute the column before importing",
        )  # fmt: skip
    close = get_close_matches(target, COLUMNS, n=1, cutoff=0.8)
    if target not in COLUMNS and close:
        raise InputError(
            "the target of a mapping is a column of the measurement table", got=repr(target),
            remedy=f"did you mean {close[0]}",
        )  # fmt: skip
    return target, text


def _value(frame: pd.DataFrame, target: str, text: str) -> Any:
    if text in frame.columns:
        return frame[text]
    if target == "phase" and text in PHASES:
        return text  # the shell has eaten the quotes of phase="prefill"
    names: dict[str, str] = {}
    tree = _parsed(text, names)
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        return tree.value
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            return _computed(tree, frame, names, text)
    except RecursionError:
        raise _refused(text) from None


def _parsed(text: str, names: dict[str, str]) -> ast.expr:
    """Parse, with each name in backticks replaced by a plain one that ``names`` explains."""

    def plain(found: re.Match[str]) -> str:
        names[f"column_{len(names)}_"] = found[1].strip()
        return f"column_{len(names) - 1}_"

    try:
        return ast.parse(re.sub(r"`([^`]+)`", plain, text), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _refused(text) from None


def _computed(
    node: ast.expr, frame: pd.DataFrame, names: Mapping[str, str], text: str
) -> float | pd.Series[Any]:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return float(node.value)
    if isinstance(node, ast.Name):
        return _column(frame, names.get(node.id, node.id), text, alone=text == node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = _numbers(_computed(node.operand, frame, names, text), text)
        return value * (-1.0 if isinstance(node.op, ast.USub) else 1.0)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        left = _numbers(_computed(node.left, frame, names, text), text)
        right = _numbers(_computed(node.right, frame, names, text), text)
        return _operated(node.op, left, right, text)
    raise _refused(text)


def _operated(op: ast.operator, left: Any, right: Any, text: str) -> float | pd.Series[Any]:
    if isinstance(op, ast.Div):
        zero = np.atleast_1d(np.asarray(right) == 0)
        if zero.any():
            raise ColumnError(
                "a mapping must not divide by zero", got=f"{text!r} in row {int(zero.argmax())}",
                remedy="drop such rows before importing",
            )  # fmt: skip
    result: float | pd.Series[Any] = _OPERATIONS[type(op)](left, right)
    return result


def _column(frame: pd.DataFrame, name: str, text: str, alone: bool) -> pd.Series[Any]:
    if name in frame.columns:
        return frame[name]
    columns = [str(column) for column in frame.columns]
    folded = {column.lower(): column for column in columns}
    close = [folded[c] for c in get_close_matches(name.lower(), folded, n=3, cutoff=0.5)]
    remedy = f"did you mean {' or '.join(close)}" if close else f"choose of {', '.join(columns)}"
    if alone:
        remedy += f"; for the constant text write it in quotes inside quotes: \"...='{name}'\""
    raise ColumnError(
        "a mapping uses columns of the file", got=f"unknown column {name!r} in {text!r}",
        remedy=remedy,
    )  # fmt: skip


def _numbers(value: float | pd.Series[Any], text: str) -> float | pd.Series[Any]:
    if not isinstance(value, pd.Series):
        return value
    numbers = pd.to_numeric(value, errors="coerce").astype(float)
    bad = (numbers.isna() & value.notna()).to_numpy()
    if bad.any():
        row = int(bad.argmax())
        raise ColumnError(
            "a mapping computes with numbers",
            got=f"{value.iloc[row]!r} in {place(value, row)} of {text!r}",
            remedy="map the column as it is, or correct these cells",
        )  # fmt: skip
    return numbers


def _refused(text: str) -> InputError:
    hint = "; put backticks around names with spaces" if re.search(r"\w \w", text) else ""
    return InputError(
        "a mapping is arithmetic on columns", got=repr(text[:80]), remedy=_FORMS + hint
    )
