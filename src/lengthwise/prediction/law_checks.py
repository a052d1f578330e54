"""What a law from a file must hold to: steps take finite times, and more work takes no less.

Loading a law tries it inside and beyond its domain. A law of a monotone formulation never falls;
one of another may bend down where data scatter (to a third in public measurements), not to nothing.
"""

from __future__ import annotations

import numpy as np

from lengthwise.calibration.phase_law import Domain
from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.typed_json import wrong
from lengthwise.units import FloatArray

LONGEST_S = 1e7
"""A step that takes longer, 115 days, is none."""
LONGEST_TOKENS = 1e12
BEYOND = 16.0
SHORTEST_S = 1e-7
"""A law that nowhere gives a longer time has fallen to its floor."""
LEAST_SHARE = 0.05
"""Of the time at the shortest length, what the longer measured ones must take at least."""
FALLS = 1e-6
"""Share by which rounding lets a monotone law fall."""


def check_physics(law: Formulation, phase: str, domain: Domain, where: str) -> None:
    """Try a law at lengths and batches inside and beyond its domain.

    Raises
    ------
    ArtifactError
        If it fails, falls, or gives times that no step takes.
    """
    low, high = domain.length
    least, most = domain.sequences
    if not (0 < low <= high <= LONGEST_TOKENS and 0 < least <= most <= LONGEST_TOKENS):
        raise wrong(f"{where}.domain: lengths and sequences must be positive, the least first",
                    (domain.length, domain.sequences))  # fmt: skip
    lengths = np.geomspace(low, BEYOND * high, 24)
    batches = np.geomspace(least, BEYOND * most, 12)
    inside = _seconds(law, phase, np.geomspace(low, high, 24), least, where)
    if not SHORTEST_S < inside.max() <= LONGEST_S or inside.min() < LEAST_SHARE * inside[0]:
        raise wrong(f"{where}.state must give longer times for more tokens, up to {LONGEST_S:g} s",
                    inside)  # fmt: skip
    if not law.monotone:
        return
    for batch in (least, most):
        _check_rises(_seconds(law, phase, lengths, batch, where), f"{where}.state", "tokens")
    for length in (low, high):
        times = _seconds(law, phase, np.full(len(batches), length), batches, where)
        _check_rises(times, f"{where}.state", "sequences")


def _seconds(
    law: Formulation, phase: str, length: FloatArray, batch: FloatArray | float, where: str
) -> FloatArray:  # fmt: skip
    query = length if phase == "prefill" else np.ones(len(length))
    work = Work.of(phase, query_len=query, context_len=length, batch_size=batch)
    try:
        seconds = law.predict_work(work)
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
        raise wrong(f"{where}.state must be one that predicts", error) from None
    if seconds.shape != length.shape or not np.isfinite(seconds).all():
        raise wrong(f"{where}.state must predict finite times", seconds)
    return seconds


def _check_rises(times: FloatArray, where: str, what: str) -> None:
    if (np.diff(times) < -FALLS * times[:-1]).any():
        raise wrong(f"{where} must not take less time for more {what}", times)
