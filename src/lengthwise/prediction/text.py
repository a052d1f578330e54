"""Fitted laws for people: summary and equations."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.prediction.coefficients import (
    Coefficient,
    coefficients_of,
    equation_of,
    terms_of,
)
from lengthwise.prediction.training import HeldOutError
from lengthwise.units import format_tokens

SHOWN = 4
"""Laws whose equations a representation shows."""

Laws = Mapping[tuple[str, str], PhaseLaw]


def summary(laws: Laws, errors: Mapping[tuple[str, str], HeldOutError]) -> str:
    """Describe every law in a few lines; coefficients the data leave open end in ``?``."""
    lines, weak = [], False
    for key, law in laws.items():
        lines.append(_headline(law, errors[key]))
        for one in coefficients_of(law.law):
            weak = weak or not one.identified
            lines.append(f"    {_coefficient(one)}")
    if weak:
        lines.append("? weakly identified: the data leave it open, its prior decides")
    return "\n".join(lines)


def equations(head: str, laws: Laws) -> str:
    """Give the equations of the first laws under a headline."""
    lines = [head]
    for law in list(laws.values())[:SHOWN]:
        lines.append(f"  {law.deployment}, {law.phase}: {equation_of(law.law)}")
    if len(laws) > SHOWN:
        lines.append(f"  and {len(laws) - SHOWN} more laws")
    return "\n".join(lines)


def percent(value: float) -> str:
    """Format a percentage with two significant digits.

    >>> percent(0.256), percent(12.3), percent(float("nan"))
    ('0.26 %', '12 %', 'n/a')
    """
    if not math.isfinite(value):
        return "n/a"
    return f"{value:.{0 if value >= 10 else 1 if value >= 1 else 2}f} %"


def _headline(law: PhaseLaw, error: HeldOutError) -> str:
    low, high = (format_tokens(n) for n in law.domain.length)
    return (
        f"{law.deployment}, {law.phase}: {terms_of(law.law)}; {law.n_points} points, {low} to "
        f"{high} tokens; noise {percent(100 * law.noise)}; held out "
        f"{percent(error.in_range_percent)} in range, {percent(error.long_end_percent)} at the "
        "long end"
    )


def _coefficient(one: Coefficient) -> str:
    unit = f" {one.unit}" if one.unit else ""
    band = "" if math.isnan(one.lo) else f"  [{one.lo:.3g}, {one.hi:.3g}]"
    return f"{one.name} = {one.value:.4g}{unit}{band}{'' if one.identified else '  ?'}"
