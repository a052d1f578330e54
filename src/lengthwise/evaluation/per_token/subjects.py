"""What a study is about: one model on one machine in one engine.

An engine's version names the variant that ran (``5.23.0+sample.beams4``) and a CPU's label its
threads, so that nobody fits them together by accident. Where columns of their own tell the variants
apart, they are settings that vary within one subject, and the names are taken without them.
"""

from __future__ import annotations

import re

import pandas as pd

from lengthwise.data.schema import DEPLOYMENT
from lengthwise.evaluation.per_token.features import SETTINGS

SUBJECT = ("model", "hardware", "engine", "engine_version")
"""Precision and parallelism are settings that may vary within a subject."""

PARTS = {"engine_version": re.compile(r"\+.*$"), "hardware": re.compile(r"-\d+threads?$")}
"""What a name says of settings, by column."""


def subjects_of(steps: pd.DataFrame) -> pd.DataFrame:
    """Take out of the names what columns of their own say.

    Parameters
    ----------
    steps
        Rows of a measurement table.

    Examples
    --------
    >>> rows = pd.DataFrame({"engine_version": ["5.23", "5.23+beams4"], "beams": [1, 4]})
    >>> subjects_of(rows)["engine_version"].tolist()
    ['5.23', '5.23']
    >>> subjects_of(rows.drop(columns="beams"))["engine_version"].tolist()
    ['5.23', '5.23+beams4']
    """
    told = [c for c in SETTINGS if c in steps and c not in DEPLOYMENT and steps[c].nunique() > 1]
    for name, pattern in PARTS.items():
        if not told or name not in steps:
            continue
        plain = steps[name].astype("string").str.replace(pattern, "", regex=True)
        beside = [steps[c] for c in (*DEPLOYMENT, *told) if c in steps and c != name]
        variants = steps[name].groupby([plain, *beside], dropna=False).nunique()
        if plain.nunique() < steps[name].nunique() and variants.max() == 1:
            steps = steps.assign(**{name: plain.astype(object).where(steps[name].notna())})
    return steps


def names_of(steps: pd.DataFrame) -> pd.Series | None:
    """Name the subject of every row; None where no column says it.

    >>> names_of(pd.DataFrame({"model": ["m"], "engine": ["e"]})).tolist()
    ['m | e']
    """
    keys = [name for name in SUBJECT if name in steps and steps[name].notna().any()]
    return steps[keys].astype(str).agg(" | ".join, axis=1) if keys else None
