"""Columns that a measurement table lacks or has under another name, all of them in one error."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lengthwise.data.load_columns import SAYS, load_columns
from lengthwise.data.lookalikes import RELEVANT, lookalikes, unit_is_open
from lengthwise.data.schema import COLUMNS, NEEDED, PHASES, TIMES
from lengthwise.errors import ColumnError

REQUEST_TIMES = TIMES[1:]
"""A request needs one of these."""

_SHOWN = 16


@dataclass(frozen=True)
class _Absent:
    """A column that is not there: the column that looks like it, and what to type."""

    target: str
    lookalike: str | None
    option: str


def check_columns(frame: pd.DataFrame) -> None:
    """Raise :class:`ColumnError` that names every column to add or rename, and how.

    Parameters
    ----------
    frame
        Foreign table; values are not looked at, except those of ``phase``.

    Examples
    --------
    >>> check_columns(pd.DataFrame({"prompt_tokens": [512], "ttft": [20.0]}))
    Traceback (most recent call last):
    ...
    lengthwise.errors.ColumnError: the columns must be named phase, isl (tokens) and ttft_ms (ms), \
but got no phase, 'prompt_tokens' and no isl, 'ttft' and no ttft_ms. Remedy: --set phase=request \
(prefill, decode, mixed or request) --map isl=prompt_tokens --map ttft_ms=ttft if it is in \
milliseconds, --map ttft_ms=ttft*1000 if in seconds.
    """
    absent = _without_phase(frame) + _renamed(frame) + _needed(frame)
    if not absent:
        return
    only_absent = [each for each in absent if each.lookalike is None]
    if len(only_absent) == len(absent):
        raise _lacking(frame, absent)
    named = [_named(each.target) for each in absent]
    raise ColumnError(
        f"the column{'s' if len(named) > 1 else ''} must be named {_joined(named)}",
        got=", ".join(_seen(each) for each in absent),
        remedy=" ".join(each.option for each in absent),
    )


def _lacking(frame: pd.DataFrame, absent: list[_Absent]) -> ColumnError:
    """Return the error for columns that nothing in the table looks like."""
    phases = [str(phase) for phase in _phases(frame) if phase in NEEDED]
    columns = dict.fromkeys(name for phase in phases for name in NEEDED[phase])
    needed = ", ".join(columns) + (" and a time" if "request" in phases else "")
    rule = f"{', '.join(phases)} rows need the columns {needed}"
    if absent[0].target == "phase":
        rule = "a measurement table says the phase of each row"
        rule += f", and {phases[0]} rows need {needed}" if len(absent) > 1 else ""
    names = ", ".join(map(str, frame.columns[:_SHOWN]))
    return ColumnError(
        rule, got=f"no {', no '.join(each.target for each in absent)} among {names}",
        remedy="add " + " ".join(each.option for each in absent),
    )  # fmt: skip


def _without_phase(frame: pd.DataFrame) -> list[_Absent]:
    if "phase" in frame:
        return []
    others = f"{', '.join(PHASES[:-1])} or {PHASES[-1]}"
    return [_Absent("phase", None, f"--set phase={_phases(frame)[0]} ({others})")]


def _phases(frame: pd.DataFrame) -> list[str]:
    """Return the phases of the rows, or the one that the columns suggest."""
    if "phase" in frame:
        return [str(phase) for phase in frame["phase"].unique()]
    names = [str(name) for name in frame.columns]
    known = {
        *names,
        *(target for _, target, _ in lookalikes(names, [*REQUEST_TIMES, "context_len"])),
    }
    if known & set(REQUEST_TIMES):
        return ["request"]
    return ["decode" if "context_len" in known else "prefill"]


def _renamed(frame: pd.DataFrame) -> list[_Absent]:
    """Return the columns that stand under another name."""
    targets = list(dict.fromkeys(t for phase in _phases(frame) for t in RELEVANT.get(phase, ())))
    if any(name in frame for name in SAYS):
        targets = [name for name in targets if name != "batch_size"]
    chosen = load_columns(frame)
    found = lookalikes(frame.columns, targets)
    found += lookalikes(list(chosen.values()), list(chosen))
    first: dict[str, _Absent] = {}
    for name, target, mapping in found:
        first.setdefault(target, _Absent(target, name, _option(name, target, mapping)))
    return list(first.values())


def _option(name: str, target: str, mapping: str) -> str:
    hint = f'--map "{mapping}"' if "`" in mapping else f"--map {mapping}"
    if unit_is_open(name, target):
        hint += f" if it is in milliseconds, --map {mapping}*1000 if in seconds"
    return hint


def _needed(frame: pd.DataFrame) -> list[_Absent]:
    """Return the columns without which rows of the phases mean nothing, looked alike or not."""
    phases = _phases(frame)
    there = {*map(str, frame.columns), *(each.target for each in _renamed(frame))}
    names = dict.fromkeys(name for phase in phases for name in NEEDED.get(phase, ()))
    absent = [_Absent(name, None, _add(frame, name, phases)) for name in names if name not in there]
    if "request" in phases and not there & set(REQUEST_TIMES):
        absent.append(_Absent(" or ".join(REQUEST_TIMES), None, f"--map {REQUEST_TIMES[0]}=COLUMN"))
    return absent


def _add(frame: pd.DataFrame, name: str, phases: list[str]) -> str:
    if name == "latency_ms" and "ttft_ms" in frame and "prefill" in phases:
        return "--map latency_ms=ttft_ms if that is the time of the prefill step alone"
    return f"--map {name}=COLUMN"


def _named(target: str) -> str:
    unit = COLUMNS[target].unit if target in COLUMNS else ""
    return f"{target} ({unit})" if unit else target


def _seen(each: _Absent) -> str:
    return (
        f"no {each.target}"
        if each.lookalike is None
        else f"{each.lookalike!r} and no {each.target}"
    )


def _joined(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
