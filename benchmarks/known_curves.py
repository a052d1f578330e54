"""The curves on which knowledge of model and hardware is judged.

A curve is one phase of one deployment: of the five datasets of curves as the field takes them, of
``splitwise``, ``llamacpp_benches`` and ``edgereasoning`` all batches and depths of a deployment
together. Of every source and kind at most ``MOST`` curves are taken whose model and processor are
known, and a third as many others, spread evenly over their names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from field_protocol import curves_of as field_curves

from lengthwise.calibration.groups import Group, groups_of
from lengthwise.calibration.learned import kind_of
from lengthwise.calibration.named_step import step_of
from lengthwise.data import datasets
from lengthwise.units import FloatArray, s_to_ms

CURVES = ("ik_llama_sweep_bench", "ds4_speed_bench", "minference", "krisdcosta_edge",
          "turboquant_plus")  # fmt: skip
DEPLOYMENTS = ("splitwise", "llamacpp_benches", "edgereasoning")
SOURCES = (*CURVES, *DEPLOYMENTS)
MOST = 12
FEWEST = 4
LABELS = ("model", "hardware", "engine", "precision", "tp", "pp")


@dataclass(frozen=True)
class KnownCurve:
    """Distinct points of one curve: x in tokens, and one table row for each.

    ``known`` says whether both its model and its processor are known.
    """

    source: str
    kind: str
    name: str
    known: bool
    x: FloatArray
    table: pd.DataFrame = field(repr=False)


def curves_of(source: str) -> list[KnownCurve]:
    """Read the curves of a source that are long enough to draw from, at most ``MOST`` of a kind."""
    every = [c for c in _all(source) if len(c.x) >= FEWEST and c.x.max() >= 4.0 * c.x.min()]
    kept: list[KnownCurve] = []
    for kind in dict.fromkeys(c.kind for c in every):
        known, others = (
            [c for c in every if c.kind == kind and c.known is k] for k in (True, False)
        )
        kept += [*_spread(known, MOST), *_spread(others, MOST // 3)]
    return kept


def _spread(curves: list[KnownCurve], most: int) -> list[KnownCurve]:
    picks = np.unique(np.linspace(0, len(curves) - 1, min(most, len(curves))).round().astype(int))
    return [curves[i] for i in picks] if curves else []


def _all(source: str) -> Iterator[KnownCurve]:
    table = datasets.table(source)
    if source in DEPLOYMENTS:
        for group in groups_of(table):
            yield _curve(source, f"{group.deployment} | {group.phase}", group)
        return
    for curve in field_curves(source, table):
        for group in groups_of(curve.table):
            yield _curve(source, curve.name, group)


def _curve(source: str, name: str, group: Group) -> KnownCurve:
    work = group.work
    size = work.new_tokens / work.sequences
    rows = {"phase": group.phase, "batch_size": work.sequences, "latency_ms": s_to_ms(group.y_s)}
    if group.phase == "decode":
        rows["context_len"] = work.context_len
    else:
        rows |= {"isl": work.context_len, "cached_tokens": work.context_len - size}
    labels = {n: v for n in LABELS if (v := group.labels.get(n)) is not None}
    known = step_of(group) is not None
    return KnownCurve(source, kind_of(work), name, known, work.length,
                      pd.DataFrame(rows | labels))  # fmt: skip
