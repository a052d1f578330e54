"""Groups of features an event may have, which of them a predictor can know, and which are there.

Lengths, position, batch and settings are decided before a step starts. Utilisation, clocks and
temperature are measured while it runs: they explain a time, but nobody has them when asked to
predict it. What a predictor can have is their value one event earlier, the group ``system before``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from pandas.api import types

Level = Literal["lengths", "known", "system"]
LEVELS: tuple[Level, ...] = ("lengths", "known", "system")

BEFORE_SUFFIX, SYSTEM_BEFORE = "_before", "system before"


@dataclass(frozen=True)
class FeatureGroup:
    """Columns that are added and dropped together.

    Attributes
    ----------
    name
        Short name.
    columns
        Columns it may consist of.
    known
        Whether a predictor has them before the step.
    """

    name: str
    columns: tuple[str, ...]
    known: bool


GROUPS = (
    FeatureGroup("lengths", ("context_len", "isl"), True),
    FeatureGroup("position", ("output_index", "first_token", "first_decode"), True),
    FeatureGroup("batch", ("batch_size", "concurrency"), True),
    FeatureGroup("precision", ("precision", "quantisation", "quantization"), True),
    FeatureGroup("beams", ("beams",), True),
    FeatureGroup("sampling", ("temperature", "top_k", "decoding", "sampled"), True),
    FeatureGroup(
        "kernels",
        ("attention", "cache", "compile", "flash", "loop", "ubatch", "chunk", "cache_gib"),
        True,
    ),
    FeatureGroup("parallelism", ("threads", "tp", "pp", "ep", "dp"), True),
    FeatureGroup("utilisation", ("gpu_util_percent", "gpu_memory_util_percent"), False),
    FeatureGroup("clocks", ("gpu_clock_mhz", "gpu_memory_clock_mhz", "cpu_mhz"), False),
    FeatureGroup("memory", ("gpu_memory_used_mib", "memory_used_mib"), False),
    FeatureGroup(
        "heat and power",
        ("gpu_temperature_c", "cpu_temperature_c", "gpu_power_w", "cpu_power_w", "power_w"),
        False,
    ),
    FeatureGroup("cpu load", ("cpu_util_percent", "load1", "load_pressure"), False),
)  # fmt: skip
"""``gpu_memory_util_percent`` is how busy the memory bus was: NVML's stand-in for bandwidth."""

SETTING_GROUPS = ("precision", "beams", "sampling", "kernels", "parallelism")
SETTINGS = tuple(c for group in GROUPS if group.name in SETTING_GROUPS for c in group.columns)
SYSTEM = tuple(c for group in GROUPS if not group.known for c in group.columns)


@dataclass(frozen=True)
class Presence:
    """One group in one table.

    Attributes
    ----------
    group
        The group.
    used
        Columns that vary.
    constant, absent
        Columns with one value only, and columns that the table lacks or holds no value of.
    gaps
        Share of events without a value, by column, where there are any; the median stands in.
    """

    group: FeatureGroup
    used: tuple[str, ...]
    constant: dict[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    gaps: dict[str, float] = field(default_factory=dict)


def presence_of(frame: pd.DataFrame, level: Level = "system") -> tuple[Presence, ...]:
    """Say of each group which columns can be used.

    Parameters
    ----------
    frame
        Events, shape (n, columns).
    level
        ``lengths``, ``known`` (everything a predictor has) or ``system`` (all groups).

    Examples
    --------
    >>> frame = pd.DataFrame({"isl": [8, 9], "context_len": [8, 9], "batch_size": 4})
    >>> lengths, position, batch = presence_of(frame, "known")[:3]
    >>> lengths.used, batch.used, batch.constant, batch.absent
    (('context_len', 'isl'), (), {'batch_size': '4'}, ('concurrency',))
    """
    groups = [g for g in GROUPS if level == "system" or g.known]
    groups = groups[:1] if level == "lengths" else groups
    found = [_presence(frame, group) for group in groups]
    before = tuple(f"{c}{BEFORE_SUFFIX}" for c in SYSTEM if f"{c}{BEFORE_SUFFIX}" in frame)
    if level == "system" and before:
        found.append(_presence(frame, FeatureGroup(SYSTEM_BEFORE, before, True)))
    return tuple(found)


def with_system_before(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the system metrics of the event before, in time; unchanged without timestamps.

    >>> frame = pd.DataFrame({"timestamp": [2.0, 1.0], "load1": [0.5, 0.7]})
    >>> with_system_before(frame)["load1_before"].tolist()
    [0.7, nan]
    """
    if "timestamp" not in frame or frame["timestamp"].isna().any():
        return frame
    order = np.argsort(frame["timestamp"].to_numpy(float), kind="stable")
    added = {}
    for name in SYSTEM:
        if name in frame:
            values = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
            before = np.full(len(frame), np.nan)
            before[order[1:]] = values[order[:-1]]
            added[f"{name}{BEFORE_SUFFIX}"] = before
    return frame.assign(**added)


def is_text(values: pd.Series) -> bool:
    """Whether a column holds words rather than numbers.

    >>> is_text(pd.Series(["bf16", "int8"])), is_text(pd.Series([1.0, None]))
    (True, False)
    """
    return not (types.is_numeric_dtype(values) or types.is_bool_dtype(values))


def _presence(frame: pd.DataFrame, group: FeatureGroup) -> Presence:
    used, absent, constant, gaps = [], [], {}, {}
    for name in group.columns:
        values = frame[name].dropna() if name in frame else pd.Series(dtype=float)
        if values.empty:
            absent.append(name)
            continue
        share = 1.0 - len(values) / len(frame)
        if values.nunique() < 2:
            constant[name] = str(values.iloc[0])
            continue
        used.append(name)
        if share > 0:
            gaps[name] = share
    return Presence(group, tuple(used), constant, tuple(absent), gaps)
