"""Laws of requests under load: what is said when they are made, and when another load is asked.

A law of a load is a function of length at that load. How times change with the load is queueing,
which no curve over lengths knows: a load that was not measured is refused, not interpolated.
Requests in flight that were computed are put into classes (:mod:`lengthwise.data.load`), and a law
of a class answers for all of it; a class of a few requests at the edge of a run makes no law.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

from lengthwise.calibration.groups import Group
from lengthwise.data.load import Load, load_text, loads_text
from lengthwise.data.schema import LOAD
from lengthwise.errors import FitWarning, InputError
from lengthwise.units import counted

OTHER_LOADS = (
    "for others use the step law with load (lengthwise fit TABLE --formulation step, or lengthwise "
    "predict --model NAME --hardware NAME --concurrency N), or measure them"
)


ONLY_RATE = (
    "; where only a rate is known, rows are a load of their own and not batch 1: give the requests "
    "in flight as concurrency (throughput x mean E2E) to use them with others"
)

FEWEST = 3
"""Points of a class of computed loads from which it makes a law, where others have as many."""


def with_enough(groups: Sequence[Group]) -> list[Group]:
    """Leave out classes of computed loads with hardly a point, beside classes with more; say so.

    Parameters
    ----------
    groups
        Everything there is to fit.
    """
    others = {_but_load(g) for g in groups if g.in_flight is None or len(g) >= FEWEST}
    kept = [
        g for g in groups if g.in_flight is None or len(g) >= FEWEST or _but_load(g) not in others
    ]
    few = [g for g in groups if all(g is not other for other in kept)]
    if few:
        rows = int(sum(group.repeats.sum() for group in few if group.phase == few[0].phase))
        warnings.warn(
            f"requests at loads that hardly occurred ({loads_text(g.load for g in few)}) make no "
            f"law and are left out: {counted(rows, 'row')} of {few[0].phase}",
            FitWarning, stacklevel=2,
        )  # fmt: skip
    return kept


def _but_load(group: Group) -> tuple[object, ...]:
    """Return what was measured, whatever the load."""
    return group.phase, *(v for name, v in sorted(group.labels.items()) if name not in LOAD)


def warn_of_loads(groups: Sequence[Group]) -> None:
    """Warn once when laws are fitted to requests under load.

    Parameters
    ----------
    groups
        Everything that is fitted.
    """
    loads = [group.load for group in groups if group.load]
    rate_only = any("request_rate" in load and "concurrency" not in load for load in loads)
    if loads:
        warnings.warn(
            f"laws of requests under load hold for the loads measured only ({loads_text(loads)}), "
            "and for outputs of the length measured: their TTFT contains queueing; "
            f"{OTHER_LOADS}{ONLY_RATE if rate_only else ''}",
            FitWarning, stacklevel=2,
        )  # fmt: skip


def load_not_measured(asked: Load, measured: Iterable[Load], deployment: str = "") -> InputError:
    """Make the error for a load that no law was measured at.

    Parameters
    ----------
    asked
        The load asked for, empty for single requests and batches.
    measured
        Loads of the laws that could answer otherwise.
    deployment
        What was asked about, when no law of it was measured.

    Examples
    --------
    >>> error = load_not_measured({"concurrency": 6.0}, [{}, {"concurrency": 4.0}])
    >>> error.rule, error.got
    ('the load must be one that was measured (no load; concurrency=4)', 'concurrency=6')
    """
    measured = list(measured)
    known = loads_text(measured)
    got = load_text(asked) + (f" for {deployment}" if deployment else "")
    remedy = f"ask for a load that was measured; {OTHER_LOADS}"
    if "request_rate" in asked and not any("request_rate" in load for load in measured):
        remedy += "; where requests in flight are known, ask with concurrency instead of a rate"
    if "concurrency" in asked and {} in measured:
        remedy += f"; batch_size={asked['concurrency']:g} asks for steps of a known batch"
    return InputError(f"the load must be one that was measured ({known})", got=got, remedy=remedy)
