"""Whether a law may be published: workers can read it, and it answers recent rows no worse."""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.errors import LengthwiseError
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.formulations.online.rows import RouterRows, joined
from lengthwise.formulations.online.terms import TARGETS
from lengthwise.interfaces.service.current import parse_law
from lengthwise.interfaces.service.lesson import Lesson

ROWS, FEWEST = 256, 30
"""Rows that were believed and by which a law is tried, and how many there have to be."""
WORSE, ANY = 2.0, 0.25
"""A law is refused if its median error (ln) is so many times that of the one published, and above
this."""
PATIENCE = 20
"""Times a readable law is refused; then it is published, since the rows may have changed."""


class LawCheck:
    """Tries laws before they are published.

    Attributes
    ----------
    unreadable
        Whether the last law could not be read at all.

    Examples
    --------
    >>> import json
    >>> check, law = LawCheck(), OnlineLaw.cold().to_dict()
    >>> check.problem(json.dumps(law))
    ''
    >>> law["targets"]["ttft"]["offset"] = [float("nan")]
    >>> check.problem(json.dumps(law))[:27], check.unreadable
    ('an online law must be compl', True)
    """

    def __init__(self) -> None:
        self.unreadable = False
        self._rows: RouterRows | None = None
        self._seen: dict[str, Any] = {}
        self._published: OnlineLaw | None = None
        self._refused = 0

    def remember(self, lesson: Lesson, believed: Any) -> None:
        """Keep the latest rows of a lesson that were believed, bool (n,)."""
        index = np.flatnonzero(believed)[-ROWS:]
        if not len(index):
            return
        rows, room = lesson.router.take(index), ROWS - len(index)
        seen = {t: getattr(lesson, f"{t}_s")[index] for t in TARGETS}
        if self._rows is not None and room > 0:
            kept = slice(max(len(self._rows) - room, 0), None)
            rows = joined([self._rows.take(kept), rows])
            seen = {t: np.concatenate([self._seen[t][kept], seen[t]]) for t in TARGETS}
        self._rows, self._seen = rows, seen

    def published(self, text: str) -> None:
        """Take in the law that workers have now."""
        self._published, self._refused = parse_law(text), 0

    def problem(self, text: str) -> str:
        """Say why a law must not be published, "" if it may be."""
        self.unreadable = False
        try:
            law = parse_law(text)
        except LengthwiseError as error:
            self.unreadable = True
            return str(error)[:300]
        if self._refused >= PATIENCE:
            return ""
        found = self._worse(law)
        self._refused += bool(found)
        return found

    def _worse(self, law: OnlineLaw) -> str:
        if self._rows is None:
            return ""
        now = self._errors(law)
        if any(not np.isfinite(e) for e in now.values()):
            self.unreadable = True
            return "it gives no finite answers"
        if self._published is None:
            return ""
        before = self._errors(self._published)
        for target, error in now.items():
            if error > max(WORSE * before[target], ANY):
                return (f"its {target} is {np.expm1(error):.0%} off on recent rows, "
                        f"that of the law in use {np.expm1(before[target]):.0%}")  # fmt: skip
        return ""

    def _errors(self, law: OnlineLaw) -> dict[str, float]:
        """Median |ln error| of the mean answer by target, where enough was observed."""
        assert self._rows is not None
        answer = law.predict(self._rows)
        found = {}
        for target in TARGETS:
            seen = self._seen[target]
            known = seen > 0
            if known.sum() >= FEWEST:
                served = getattr(answer, f"{target}_s")[known]
                found[target] = float(np.median(np.abs(np.log(served / seen[known]))))
        return found
