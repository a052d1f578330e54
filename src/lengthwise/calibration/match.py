"""Which law answers when points name their deployment only in part."""

from __future__ import annotations

from collections.abc import Mapping

from lengthwise.calibration.phase_law import PhaseLaw
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
        Deployment columns of the points with their values; may be empty.

    Returns
    -------
    The law, or None when no measured deployment agrees: it is one nobody measured.

    Raises
    ------
    InputError
        If the phase was never measured, or several deployments agree.
    """
    of_phase = [law for (_, p), law in laws.items() if p == phase]
    if not of_phase:
        known = sorted({p for _, p in laws})
        raise InputError(
            "the law must have been fitted to the phase asked for", got=f"phase={phase!r}",
            remedy=f"ask for {' or '.join(known)}, or measure {phase} and fit again",
        )  # fmt: skip
    agreeing = [law for law in of_phase if _agrees(law.labels, labels)]
    if len(agreeing) > 1:
        names = "; ".join(law.deployment for law in agreeing[:5])
        raise InputError(
            "points must name one deployment",
            got=f"{len(agreeing)} that agree: {names}{' ...' if len(agreeing) > 5 else ''}",
            remedy="add columns (or options) such as model, hardware and tp",
        )
    return agreeing[0] if agreeing else None


def _agrees(known: Mapping[str, object], asked: Mapping[str, object]) -> bool:
    return all(str(known.get(c)) == str(v) for c, v in asked.items())
