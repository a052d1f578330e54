"""Whole numbers on the command line: one, several, or a range."""

from __future__ import annotations

import re

from lengthwise.errors import InputError

MAX_VALUES = 10_000

_RANGE = re.compile(r"(\d+)-(\d+)(?:([*+])(\d+))?")


def parse_counts(text: str, option: str) -> list[int]:
    """Read ``1024``, ``1024,2048``, ``128-8192*2`` or ``128-1024+128`` (the syntax of llama-bench).

    Examples
    --------
    >>> parse_counts("128-1024*2", "--isl"), parse_counts("1,4-6", "--batch-size")
    ([128, 256, 512, 1024], [1, 4, 5, 6])

    Raises
    ------
    InputError
        If it is none of these, or means too many values.
    """
    found: list[int] = []
    for part in text.replace("_", "").split(","):
        match = _RANGE.fullmatch(part.strip())
        if match:
            found += _range(match, option)
        elif part.strip().isdecimal():
            found.append(int(part))
        else:
            raise _wrong(option, text)
    return list(dict.fromkeys(found))


def _range(match: re.Match[str], option: str) -> list[int]:
    first, last = int(match[1]), int(match[2])
    grow, step = match[3] == "*", int(match[4] or 1)
    if last < first or step < 1 + grow or (grow and first < 1):
        raise _wrong(option, match[0])
    found = [first]
    while (following := found[-1] * step if grow else found[-1] + step) <= last:
        found.append(following)
        if len(found) > MAX_VALUES:
            raise InputError(f"{option} may name at most {MAX_VALUES:,} values", got=match[0],
                             remedy="use a larger step, or --table")  # fmt: skip
    return found


def _wrong(option: str, text: str) -> InputError:
    return InputError(
        f"{option} must be whole numbers", got=repr(text),
        remedy="write 4096, or 1024,2048, or 128-8192*2 (doubling), or 128-1024+128 (steps)",
    )  # fmt: skip
