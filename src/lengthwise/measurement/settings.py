"""Settings that only one engine knows, given as text by name; unknown names are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lengthwise.errors import InputError


def read_settings(
    engine: str, given: Mapping[str, str], known: Mapping[str, Any]
) -> dict[str, Any]:
    """Read settings by the type of their defaults.

    Parameters
    ----------
    engine
        Name of the engine, for messages.
    given
        Texts by name.
    known
        Defaults by name; a tuple lists the words allowed, its first is the default.

    Raises
    ------
    InputError
        If a name is unknown or a text does not fit.

    Examples
    --------
    >>> read_settings("x", {"cache": "static"}, {"cache": ("dynamic", "static"), "beams": 1})
    {'cache': 'static', 'beams': 1}
    """
    for name in given:
        if name not in known:
            raise InputError(f"settings of {engine} are {', '.join(known)}", got=repr(name),
                             remedy="leave it out or mend the name")  # fmt: skip
    return {name: _read(engine, name, given.get(name), default) for name, default in known.items()}


def _read(engine: str, name: str, text: str | None, default: Any) -> Any:
    if isinstance(default, tuple):
        if text is None or text in default:
            return text or default[0]
        raise InputError(f"{name} of {engine} must be one of {', '.join(default)}",
                         got=repr(text), remedy=f"write {name}={default[0]}")  # fmt: skip
    if text is None:
        return default
    try:
        return type(default)(int(text) if isinstance(default, bool) else text)
    except ValueError:
        raise InputError(f"{name} of {engine} must be a number", got=repr(text),
                         remedy=f"write {name}={int(default)}") from None  # fmt: skip
