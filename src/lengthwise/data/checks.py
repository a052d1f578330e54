"""Checks that flag and explain what looks wrong in a measurement table; they never delete.

Single rows are judged here (times, physics, duplicates, arithmetic of requests, units); rows are
judged against their neighbours in :mod:`lengthwise.data.neighbours`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from lengthwise.data.places import place
from lengthwise.data.report import Flag, Severity
from lengthwise.data.schema import STEP_PHASES, TIMES
from lengthwise.domain.model import ModelSpec, find_model
from lengthwise.units import FloatArray, format_ms

BoolArray = npt.NDArray[np.bool_]

FASTEST_MEMORY_BYTES_PER_S = 20e12
"""Per device. Twice what HBM of 2025 reaches (B200: 8e12, NVIDIA data sheet)."""

FASTEST_FLOP_PER_S = 2e16
"""Per device. Twice the dense FP4 peak of a B200 (1e16, NVIDIA data sheet)."""

SMALLEST_BYTES_PER_PARAMETER = 0.5
SHORTEST_DECODE_MS = 1e-3
MOST_PREFILL_TOKENS_PER_S = 1e9
SHORTEST_USUAL_MS = 0.05
"""A decode step below this is most likely in seconds: 50 ms are usual, 0.05 ms are not."""

MOST_USUAL_TOKENS_PER_MS = 2e4
"""Prompts of a few million parameters reach this on one processor; 8 billion reach 100."""
E2E_TOLERANCE = 0.2


def check_table(frame: pd.DataFrame) -> list[Flag]:
    """Flag what looks wrong.

    Parameters
    ----------
    frame
        Prepared measurement table, n rows.

    Returns
    -------
    list of Flag, worst first; empty when nothing looks wrong.

    Examples
    --------
    >>> from lengthwise.data.table import prepare
    >>> rows = pd.DataFrame({"phase": "decode", "context_len": [64, 128], "latency_ms": [5, -1]})
    >>> [flag.rule for flag in check_table(prepare(rows))]
    ['time not positive']
    """
    from lengthwise.data.neighbours import check_neighbours

    good = usable(frame)
    flags = [
        *_check_times(frame), *_check_units(frame), *_check_physics(frame),
        *_check_requests(frame), *_check_duplicates(frame),
        *_check_alike(frame[good], np.flatnonzero(good)),
        *check_neighbours(frame[good], np.flatnonzero(good)),
    ]  # fmt: skip
    order: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}
    return sorted(flags, key=lambda flag: order[flag.severity])


def usable(frame: pd.DataFrame) -> BoolArray:
    """Say which rows a fit can use, shape (n,).

    False for a missing, non-finite or non-positive time, for warm-up rows, and for requests that
    do not say how long their prompt was.

    >>> usable(pd.DataFrame({"phase": "decode", "latency_ms": [5.0, None, -1.0]})).tolist()
    [True, False, False]
    """
    good = np.ones(len(frame), dtype=bool)
    for bad in _unusable(frame).values():
        good &= ~bad
    return good


def skipped_by_reason(frame: pd.DataFrame) -> dict[str, int]:
    """Count the rows that are not usable by their first reason.

    >>> skipped_by_reason(pd.DataFrame({"phase": "decode", "latency_ms": [5.0, None, -1.0]}))
    {'time missing': 1, 'time not positive': 1}
    """
    counted = np.zeros(len(frame), dtype=bool)
    counts = {}
    for reason, bad in _unusable(frame).items():
        fresh = bad & ~counted
        counted |= bad
        if fresh.any():
            counts[reason] = int(fresh.sum())
    return counts


def _without_isl(frame: pd.DataFrame, step: BoolArray) -> BoolArray:
    """Find requests of unknown prompt length: kept, but of no use to a law of length."""
    if "isl" not in frame:
        return ~step
    return ~step & frame["isl"].isna().to_numpy()


def _unusable(frame: pd.DataFrame) -> dict[str, BoolArray]:
    step = frame["phase"].isin(STEP_PHASES).to_numpy()
    present, wrong, infinite = (np.zeros(len(frame), dtype=bool) for _ in range(3))
    for name in TIMES:
        if name in frame:
            values = frame[name].to_numpy(dtype=float)
            mine = step == (name == "latency_ms")
            present |= mine & ~np.isnan(values)
            wrong |= mine & (values <= 0)
            infinite |= mine & np.isinf(values)
    unusable = {
        "time missing": ~present, "time not finite": infinite, "time not positive": wrong,
        "no prompt length": _without_isl(frame, step),
    }  # fmt: skip
    if "warmup" in frame:
        unusable["warm-up row"] = frame["warmup"].to_numpy(dtype=bool)
    return unusable


def _check_times(frame: pd.DataFrame) -> Iterator[Flag]:
    remedy = "nothing to do: they are skipped in fits; correct them if the reading is known"
    for rule, bad in _unusable(frame).items():
        if rule == "warm-up row" or not bad.any():
            continue
        severity: Severity = "info" if rule == "time missing" else "error"
        share = f"{int(bad.sum()):,} of {len(frame):,} rows: {rule}"
        yield Flag.of(rule, severity, np.flatnonzero(bad).tolist(), share, remedy)


def _check_units(frame: pd.DataFrame) -> Iterator[Flag]:
    prefill = (frame["phase"] == "prefill").to_numpy()
    tokens = (_numbers(frame, "isl", np.nan) * _numbers(frame, "batch_size", 1.0))[prefill]
    usual = float(np.nanmedian(tokens)) if np.isfinite(tokens).any() else 0.0
    shortest = usual / MOST_USUAL_TOKENS_PER_MS
    for phase, name, low, high in (
        ("prefill", "latency_ms", max(1e-3, shortest), np.inf),
        ("decode", "latency_ms", SHORTEST_USUAL_MS, 6e4),
        ("request", "tpot_ms", SHORTEST_USUAL_MS, 6e4), ("request", "ttft_ms", 0.5, np.inf),
    ):  # fmt: skip
        rows = (frame["phase"] == phase).to_numpy()
        values = frame[name].to_numpy(dtype=float)[rows] if name in frame else np.empty(0)
        values = values[np.isfinite(values) & (values > 0)]
        if not len(values) or low <= np.median(values) <= high:
            continue
        unit, factor = (
            ("seconds", "*1000") if np.median(values) < low else ("microseconds", "/1000")
        )
        seen = f"median {name} of {phase} rows is {np.median(values):g} ms: are these {unit}?"
        remedy = f"if so, import again with --map {name}=COLUMN{factor}"
        yield Flag.of("unit", "warning", np.flatnonzero(rows).tolist(), seen, remedy)


def _check_physics(frame: pd.DataFrame) -> Iterator[Flag]:
    floor = _floor_ms(frame)
    if "latency_ms" not in frame:
        return
    time = frame["latency_ms"].to_numpy(dtype=float)
    bad = (time > 0) & (time < floor)
    for phase, what in (
        ("decode", "memory could be read"),
        ("prefill", "arithmetic could be done"),
    ):
        rows = np.flatnonzero(bad & (frame["phase"] == phase).to_numpy())
        if len(rows):
            row = int(rows[np.argmin(time[rows] / floor[rows])])
            seen = (
                f"{phase} steps faster than {what} on any hardware: {place(frame, row)} took "
                f"{time[row]:.3g} ms, at least {floor[row]:.3g} ms is needed"
            )
            remedy = "check the unit, the batch and whether the time is of one step (not per token)"
            yield Flag.of("faster than hardware", "error", rows.tolist(), seen, remedy)


def _floor_ms(frame: pd.DataFrame) -> FloatArray:
    """Give the shortest time any hardware could take for each row, shape (n,), ms.

    A decode step reads every active weight once; a prefill does 2 P FLOP per token.
    """
    batch = _numbers(frame, "batch_size", 1.0)
    tokens = _numbers(frame, "isl", np.nan) - _numbers(frame, "cached_tokens", 0.0)
    tokens = _numbers(frame, "query_len", tokens) * batch
    decode = (frame["phase"] == "decode").to_numpy()
    prefill = (frame["phase"] == "prefill").to_numpy()
    floor = np.where(decode, SHORTEST_DECODE_MS, 0.0)
    floor = np.where(prefill, tokens / MOST_PREFILL_TOKENS_PER_S * 1e3, floor)
    if "model" not in frame:
        return np.nan_to_num(floor)
    devices = np.ones(len(frame))
    for name in ("tp", "pp", "ep", "dp"):
        devices *= _numbers(frame, name, 1.0)
    for name in frame["model"].dropna().unique():
        spec = find_model(str(name))
        if spec is not None:
            mine = (frame["model"] == name).to_numpy()
            physical = _physical_ms(spec, decode, tokens) / devices
            floor = np.where(mine & (decode | prefill), np.fmax(floor, physical), floor)
    return np.nan_to_num(floor)


def _physical_ms(spec: ModelSpec, decode: BoolArray, tokens: FloatArray) -> FloatArray:
    read_s = SMALLEST_BYTES_PER_PARAMETER * spec.parameters / FASTEST_MEMORY_BYTES_PER_S
    return np.where(decode, read_s, spec.flops_per_token * tokens / FASTEST_FLOP_PER_S) * 1e3


def _check_requests(frame: pd.DataFrame) -> Iterator[Flag]:
    ttft, tpot, e2e, osl = (_numbers(frame, name, np.nan) for name in (*TIMES[1:], "osl"))
    late = ttft > e2e
    if late.any():
        row = int(np.argmax(late))
        seen = f"first token after the last: ttft {format_ms(ttft[row])}, e2e {format_ms(e2e[row])}"
        remedy = "check that both start at the same clock and use the same unit"
        yield Flag.of("ttft after e2e", "error", np.flatnonzero(late).tolist(), seen, remedy)
    total = ttft + tpot * (osl - 1)
    off = (np.abs(total - e2e) > E2E_TOLERANCE * e2e) & ~late
    if off.any():
        row = int(np.argmax(off))
        seen = (
            f"ttft + (osl - 1) tpot differs from e2e by over {E2E_TOLERANCE:.0%}: "
            f"{place(frame, row)} gives {format_ms(total[row])} against {format_ms(e2e[row])}"
        )
        remedy = "check that tpot leaves the first token out and osl counts all generated tokens"
        yield Flag.of("times disagree", "warning", np.flatnonzero(off).tolist(), seen, remedy)


def _check_duplicates(frame: pd.DataFrame) -> Iterator[Flag]:
    plain = frame
    for name in frame.columns:
        if types.is_object_dtype(frame[name]):
            plain = plain.assign(**{name: frame[name].map(str)})  # lists cannot be hashed
    again = plain.duplicated().to_numpy()
    if again.any():
        count = int(again.sum())
        seen = f"{count:,} row{'s are' if count > 1 else ' is'} identical to an earlier one"
        remedy = "drop them if a file was imported twice; they count double in a fit"
        yield Flag.of("duplicate", "warning", np.flatnonzero(again).tolist(), seen, remedy)


def _check_alike(frame: pd.DataFrame, positions: npt.NDArray[np.intp]) -> Iterator[Flag]:
    """Flag rows of one point that a column outside the deployment tells apart."""
    from lengthwise.data.separating import described, separations

    for found in separations(frame):
        seen, remedy = described(found)
        rows = positions[found.rows].tolist()
        yield Flag.of("unlike repeats", "warning", rows, seen, remedy)


def _numbers(frame: pd.DataFrame, name: str, default: float | FloatArray) -> FloatArray:
    if name not in frame:
        return np.broadcast_to(np.asarray(default, dtype=float), len(frame))
    values = frame[name].to_numpy(dtype=float)
    return np.where(np.isnan(values), default, values)
