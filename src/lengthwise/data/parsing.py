"""JSON and TOML of others, within limits: nesting, digits, and text that can be written again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from lengthwise.data import limits
from lengthwise.errors import FileFormatError

_LONG = 19
"""Characters from which a whole number may not fit 64 bits."""

_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_HALF = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_DOTTED = re.compile(r"""(?:["'\w-]+[ \t]*\.[ \t]*){17}""")


def parse_json(
    text: str, where: object, *, constant: Callable[[str], Any] | None = None
) -> Any:  # fmt: skip
    """Return the value of a JSON text.

    Parameters
    ----------
    text
        The text, without a byte order mark.
    where
        File, or line of it, for errors.
    constant
        What becomes of NaN and Infinity; they are floats when left out.

    Raises
    ------
    json.JSONDecodeError
        If it is not JSON.
    FileFormatError
        If it is nested too deeply, or a number has too many digits.

    Examples
    --------
    >>> parse_json('{"isl": 512, "n": 123456789012345678901}', "t.json")
    {'isl': 512, 'n': 1.2345678901234568e+20}
    """
    decoder = _DECODER if constant is None else _decoder(constant)
    try:
        value = decoder.decode(text)
    except RecursionError:
        limits.NESTING.refuse(where, "more")
    except _TooLongError as error:
        limits.DIGITS.refuse(where, f"{error} digits")
    if _may_be_deep(text):
        check_nesting(value, where)
    return _mended(value) if has_half_characters(text) else value


def json_inside(text: str | bytes) -> Any:
    """Return the value of a JSON text that a file holds somewhere; None where it is none.

    >>> json_inside('{"a": 1}'), json_inside("{"), json_inside("[" * 100_000)
    ({'a': 1}, None, None)
    """
    plain = text if isinstance(text, str) else text.decode("utf-8", "replace")
    try:
        return parse_json(plain.strip(), "it")
    except ValueError:
        return None


def parse_value(text: str, start: int, where: object) -> tuple[Any, int]:
    """Return the JSON value that begins at a place of a text, and where it ends.

    Raises
    ------
    json.JSONDecodeError, FileFormatError
        As :func:`parse_json`, except that nesting is checked up to what can be parsed.
    """
    try:
        return _DECODER.raw_decode(text, start)
    except RecursionError:
        limits.NESTING.refuse(where, "more")
    except _TooLongError as error:
        limits.DIGITS.refuse(where, f"{error} digits")


def parse_toml(text: str, where: object) -> dict[str, Any]:
    """Return the tables of a TOML text.

    Raises
    ------
    tomllib.TOMLDecodeError
        If it is not TOML.
    FileFormatError
        If it is nested too deeply, or a number has too many digits.

    Examples
    --------
    >>> parse_toml("peak_flops.bf16 = 1e14", "gpu.toml")
    {'peak_flops': {'bf16': 100000000000000.0}}
    """
    import tomllib

    dotted = _DOTTED.search(text)
    if dotted is not None:
        raise FileFormatError("a key of TOML must have at most 16 parts",
                              got=f"{dotted[0][:20]}... in {where}",
                              remedy="check that this is the file you meant")  # fmt: skip
    try:
        found = tomllib.loads(text)
    except RecursionError:
        limits.NESTING.refuse(where, "more")
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:  # more digits than Python turns into a number
        raise FileFormatError("TOML must be readable", got=f"{error!s:.80} in {where}",
                              remedy="write this number with fewer digits") from None  # fmt: skip
    check_nesting(found, where)
    return found


def check_nesting(value: Any, where: object) -> None:
    """Refuse a value that is nested too deeply.

    Raises
    ------
    FileFormatError
        If it is.
    """
    level = [value] if isinstance(value, (Mapping, list)) else []
    for _ in range(limits.NESTING.value):
        level = [item for one in level for item in _inside(one)]
        if not level:
            return
    limits.NESTING.refuse(where, "more")


def has_half_characters(text: str) -> bool:
    r"""Whether a JSON text has halves of characters, which no file and no terminal takes.

    >>> has_half_characters(r'"\ud800"'), has_half_characters(r'"\ud83d\ude00"')
    (True, False)
    """
    if "\\u" not in text or _HALF.search(text) is None:
        return False
    return _HALF.search(_PAIR.sub("", text)) is not None


class _TooLongError(ValueError):
    """A whole number has more digits than allowed."""


def _inside(value: Any) -> list[Any]:
    items = value.values() if isinstance(value, Mapping) else value
    return [item for item in items if isinstance(item, (Mapping, list))]


def _whole(text: str) -> int | float:
    if len(text) < _LONG:
        return int(text)
    if len(text) > limits.DIGITS.value:
        raise _TooLongError(len(text))
    value = int(text)
    return value if -(2**63) <= value < 2**63 else float(text)  # a float, as others read it


def _decoder(constant: Callable[[str], Any] | None) -> json.JSONDecoder:
    return json.JSONDecoder(parse_int=_whole, parse_constant=constant)


_DECODER = _decoder(None)


def _may_be_deep(text: str) -> bool:
    """Whether pairs of brackets are left when the innermost are taken away again and again."""
    most = limits.NESTING.value
    if text.count("[") + text.count("{") <= most:
        return False
    rest = text.encode(errors="replace").translate(None, _NOT_BRACKETS)
    for _ in range(most // 2):
        if not rest:
            return False
        rest = rest.replace(b"[]", b"").replace(b"{}", b"")
    return bool(rest)


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return [_mended(item) for item in value] if isinstance(value, list) else value
