"""What was sent, in few words: errors tell of it, and must not be longer than it."""

from __future__ import annotations

import reprlib
from typing import Any

LONGEST = 100
"""Characters that a value takes in an error."""

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 3
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 6
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 40


def cut(text: str, most: int = LONGEST) -> str:
    """Return a text, cut where it is longer.

    >>> cut("abcdef", 4)
    'a...'
    """
    return text if len(text) <= most else text[: most - 3] + "..."


def short(value: Any) -> Any:
    """Return a value as it is where it is short, else a few characters of it.

    >>> short(7), short("a" * 200)[:4], short([[[[[]]]]])
    (7, 'aaaa', '[[[[...]]]]')
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return cut(value)
    if isinstance(value, (int, float)):
        return value if abs(value) < 1e18 else cut(_SHORT.repr(value))
    if isinstance(value, Exception):
        return cut(str(value))
    found = _SHORT.repr(value)
    return value if "..." not in found and len(found) <= LONGEST else cut(found)
