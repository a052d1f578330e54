"""Which law answers when points name their deployment only in part.

Labels may be left out; a load may not: requests under load, and single requests or batches, are
never answered by one another's laws.
"""

from __future__ import annotations

from collections.abc import Mapping

from lengthwise.calibration.loads import load_not_measured
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.data.load import load_in
from lengthwise.data.schema import LOAD
from lengthwise.data.settings import NAME as SETTINGS
from lengthwise.data.settings import holds_all
from lengthwise.errors import InputError


def match_deployment(
    laws: Mapping[tuple[str, str], PhaseLaw], phase: str, labels: Mapping[str, object]
) -> PhaseLaw | None:
    """Find the one law whose labels agree with those given.

    Parameters
    ----------
    laws
        Laws by deployment and phase.
    phase
        Phase of the points.
    labels
        Deployment columns of the points with their values, and their load; may be empty.

    Returns
    -------
    The law, or None when no measured deployment agrees: it is one nobody measured.

    Raises
    ------
    InputError
        If the phase or the load was never measured, or several deployments agree.
    """
    of_phase = [law for (_, p), law in laws.items() if p == phase]
    if not of_phase:
        known = sorted({p for _, p in laws})
        raise InputError(
            "the law must have been fitted to the phase asked for", got=f"phase={phase!r}",
            remedy=f"ask for {' or '.join(known)}, or measure {phase} and fit again",
        )  # fmt: skip
    alike = [law for law in of_phase if _agrees(law.labels, labels)]
    load = load_in(labels)
    agreeing = [law for law in alike if law.load == load]
    agreeing = agreeing or [law for law in alike if law.holds(load)]
    if len(agreeing) > 1:
        names = "; ".join(law.deployment for law in agreeing[:5])
        raise InputError(
            "points must name one deployment",
            got=f"{len(agreeing)} that agree: {names}{' ...' if len(agreeing) > 5 else ''}",
            remedy=_remedy(agreeing),
        )
    if agreeing:
        return agreeing[0]
    if alike or load or all(law.load for law in of_phase):
        named = " | ".join(str(v) for c, v in labels.items() if c not in LOAD)
        raise load_not_measured(load, (law.load for law in alike or of_phase), named)
    return None


def _agrees(known: Mapping[str, object], asked: Mapping[str, object]) -> bool:
    return all(
        holds_all(known.get(c), v) if c == SETTINGS else str(known.get(c)) == str(v)
        for c, v in asked.items() if c not in LOAD
    )  # fmt: skip


def _remedy(laws: list[PhaseLaw]) -> str:
    """Name the labels that tell laws apart, with the first value of each."""
    names = dict.fromkeys(c for law in laws for c in law.labels if c not in LOAD)
    values = {c: list(dict.fromkeys(law.labels.get(c) for law in laws)) for c in names}
    apart = [
        f"{c}={next(v for v in values[c] if v is not None)!r}" for c in names if len(values[c]) > 1
    ]
    return f"add columns (or options) such as {' and '.join(apart)}"
