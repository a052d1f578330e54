"""Write values as plain JSON and read them back by their declared types.

A dataclass becomes an object of its fields, an array nested lists, NaN becomes null. What JSON
cannot tell apart (tuple or list, array or list) comes from the annotations of the class when it is
read, so a file names no Python class and can execute nothing. Floats are written with all their
digits: what is read equals what was written bit for bit.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Hashable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from lengthwise.errors import ArtifactError

REMEDY = "the file is damaged or was edited: make it again with `lengthwise fit`"

_SCALARS: dict[type, Callable[[Any], bool]] = {
    str: lambda v: isinstance(v, str),
    bool: lambda v: isinstance(v, bool),
    int: lambda v: isinstance(v, int) and not isinstance(v, bool),
}


def to_json(value: Any) -> Any:
    """Turn a value into what :func:`json.dumps` takes.

    >>> to_json((1.5, float("nan"), np.array([1.0, 2.0])))
    [1.5, None, [1.0, 2.0]]
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (np.integer, np.bool_)):
        return value.item()
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, dict):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    if is_dataclass(value):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    raise TypeError(f"no JSON form of {type(value).__name__}")


def from_json(hint: Any, data: Any, where: str) -> Any:
    """Read a value of the declared type.

    Parameters
    ----------
    hint
        A type annotation.
    data
        Parsed JSON.
    where
        Path inside the file, for messages.

    Raises
    ------
    ArtifactError
        If the data do not have that type.

    Examples
    --------
    >>> from_json(tuple[float, ...], [1, 2.5], "edges")
    (1.0, 2.5)
    """
    hint = _meant(hint)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _read_union(hint, data, where)
    if hint is float:
        return read_float(data, where)
    if hint in _SCALARS:
        if not _SCALARS[hint](data):
            raise wrong(f"{where} must be of type {hint.__name__}", data)
        return data
    if origin is np.ndarray or hint is np.ndarray:
        return read_array(data, where)
    if origin is tuple:
        return _read_tuple(get_args(hint), data, where)
    if origin is dict:
        inner = get_args(hint)[1]
        return {k: from_json(inner, v, f"{where}.{k}") for k, v in mapping(data, where).items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return read_dataclass(hint, data, where)
    if data is not None and not isinstance(data, (str, bool, int, float)):
        raise wrong(f"{where} must be a plain value", data)
    return data


def read_dataclass(cls: Any, data: Any, where: str) -> Any:
    """Construct a dataclass from an object of its fields; unknown fields are refused."""
    given = mapping(data, where)
    known = {f.name: f for f in fields(cls) if f.init}
    for name in given:
        if name not in known:
            raise wrong(f"{where} has no field of that name", name)
    hints = hints_of(cls)
    values = {}
    for name, field in known.items():
        if name in given:
            values[name] = from_json(hints[name], given[name], f"{where}.{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ArtifactError(f"{where} must have {name}", got="none", remedy=REMEDY)
    return cls(**values)


def read_float(data: Any, where: str) -> float:
    """Read a number; null is NaN; a number too large for a double is refused."""
    if data is None:
        return float("nan")
    if isinstance(data, bool) or not isinstance(data, (int, float)):
        raise wrong(f"{where} must be a number", data)
    try:
        value = float(data)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise wrong(f"{where} must be a finite number", data)
    return value


def read_array(data: Any, where: str) -> Any:
    """Read nested lists of finite numbers as a float64 array."""
    if not isinstance(data, list):
        raise wrong(f"{where} must be a list of numbers", data)
    try:
        values = np.array(data, dtype=float)
    except (TypeError, ValueError, OverflowError):
        raise wrong(f"{where} must be an even table of numbers", data) from None
    if not np.isfinite(values).all():
        raise wrong(f"{where} must hold finite numbers", data)
    return values


def mapping(data: Any, where: str) -> dict[str, Any]:
    """Require a JSON object."""
    if not isinstance(data, dict):
        raise wrong(f"{where} must be an object", data)
    return data


@cache
def hints_of(cls: Hashable) -> dict[str, Any]:
    """Give the resolved annotations of a class or function."""
    return get_type_hints(cls)


def wrong(rule: str, data: Any) -> ArtifactError:
    """Make the error for a value of the wrong type."""
    return ArtifactError(rule, got=f"{str(data)[:60]!r}", remedy=REMEDY)


def _meant(hint: Any) -> Any:
    """Follow an alias made by a ``type`` statement, as numpy declares NDArray from 2.5 on."""
    while (meaning := getattr(get_origin(hint) or hint, "__value__", None)) is not None:
        hint = meaning
    return hint


def _read_union(hint: Any, data: Any, where: str) -> Any:
    options = get_args(hint)
    if data is None and type(None) in options:
        return None
    rest = [option for option in options if option is not type(None)]
    for option in rest[:-1]:
        try:
            return from_json(option, data, where)
        except ArtifactError:
            continue
    return from_json(rest[-1], data, where)


def _read_tuple(options: tuple[Any, ...], data: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise wrong(f"{where} must be a list", data)
    if len(options) == 2 and options[1] is ...:
        options = (options[0],) * len(data)
    if len(options) != len(data):
        raise wrong(f"{where} must have {len(options)} entries", data)
    return tuple(
        from_json(o, v, f"{where}[{i}]") for i, (o, v) in enumerate(zip(options, data, strict=True))
    )
