"""What each part of the default law is worth on public curves: the law without it.

    LENGTHWISE_DATA=... python benchmarks/field.py --ablation

writes ``benchmarks/results/field_ablation.json``. Curves, cases and figures are those of the field;
what the law has learnt is taken without the source that it is judged on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import Pool
from typing import Any, Self

import pandas as pd
from field_alone import Alone
from field_protocol import Curve, Score, cases_of, score
from field_summary import summary

from lengthwise.calibration.average import Knowledge, average
from lengthwise.calibration.groups import groups_of
from lengthwise.calibration.lawset import OWN
from lengthwise.calibration.learned import attention_of, kind_of, learned, untaught
from lengthwise.calibration.shape import helpful_priors
from lengthwise.data.table import load

TESTS = ("all_4", "drawn_4", "spoilt")


@dataclass(frozen=True)
class Variant:
    """One change to the default law.

    Attributes
    ----------
    changes
        What ``Knowledge`` is given beside the defaults.
    taught
        Whether it knows what public curves teach.
    named
        Whether it reads the name of the model, and so its architecture.
    shaped
        Whether the step law says what a known model takes on known hardware.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    taught: bool = True
    named: bool = True
    shaped: bool = True


VARIANTS = {
    "full law": Variant(),
    "E1 off": Variant({"e1": "off"}),
    "E2 off": Variant({"e2": "off"}),
    "E3 off": Variant({"corrected": False}),
    "no averaging": Variant({"averaging": False}),
    "no learnt priors": Variant(taught=False),
    "no spoilt points": Variant({"spoilt": False}),
    "no step law": Variant(shaped=False),
    "no model names": Variant(named=False),
}


class Ablated(Alone):
    """The default law of one curve with one change; the full law predicts like ``LawSet()``."""

    def __init__(self, variant: Variant, source: str | None) -> None:
        super().__init__(OWN)
        self.variant, self.source = variant, source

    def fit(self, table: pd.DataFrame) -> Self:
        """Fit to a table of one deployment and phase."""
        hidden = [] if self.variant.named else ["model"]
        (group,) = groups_of(load(table.drop(columns=hidden, errors="ignore")))
        priors = learned(without=self.source) if self.variant.taught else untaught()
        knowledge = Knowledge(
            priors[kind_of(group.work)], group.spec, attention_of(group.spec, group.labels),
            borrowed=helpful_priors(group) if self.variant.shaped else None, **self.variant.changes,
        )  # fmt: skip
        self.fitted_ = average(group.work, group.y_s, knowledge)
        self.law_ = self.fitted_.law
        return self


def judge(curve: Curve, variants: tuple[str, ...]) -> list[Score]:
    """Score the variants on the cases of one curve."""
    return [
        score(curve, case, name, Ablated(VARIANTS[name], curve.source), lambda law: ())
        for case in cases_of(curve) if case.test in TESTS
        for name in variants
    ]  # fmt: skip


def run(curves: list[Curve], processes: int) -> dict[str, Any]:
    """Judge every variant on every curve."""
    with Pool(processes) as pool:
        parts = pool.map(partial(judge, variants=tuple(VARIANTS)), curves, chunksize=4)
    found = sorted((s for part in parts for s in part), key=lambda s: TESTS.index(s.test))
    return {"formulations": list(VARIANTS), "errors": summary(found)}
