"""Points asked for on the command line: all combinations of the sizes given."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from lengthwise.errors import InputError
from lengthwise.interfaces.cli.common import log
from lengthwise.interfaces.cli.counts import parse_counts

MAX_GRID = 10_000
RANGES = "one, several with commas, or first-last*factor or first-last+step"
USED = {
    "prefill": ("isl", "cached_tokens", "prefill_chunk", "batch_size", "concurrency"),
    "decode": ("context_len", "batch_size", "concurrency"),
    "request": ("isl", "osl", "cached_tokens", "prefill_chunk", "batch_size", "concurrency"),
}
"""Sizes that matter to a phase."""
NEEDED = {"prefill": ("isl",), "decode": ("context_len",), "request": ("isl", "osl")}


def combinations(
    sizes: Mapping[str, str | None], phase: str | None, *, loaded: bool = False
) -> tuple[str, list[str], list[tuple[int, ...]]]:
    """Give the phase, the names of the sizes and their values point by point.

    A size that does not matter to the phase is left out, with a note. A batch of 1 is assumed
    unless there is a load, among the sizes or elsewhere (``loaded``).

    >>> combinations({"isl": "1024,2048", "osl": "64", "batch_size": None}, None)
    ('request', ['isl', 'osl', 'batch_size'], [(1024, 64, 1), (2048, 64, 1)])
    """
    values = {k: parse_counts(v, _option(k)) for k, v in sizes.items() if v}
    phase = phase or _implied_phase(values)
    for name in NEEDED[phase]:
        if name not in values:
            raise InputError(f"a {phase} needs {_option(name)}", got="none",
                             remedy=f"add {_option(name)} 4096")  # fmt: skip
    values = {name: v for name, v in values.items() if _matters(name, phase)}
    if "concurrency" not in values and not loaded:
        values.setdefault("batch_size", [1])
    rows = list(product(*values.values()))
    if len(rows) > MAX_GRID:
        raise InputError(f"a grid has at most {MAX_GRID:,} points", got=f"{len(rows):,}",
                         remedy="put the points into a file and use --table")  # fmt: skip
    return phase, list(values), rows


def check_table_options(sizes: Mapping[str, str | None]) -> None:
    """Refuse sizes beside a table of points."""
    given = [_option(name) for name, value in sizes.items() if value is not None]
    if given:
        raise InputError("--table holds the points itself", got=", ".join(given),
                         remedy="leave them out, or leave --table out")  # fmt: skip


def _matters(name: str, phase: str) -> bool:
    if name in USED[phase]:
        return True
    article = "a step of decode" if phase == "decode" else f"a {phase}"
    log(f"note: {_option(name)} does not matter to {article} and was ignored")
    return False


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _implied_phase(values: Mapping[str, list[int]]) -> str:
    if "osl" in values:
        return "request"
    if "isl" in values:
        return "prefill"
    if "context_len" in values:
        return "decode"
    raise InputError("predict needs a length", got="none",
                     remedy="add --isl, --isl and --osl, --context-len or --table")  # fmt: skip
