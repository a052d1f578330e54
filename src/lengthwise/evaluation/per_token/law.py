"""Our law as a learner of named columns: it sees the batch as such, and settings as deployments.

A law knows phase, lengths and batch. Whatever else decides a time (precision, beams, temperature)
makes another deployment, with a law of its own that may borrow from the others. To ask what such a
column buys, the law is shown events without it, all of them one deployment, and with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import pandas as pd

from lengthwise.data.schema import DEPLOYMENT
from lengthwise.evaluation.estimator import Estimator, law_set
from lengthwise.evaluation.per_token.features import SETTING_GROUPS, SETTINGS
from lengthwise.evaluation.per_token.predictors import OWN
from lengthwise.units import FloatArray

TAKES = ("batch", *SETTING_GROUPS)
"""Groups of features that a law can be shown; the others it has no place for."""
BATCH = ("batch_size", "concurrency")


class LawOn:
    """Our law on phase, lengths and the named columns.

    Parameters
    ----------
    columns
        Features; those a law has no place for change nothing.

    Examples
    --------
    >>> context = pd.Series(range(100, 140), dtype=float)
    >>> rows = pd.DataFrame({"phase": "decode", "context_len": context, "beams": 1.0,
    ...                      "latency_ms": 10 + context / 100})
    >>> both = pd.concat([rows, rows.assign(beams=4.0, latency_ms=2 * rows["latency_ms"])])
    >>> [LawOn(names).fit(both).predict(both.tail(1)).round().tolist()
    ...  for names in (["context_len", "beams"], ["context_len"])]
    [[23.0], [17.0]]
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)

    def fit(self, events: pd.DataFrame) -> Self:
        """Fit on events, times in ms."""
        self.law_: Estimator = law_set(OWN, intervals=False).fit(self._seen(events))
        return self

    def predict(self, events: pd.DataFrame) -> FloatArray:
        """Predict times, shape (n,), ms."""
        return self.law_.predict(self._seen(events))

    def _seen(self, events: pd.DataFrame) -> pd.DataFrame:
        """Drop what is not named; name a deployment by the settings that are."""
        hidden = [c for c in (*BATCH, *SETTINGS) if c in events and c not in self.columns]
        seen = events.drop(columns=hidden)
        own = [c for c in SETTINGS if c in self.columns and c in seen and c not in DEPLOYMENT]
        if own:
            told = pd.DataFrame({c: f"{c}=" + seen[c].astype(str) for c in own})
            seen = seen.assign(engine_version=told.agg(",".join, axis=1))
        return seen
