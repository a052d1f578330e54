"""Laws of requests under load: what is said when they are made, and when another load is asked.

A law of a load is a function of length at that load. How times change with the load is queueing,
which no curve over lengths knows: a load that was not measured is refused, not interpolated.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

from lengthwise.calibration.groups import Group
from lengthwise.data.load import Load, load_text, loads_text
from lengthwise.errors import FitWarning, InputError

OTHER_LOADS = (
    "for others use the step law with load (lengthwise fit TABLE --formulation step, or lengthwise "
    "predict --model NAME --hardware NAME --concurrency N), or measure them"
)


def warn_of_loads(groups: Sequence[Group]) -> None:
    """Warn once when laws are fitted to requests under load.

    Parameters
    ----------
    groups
        Everything that is fitted.
    """
    loads = [group.load for group in groups if group.load]
    if loads:
        warnings.warn(
            f"laws of requests under load hold for the loads measured only ({loads_text(loads)}), "
            "and for outputs of the length measured: their TTFT contains queueing; "
            f"{OTHER_LOADS}",
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
    if "concurrency" in asked and {} in measured:
        remedy += f"; batch_size={asked['concurrency']:g} asks for steps of a known batch"
    return InputError(f"the load must be one that was measured ({known})", got=got, remedy=remedy)
