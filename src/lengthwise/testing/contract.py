"""The contract every formulation keeps, as named checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lengthwise.data.schema import STEP_PHASES
from lengthwise.errors import InputError
from lengthwise.formulations.base import Formulation
from lengthwise.testing import interface, laws
from lengthwise.testing.case import Case

Check = Callable[[Case], None]

_CHECKS: tuple[Check, ...] = (
    interface.described, interface.parameters, interface.returns_itself,
    interface.inputs_unchanged, interface.types_and_index, interface.weights,
    interface.refuses_columns, interface.refuses_times, interface.refuses_weights,
    interface.refuses_tables, interface.refuses_out_of_turn,
    laws.finite_and_positive, laws.tiny_and_huge, laws.learns, laws.deterministic,
    laws.fitted_state, laws.order_of_rows, laws.unit_of_time, laws.monotone,
    laws.between_neighbours, laws.duplicated_points, laws.constant_batch, laws.single_length,
    laws.few_points,
)  # fmt: skip


def yield_checks() -> Iterator[tuple[str, Check]]:
    """Yield the name and the function of every check, to parametrise tests over.

    Examples
    --------
    >>> "unit_of_time" in dict(yield_checks())
    True
    """
    for check in _CHECKS:
        yield check.__name__, check


def check_formulation(
    formulation: Formulation, *, phases: Sequence[str] = ("prefill", "decode", "mixed")
) -> None:
    """Check that a formulation keeps the contract; say everything that it does not keep.

    Every check fits fresh clones to small made-up tables, so the formulation itself is left as it
    is. Any warning other than ``FitWarning`` during a fit counts as a failure.

    Parameters
    ----------
    formulation
        An instance of your class, fitted or not.
    phases
        The phases it is meant for, of ``prefill``, ``decode`` and ``mixed``.

    Raises
    ------
    AssertionError
        If a check fails; the message lists every failure with its check and phase.
    InputError
        If a phase is unknown.

    Examples
    --------
    >>> from lengthwise.formulations import registry
    >>> check_formulation(registry.make("linear"))
    """
    unknown = sorted(set(phases) - set(STEP_PHASES))
    if unknown or not phases:
        raise InputError(
            f"phases must be one or more of {', '.join(STEP_PHASES)}",
            got=str(list(phases)), remedy="leave phases out to check all of them",
        )  # fmt: skip
    failures: list[str] = []
    for phase in phases:
        case = Case(formulation, phase)
        for name, check in yield_checks():
            failures += _run(case, name, check)
    name = getattr(formulation, "name", type(formulation).__name__)
    assert not failures, f"{name} breaks the contract:\n" + "\n".join(failures)


def _run(case: Case, name: str, check: Check) -> list[str]:
    try:
        check(case)
    except Exception as error:  # a check that crashes is a finding too, and the others go on
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        return [f"  {case.phase}, {name}: {kind}{error}"]
    return []
