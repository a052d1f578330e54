"""Why rows of a table of points cannot be predicted, in words, row by row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.data.schema import DEPLOYMENT, LOAD, NEEDED, PHASES
from lengthwise.prediction.requests import MOST_STEPS, TOO_SMALL
from lengthwise.units import FloatArray

REQUIRED = {phase: tuple(c for c in names if c != "latency_ms") for phase, names in NEEDED.items()}
REQUIRED["request"] = ("isl", "osl")
"""Columns points of each phase must have."""

OPTIONAL = ("batch_size", *LOAD, "cached_tokens", "query_len", "context_len", "isl",
            "prefill_chunk")  # fmt: skip
COUNTS = tuple(c for c in DEPLOYMENT if c in ("tp", "pp", "ep", "dp"))

BoolArray = npt.NDArray[np.bool_]


class Problems:
    """The first problem found of each of n rows.

    Examples
    --------
    >>> found = Problems(2)
    >>> found.add(np.array([True, False]), "isl is missing")
    >>> found.counts(), found.good.tolist()
    ({'isl is missing': 1}, [False, True])
    """

    def __init__(self, n: int) -> None:
        self.code = np.full(n, -1, dtype=np.int32)
        self.texts: list[str] = []

    @property
    def good(self) -> BoolArray:
        """Rows without a problem, shape (n,)."""
        return np.asarray(self.code < 0)

    def add(self, rows: BoolArray, text: str) -> None:
        """Note a problem of rows that have none yet."""
        fresh = rows & self.good
        if not fresh.any():
            return
        if text not in self.texts:
            self.texts.append(text)
        self.code[fresh] = self.texts.index(text)

    def counts(self) -> dict[str, int]:
        """Count rows by problem."""
        return {t: int((self.code == i).sum()) for i, t in enumerate(self.texts)}

    def column(self) -> pd.Categorical:
        """Texts as a column, empty where there is no problem."""
        return pd.Categorical.from_codes(self.code, categories=pd.Index(self.texts, dtype=object))


def check_values(points: pd.DataFrame) -> tuple[Problems, pd.DataFrame]:
    """Find rows whose values no law can be asked for.

    Returns
    -------
    The problems, and the points with numbers in the columns that must hold them (NaN for others).
    """
    problems = Problems(len(points))
    phase = points["phase"].to_numpy()
    known = np.isin(phase.astype(str), PHASES)
    problems.add(~known, f"phase must be one of {', '.join(PHASES)}")
    numbers = {}
    for name in (*dict.fromkeys([n for v in REQUIRED.values() for n in v]), *OPTIONAL, *COUNTS):
        if name in points and name not in numbers:
            values = pd.to_numeric(points[name], errors="coerce").astype(float)
            text = values.isna().to_numpy() & points[name].notna().to_numpy()
            problems.add(text, f"{name} is not a number")
            numbers[name] = values
    points = points.assign(**numbers) if numbers else points
    for name in PHASES:
        _check_phase(problems, points, phase == name, name)
    return problems, points


def check_steps(problems: Problems, points: pd.DataFrame, chunk: float) -> None:
    """Find prompts that take too many steps of the chunk that laws were measured in.

    Parameters
    ----------
    problems
        Those found so far; more are added.
    points
        Points with numbers, n rows.
    chunk
        Smallest chunk of the laws, tokens; infinite for none.
    """
    own = np.isnan(_values(points, "prefill_chunk")) & (points["phase"] != "decode").to_numpy()
    many = _values(points, "isl") > MOST_STEPS * chunk
    problems.add(own & many, f"a prompt takes at most {MOST_STEPS:,} steps of {chunk:g} tokens")


def _check_phase(problems: Problems, points: pd.DataFrame, rows: BoolArray, phase: str) -> None:
    if not rows.any():
        return
    for name in REQUIRED[phase]:
        values = _values(points, name)
        problems.add(rows & np.isnan(values), f"{phase} rows need {name}")
        problems.add(rows & ~(np.isfinite(values) & (values > 0)), f"{name} must be positive")
    if phase == "request":
        osl = _values(points, "osl")
        problems.add(rows & (osl != np.floor(osl)), "osl must be a whole number")
    for name in ("batch_size", *LOAD):
        values = _values(points, name)
        problems.add(rows & ~np.isnan(values) & ~((values > 0) & (values < np.inf)),
                     f"{name} must be positive")  # fmt: skip
    chunk = _values(points, "prefill_chunk")
    problems.add(rows & ~np.isnan(chunk) & ~(chunk >= 1), "prefill_chunk must be at least 1")
    many = _values(points, "isl") > MOST_STEPS * chunk
    problems.add(rows & many & (phase != "decode"), f"prefill_chunk must be {TOO_SMALL}")
    _check_chunk(problems, points, rows, phase)


def _check_chunk(problems: Problems, points: pd.DataFrame, rows: BoolArray, phase: str) -> None:
    if phase == "mixed":
        return
    isl, cached = _values(points, "isl"), _values(points, "cached_tokens")
    if phase != "decode":
        bad = ~np.isnan(cached) & ~((cached >= 0) & (cached < isl))
        problems.add(rows & bad, "cached_tokens must be at least 0 and less than isl")
    if phase == "request":
        return
    context, query = _values(points, "context_len"), _values(points, "query_len")
    if phase == "prefill":
        context = np.where(np.isnan(context), isl, context)
        query = np.where(np.isnan(query), isl - np.nan_to_num(cached), query)
    else:
        query = np.where(np.isnan(query), 1.0, query)
    problems.add(rows & ~((query > 0) & (query <= context) & (context < np.inf)),
                 "0 < query_len <= context_len must hold")  # fmt: skip


def _values(points: pd.DataFrame, name: str) -> FloatArray:
    if name not in points:
        return np.full(len(points), np.nan)
    return points[name].to_numpy(dtype=float)
