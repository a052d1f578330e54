"""Judge step times against their neighbours: gross outliers, cells out of order, warm-up.

Times grow with length and batch, and not without bound. From a neighbour of length n_j and time
y_j, a row of length n is expected within

    y_j min(1, (n / n_j)^p) <= y <= y_j max(1, (n / n_j)^p),   p = 2.2 (attention is quadratic)

The median over the three neighbours on each side bounds the row; a single bad neighbour cannot
move it. No law is assumed, so a curve that bends is not an outlier.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from lengthwise.data.identity import deployment_of
from lengthwise.data.report import Flag
from lengthwise.data.schema import COLUMNS
from lengthwise.units import FloatArray, format_ms, format_tokens

STEEPEST = 2.2
NEIGHBOURS = 3
GROSS = 1.8
"""Factor beyond the bounds that makes a gross outlier."""

SCATTERS = 4.0
"""A gross outlier also lies this many times beyond what three quarters of its sweep do."""

FASTER = 0.7
WARM_REPEAT = 1.5
WARM_FIRST = 1.15
MAX_CELLS = 400
"""Cells of one sweep; a longer one is judged by medians of lengths that agree to 2 %."""

MAX_FLAGS = 6
"""Flags of one kind in one phase; more are put together."""

_LENGTH = {"prefill": "isl", "decode": "context_len"}
_SETTINGS = ("query_len", "cached_tokens", "source", "clock")

BoolArray = npt.NDArray[np.bool_]


def check_neighbours(frame: pd.DataFrame, positions: npt.NDArray[np.intp]) -> list[Flag]:
    """Flag rows that their neighbours contradict.

    Parameters
    ----------
    frame
        Usable rows of a prepared table.
    positions
        Position of each row in the whole table, shape (n,).
    """
    flags: list[Flag] = []
    for phase, length in _LENGTH.items():
        rows = (frame["phase"] == phase).to_numpy()
        if rows.any():
            steps = _steps(frame[rows], positions[rows], length)
            warm = _warm(steps)
            flags += _flag_warm(steps[warm], phase)
            steps = steps[~warm]
            gross = _gross(steps)
            flags += _flag_gross(steps[gross], phase, length)
            flags += _flag_order(steps[~gross], phase, length)
    return flags


def _steps(frame: pd.DataFrame, positions: npt.NDArray[np.intp], length: str) -> pd.DataFrame:
    """Lay out rows by group (deployment and other settings), length and batch, in time order."""
    settings = [name for name in _SETTINGS if name in frame] + [
        name for name in map(str, frame.columns)
        if name not in COLUMNS and types.is_string_dtype(frame[name])
        and frame[name].nunique() <= 20
    ]  # fmt: skip
    deployment = deployment_of(frame)
    keys = frame[settings].assign(_deployment=deployment)
    batch = frame["batch_size"] if "batch_size" in frame else pd.Series(1.0, frame.index)
    steps = pd.DataFrame({
        "row": positions,
        "deployment": deployment,
        "group": keys.groupby(list(keys), dropna=False, sort=False, observed=True).ngroup(),
        "length": frame[length].to_numpy(dtype=float),
        "batch": batch.fillna(1.0).to_numpy(dtype=float),
        "time": frame["latency_ms"].to_numpy(dtype=float),
    })  # fmt: skip
    order = next((name for name in ("timestamp", "repeat") if _known(frame, name)), None)
    if order:
        steps = steps.iloc[np.argsort(frame[order].to_numpy(), kind="stable")]
    return steps.reset_index(drop=True)


def _known(frame: pd.DataFrame, name: str) -> bool:
    return name in frame and types.is_numeric_dtype(frame[name]) and bool(frame[name].notna().all())


def _warm(steps: pd.DataFrame) -> BoolArray:
    """Find first repeats far above the others, and a first row slower than a larger job."""
    point = steps.groupby(["group", "length", "batch"], sort=False)
    first = (point.cumcount() == 0).to_numpy()
    count = point["time"].transform("size").to_numpy()
    rest = steps[~first].groupby(["group", "length", "batch"], sort=False)["time"].median()
    others = steps[["group", "length", "batch"]].merge(
        rest.rename("rest").reset_index(), how="left"
    )["rest"]  # fmt: skip
    slow = (count >= 3) & (steps["time"].to_numpy() > WARM_REPEAT * others.to_numpy())
    warm = first & slow
    if warm.sum() * (~first).sum() <= 2 * (slow & ~first).sum() * first.sum():
        warm[:] = False  # later repeats are slow as often: heavy tails, not warm-up
    warm |= _opening(steps) & (count == 1)
    return np.asarray(warm)


def _opening(steps: pd.DataFrame) -> BoolArray:
    """Find first rows slower than the next larger step, by twice what any other cell is.

    The comparison with the other cells tells warm-up from noise where nothing was repeated.
    """
    key = ["group", "length", "batch"]
    cells = steps.groupby(key)["time"].median().reset_index()
    excess = np.zeros(len(cells))
    for axis, fixed in (("batch", "length"), ("length", "batch")):
        ordered = cells.sort_values(["group", fixed, axis])
        larger = ordered.groupby(["group", fixed])["time"].shift(-1).reindex(cells.index)
        excess = np.fmax(excess, np.log(cells["time"] / larger))
    rows = steps[key].merge(cells.assign(excess=excess), how="left")
    first = ~rows["group"].duplicated()
    others = rows["excess"].where(~first).groupby(rows["group"]).transform("max").fillna(0.0)
    slow = rows["excess"] > np.maximum(np.log(WARM_FIRST), 2 * others)
    return np.asarray(first & slow, dtype=bool)


def _gross(steps: pd.DataFrame) -> BoolArray:
    """Find rows outside the bounds that their neighbours in length set, shape (n,)."""
    order = np.lexsort((steps["length"], steps["batch"], steps["group"]))
    n, y = (steps[name].to_numpy()[order] for name in ("length", "time"))
    sweep = steps.groupby(["group", "batch"]).ngroup().to_numpy()[order]
    low, high = np.full((2, 2 * NEIGHBOURS, len(n)), np.nan)
    for i, shift in enumerate(k for k in range(-NEIGHBOURS, NEIGHBOURS + 1) if k):
        if abs(shift) >= len(n):
            continue
        here = slice(max(shift, 0), len(n) + min(shift, 0))
        there = slice(max(-shift, 0), len(n) + min(-shift, 0))
        growth = (n[here] / n[there]) ** STEEPEST
        same = np.where(sweep[here] == sweep[there], y[there], np.nan)
        low[i, here], high[i, here] = same * np.minimum(1, growth), same * np.maximum(1, growth)
    excess = np.zeros(len(n))
    judged = np.isfinite(low).sum(axis=0) >= NEIGHBOURS
    lower, upper = (np.nanmedian(bound[:, judged], axis=0) for bound in (low, high))
    excess[judged] = np.maximum(0, np.log(np.maximum(y[judged] / upper, lower / y[judged])))
    scatter = pd.Series(excess).groupby(sweep).quantile(0.75).to_numpy()[sweep]
    gross = np.zeros(len(n), dtype=bool)
    gross[order] = excess > np.maximum(np.log(GROSS), SCATTERS * scatter)
    return gross


def _flag_warm(steps: pd.DataFrame, phase: str) -> list[Flag]:
    if steps.empty:
        return []
    one = steps.iloc[0]
    seen = (
        f"{len(steps):,} {phase} row{'s' if len(steps) > 1 else ''} took much longer than later "
        f"repeats or larger steps, first {one['deployment']} at {format_tokens(one['length'])} "
        f"tokens, batch {one['batch']:g} ({format_ms(one['time'])})"
    )
    remedy = "mark such rows warmup=true, so that fits skip them"
    return [Flag.of("probable warm-up", "warning", steps["row"].tolist(), seen, remedy)]


def _flag_gross(steps: pd.DataFrame, phase: str, length: str) -> list[Flag]:
    flags = []
    for _, cell in steps.groupby(["group", "length", "batch"], sort=False):
        one = cell.iloc[0]
        seen = (
            f"{phase} of {one['deployment']} at {length} {format_tokens(one['length'])}, batch "
            f"{one['batch']:g} took {format_ms(cell['time'].median())}, far from its neighbours "
            "in length"
        )
        remedy = "measure it again, or drop the row; robust fits give it little weight"
        flags.append(Flag.of("gross outlier", "warning", cell["row"].tolist(), seen, remedy))
    return _capped(flags, steps["row"].tolist())


def _flag_order(steps: pd.DataFrame, phase: str, length: str) -> list[Flag]:
    """Flag cells over 30 % faster than a smaller one at otherwise equal settings."""
    flags = []
    seen: set[int] = set()
    for axis, fixed in (("batch", "length"), ("length", "batch")):
        for sweep in _disordered(steps, axis, fixed):
            for bad, other in _contradictions(sweep["time"].to_numpy()):
                rows = sweep["row"].iloc[bad]
                if rows[0] not in seen:
                    seen.update(rows)
                    flags.append(_order_flag(sweep, bad, other, axis, phase, length))
    return _capped(flags, sorted(seen))


def _disordered(steps: pd.DataFrame, axis: str, fixed: str) -> Iterator[pd.DataFrame]:
    """Yield sweeps along ``axis`` (cells, with their rows) that hold a contradiction."""
    key = ["group", fixed, axis]
    medians = steps.groupby(key)["time"].median().reset_index()
    if axis == "length" and medians.groupby(["group", fixed]).size().max() > MAX_CELLS:
        coarse = np.exp(np.round(np.log(steps["length"]) / 0.02) * 0.02).round()
        steps = steps.assign(length=coarse)
        medians = steps.groupby(key)["time"].median().reset_index()
    highest = medians.groupby(["group", fixed])["time"].cummax()
    broken = medians.loc[medians["time"] < FASTER * highest, ["group", fixed]].drop_duplicates()
    for _, cells in steps.merge(broken).groupby(["group", fixed]):
        yield cells.groupby(axis, as_index=False).agg(
            time=("time", "median"), row=("row", list), deployment=("deployment", "first"),
            **{fixed: (fixed, "first")},
        )  # fmt: skip


def _contradictions(time: FloatArray) -> Iterator[tuple[int, int]]:
    """Yield cells to blame, each with the cell it contradicts most.

    The cell in most contradictions is blamed first and left out, so that one bad cell does not
    discredit all that follow it. Ties go to the cell that is out of order, by however little, with
    more of the others, then to the larger one.
    """
    against = np.triu(time[None, :] < FASTER * time[:, None], 1)
    against |= against.T
    slightly = np.triu(time[None, :] < time[:, None], 1)
    ties = (slightly | slightly.T).sum(axis=0) / (len(time) + 1)
    while against.any():
        votes = np.where(against.any(axis=0), against.sum(axis=0) + ties, 0.0)
        bad = int(len(votes) - 1 - np.argmax(votes[::-1]))
        gap = np.where(against[bad], np.abs(np.log(time / time[bad])), -1.0)
        yield bad, int(np.argmax(gap))
        against[bad, :] = against[:, bad] = False


def _order_flag(
    sweep: pd.DataFrame, bad: int, other: int, axis: str, phase: str, length: str
) -> Flag:
    say = {"batch": lambda cell: f"batch {cell['batch']:g}",
           "length": lambda cell: f"{length} {format_tokens(cell['length'])}"}  # fmt: skip
    one, two = sweep.iloc[bad], sweep.iloc[other]
    verdict = "less than" if bad > other else "more than"
    fixed = "length" if axis == "batch" else "batch"
    seen = (
        f"{phase} of {one['deployment']}, {say[fixed](one)}: {say[axis](one)} took "
        f"{format_ms(one['time'])}, {verdict} {say[axis](two)} with {format_ms(two['time'])}"
    )
    remedy = "measure this cell again or leave it out: the run may have failed or been split"
    return Flag.of("out of order", "warning", one["row"], seen, remedy)


def _capped(flags: list[Flag], rows: list[int]) -> list[Flag]:
    """List a few flags one by one; put many together, with the first as the example."""
    if len(flags) <= MAX_FLAGS:
        return flags
    one = flags[0]
    seen = f"{len(flags):,} cells, {len(rows):,} rows, for example {one.message}"
    remedy = f"{one.remedy}; so many mean noisy timings: take more repeats and use medians"
    return [Flag.of(one.rule, one.severity, rows, seen, remedy)]
