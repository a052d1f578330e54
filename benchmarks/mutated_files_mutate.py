"""Mutations of files: values of JSON, cells of tables, lines of TOML, bytes of anything."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Iterator
from typing import Any

VALUES: list[Any] = [
    None, True, False, 0, -1, 1, -0.0, 1e308, -1e308, 5e-324, 1e15, -1e15, 0.5, 2, 10**30,
    -(10**30), 2**63, -(2**63), 10**12, "", "x", "NaN", "inf", "-1", "1e999", "0x10", [], {},
    [[]], [None], {"a": 1}, "a" * 3000, "\ud800",
    "\u0000", "\u202e", "\x1b[31m", "../../etc/passwd", "<b>", "=1+1",
    [1, 2, 3], [-1.0], [1e308] * 3, 1e9, -1e9, 1e4, -1e4, 3.0, [[1], [2, 3]], [True], "2026-02-30",
]  # fmt: skip
RAW = ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "1" * 5000, '"\\ud800"',
       "[" * 80 + "]" * 80, "[" * 3000 + "]" * 3000]  # fmt: skip
FACTORS = [-1, 0, 1e-9, 1e9, 1e3, -1e3, 0.5, 2, 1 + 1e-9]
CELLS = [b"-5", b"0", b"NaN", b"inf", b"-inf", b"1e308", b"1e-308", b"9" * 30, b"", b"x", b'"',
         b"1;2", b"0x1f", b"1_000", b"TRUE", b"=1+1", b"\xff", b"12,5", b"1e999", b"5e-324",
         b"\x1b[2J", b"2026-02-30T25:00:00Z", "\u0661".encode()]  # fmt: skip
BYTES = [b"\x00", b"\xff\xfe", b"-", b"9" * 50, b"e999", b'"', b"\n", b",", b"NaN", b"1e308", b"[",
         b"{", b": ", b"\t", b"*a", b"&a ", b"|", b"\r"]  # fmt: skip
TOML = ["-1", "0", "inf", "nan", "-inf", "1e308", "true", '""', '"x"', "[]", "{}", "{a=1}",
        "1979-05-27", "9" * 26, "9" * 5000, "1e-300", "[[1]]", "1e10", "5", "0x7fffffffffffffff",
        '"""\nmulti"""', '"\\u0000"', '"../x"', "[" * 3000 + "]" * 3000, "1e20"]  # fmt: skip
LINES = ["[peak_flops]", "x=1", "[[a]]", "[sources.b]", "bf16 = -3", "fp64 = nan",
         ".".join("a" * 3000) + " = 1", "[predict]", "tp = 10**9"]  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(\.\d+)?")
_NUMBERS = [b"-1", b"0", b"1e308", b"NaN", b"-0.0", b"1e-320", b"9" * 20, b""]


def mutated(content: bytes, suffix: str, rng: random.Random) -> bytes:
    """Return a mutation of a file, by its structure where it has one, else by its bytes."""
    structure = rng.random()
    if suffix == "toml" and structure < 0.5:
        return _toml(content.decode(), rng)
    if structure < 0.65:
        values = _json_of(content)
        if values is not None:
            return _json(values, rng)
        if suffix in ("csv", "tsv") or b"," in content[:200]:
            return _cells(content, b"\t" if suffix == "tsv" else b",", rng)
    return _bytes(content, rng)


def _json_of(content: bytes) -> list[Any] | None:
    """One value, or one a line."""
    try:
        return [json.loads(content)]
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in content.splitlines() if line.strip()]
    except ValueError:
        return None


def _json(values: list[Any], rng: random.Random) -> bytes:
    values, raw = copy.deepcopy(values), []
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        places = list(_places(values))
        place = rng.choice(places)
        if len(place) > 2 and rng.random() < 0.35:
            place = place[: rng.randint(2, len(place))]
        inside = values
        for key in place[:-1]:
            inside = inside[key]
        _change(inside, place[-1], raw, rng)
    text = "\n".join(json.dumps(value) for value in values)
    for number, piece in enumerate(raw):
        text = text.replace(f'"@{number}@"', piece)
    return text.encode("utf-8", "surrogatepass")


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value[:400]):
            yield from _places(item, (*path, index))


def _change(inside: Any, key: Any, raw: list[str], rng: random.Random) -> None:
    kind, current = rng.random(), inside[key]
    if kind < 0.45:
        inside[key] = copy.deepcopy(rng.choice(VALUES))
    elif kind < 0.55 and (isinstance(inside, dict) or len(inside) > 1):
        del inside[key]
    elif kind < 0.65:
        other = copy.deepcopy(rng.choice(VALUES))
        if isinstance(inside, dict):
            inside[rng.choice(["zz", "__class__", "kind", "", f"{key}x"])] = other
        else:
            inside.insert(key, other)
    elif kind < 0.9 and isinstance(current, (int, float)) and not isinstance(current, bool):
        inside[key] = min(max(current, -1e300), 1e300) * rng.choice(FACTORS)
    elif kind < 0.96:
        inside[key] = f"@{len(raw)}@"
        raw.append(rng.choice(RAW))
    else:
        inside[key] = [current, current] if rng.random() < 0.5 else {"v": current}


def _cells(content: bytes, separator: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    for _ in range(rng.choice([1, 1, 3, 10])):
        row = rng.randrange(len(lines))
        cells = lines[row].split(separator)
        cells[rng.randrange(len(cells))] = rng.choice(CELLS)
        lines[row] = separator.join(cells)
    return b"\n".join(lines)


def _toml(text: str, rng: random.Random) -> bytes:
    lines = text.split("\n")
    for _ in range(rng.choice([1, 1, 2, 4])):
        row = rng.randrange(len(lines))
        if "=" in lines[row]:
            lines[row] = lines[row].split("=")[0] + "= " + rng.choice(TOML)
        else:
            lines.insert(row, rng.choice(LINES))
    return "\n".join(lines).encode()


def _bytes(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        if len(data) < 4:
            break
        kind, at = rng.random(), rng.randrange(len(data))
        if kind < 0.3:
            data[at] = rng.randrange(256)
        elif kind < 0.45:
            del data[at : at + rng.choice([1, 2, 10, 100, 1000])]
        elif kind < 0.6:
            data[at:at] = rng.choice(BYTES)
        elif kind < 0.75:
            other = rng.randrange(len(data))
            data[at:at] = data[other : other + rng.choice([1, 8, 64, 512])]
        elif kind < 0.82:
            del data[at:]
        else:
            found = [match.span() for match in _NUMBER.finditer(bytes(data[:200_000]))]
            if found:
                start, end = rng.choice(found)
                data[start:end] = rng.choice(_NUMBERS)
    return bytes(data)
