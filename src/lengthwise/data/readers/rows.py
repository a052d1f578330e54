"""What every reader does last: integer tokens, known columns first, a source on every row."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lengthwise.data.schema import COLUMNS, COUNTS, TOKENS


def tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the known columns first in the order of the schema and make tokens and counts integers.

    Missing tokens and counts are ``<NA>`` (dtype ``Int64``). Rows and extra columns are kept.

    >>> tidy(pd.DataFrame({"note": ["x"], "isl": [512.0]})).iloc[0].to_dict()
    {'isl': 512, 'note': 'x'}
    """
    known = [name for name in COLUMNS if name in frame]
    extra = [name for name in frame if name not in COLUMNS]
    whole = {name: "Int64" for name in (*TOKENS, *COUNTS) if name in frame}
    return frame[known + extra].astype(whole).reset_index(drop=True)


def mean_context(isl: Any, steps: Any) -> Any:
    """Mean KV tokens visible over ``steps`` decode steps that follow ``isl`` tokens, tokens.

    The steps see isl + 1 .. isl + steps, whose mean is isl + (steps + 1) / 2; a half is rounded up.

    >>> mean_context(512, 128), mean_context(512, 3)
    (577, 514)
    """
    return isl + steps // 2 + 1
