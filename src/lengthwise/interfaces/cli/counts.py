"""Whole numbers on the command line: one, several, or a range; lengths as ``8k`` or ``1M``."""

from __future__ import annotations

import re

from lengthwise.errors import InputError

MAX_VALUES = 10_000

_RANGE = re.compile(r"(\d+)-(\d+)(?:([*+])(\d+))?")
_SCALED = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)([kKmM])(?!\w)")
_SCALES = {"k": 1 << 10, "m": 1 << 20}
NOT_TOKENS = frozenset({"--batch", "--batch-size", "--concurrency"})


def parse_length(text: str) -> int:
    """Read one length in tokens: ``8192``, ``8k`` (8,192), ``1.5k`` or ``1M`` (1,048,576).

    ``k`` is 1,024, as in the names of context lengths: 128k is 131,072.

    Examples
    --------
    >>> parse_length("8k"), parse_length("1M"), parse_length("65_536")
    (8192, 1048576, 65536)

    Raises
    ------
    InputError
        If it is not one whole number.
    """
    plain = unscaled(text).strip()
    if not plain.isdecimal():
        raise InputError("a length must be a whole number of tokens", got=repr(text),
                         remedy="write 8192 or 8k, or 1M for 1,048,576")  # fmt: skip
    return int(plain)


def unscaled(text: str) -> str:
    """Write lengths such as 8k in digits; what is not whole stays as it is.

    >>> unscaled("4x8k+2048")
    '4x8k+2048'
    >>> unscaled("8k,1.5k")
    '8192,1536'
    """

    def digits(match: re.Match[str]) -> str:
        tokens = float(match[1]) * _SCALES[match[2].lower()]
        return str(int(tokens)) if tokens.is_integer() else match[0]

    return _SCALED.sub(digits, text.replace("_", ""))


def parse_counts(text: str, option: str) -> list[int]:
    """Read ``1024``, ``1024,2048``, ``128-8192*2`` or ``128-1024+128`` (the syntax of llama-bench).

    Options that count tokens also take ``8k`` and ``1M`` (see :func:`parse_length`).

    Examples
    --------
    >>> parse_counts("128-1024*2", "--isl"), parse_counts("1,4-6", "--batch-size")
    ([128, 256, 512, 1024], [1, 4, 5, 6])
    >>> parse_counts("8k,32k-128k*2", "--isl")
    [8192, 32768, 65536, 131072]

    Raises
    ------
    InputError
        If it is none of these, or means too many values.
    """
    found: list[int] = []
    plain = text.replace("_", "") if option in NOT_TOKENS else unscaled(text)
    for part in plain.split(","):
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
    examples = ("4", "1,2,4", "1-64*2", "1-8+1")
    if option not in NOT_TOKENS:
        examples = ("4096 or 4k", "1024,2048", "128-8192*2", "128-1024+128")
    one, several, doubling, steps = examples
    return InputError(
        f"{option} must be whole numbers", got=repr(text),
        remedy=f"write {one}, or {several}, or {doubling} (doubling), or {steps} (steps)",
    )  # fmt: skip
