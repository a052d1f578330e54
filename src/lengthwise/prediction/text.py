"""Fitted laws for people: summary and equations."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.calibration.rivals import Rival
from lengthwise.calibration.suspects import Suspect
from lengthwise.calibration.trials import Trial
from lengthwise.prediction.coefficients import (
    Coefficient,
    coefficients_of,
    equation_of,
    terms_of,
)
from lengthwise.prediction.training import HeldOutError
from lengthwise.units import counted, format_ms, format_tokens

SHOWN = 4
"""Laws whose equations a representation shows."""

NAMED = 3
"""Suspects of a law that are said one by one."""

_LENGTH = {"quadratic": "attention", "off": "", "constant": ""}
_SHORT = {
    "none": "tokens", "off": "tokens", "overhead": "tokens + overhead",
    "floor2": "floor (k = 2)", "floor4": "floor (k = 4)",
}  # fmt: skip

Laws = Mapping[tuple[str, str], PhaseLaw]


def summary(laws: Laws, errors: Mapping[tuple[str, str], HeldOutError]) -> str:
    """Describe every law in a few lines; coefficients the data leave open end in ``?``."""
    lines, weak = [], False
    for key, law in laws.items():
        lines.append(_headline(law, errors[key]))
        for one in coefficients_of(law.law):
            weak = weak or not one.identified
            lines.append(f"    {_coefficient(one)}")
        lines += [f"    {line}" for line in findings(law)]
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


def findings(law: PhaseLaw) -> list[str]:
    """Say in plain lines which points a law doubts and which simple formula rivals it.

    >>> from lengthwise.calibration.phase_law import Domain
    >>> from lengthwise.calibration.suspects import Suspect
    >>> from lengthwise.formulations.hachiya_patias import HachiyaPatias
    >>> slow = Suspect(0, 900.0, 900.0, 900.0, 1.0, 812.0, 230.0, 0.9)
    >>> domain = Domain((900.0, 9000.0), (900.0, 9000.0), (1.0, 1.0))
    >>> law = PhaseLaw("x", "prefill", {}, HachiyaPatias(), domain, 5, 5, suspects=(slow,))
    >>> findings(law)[0][:68]
    'prefill of 900 tokens took 812 ms, where the other points say 230 ms'
    """
    lines = [_doubt(law.phase, suspect) for suspect in law.suspects[:NAMED]]
    more = len(law.suspects) - NAMED
    if more > 0:
        lines.append(f"{law.phase}: {counted(more, 'more point')} like that")
    if law.rival is not None:
        lines.append(_rivalry(law.phase, law.rival))
    return lines


def structure_of(trial: Trial) -> str:
    """Name a set of terms: its short end, its growth with length, a prefix that costs apart.

    >>> structure_of(Trial("quadratic", "floor2", "residual", 0.03, 0.05))
    'floor (k = 2) + attention'
    """
    parts = [_SHORT.get(trial.e2, trial.e2), _LENGTH.get(trial.e1, trial.e1)]
    return " + ".join(filter(None, parts)) + (", prefix apart" if trial.prefix == "apart" else "")


def percent(value: float) -> str:
    """Format a percentage with two significant digits.

    >>> percent(0.256), percent(12.3), percent(float("nan"))
    ('0.26 %', '12 %', 'n/a')
    """
    if not math.isfinite(value):
        return "n/a"
    return f"{value:.{0 if value >= 10 else 1 if value >= 1 else 2}f} %"


def _doubt(phase: str, point: Suspect) -> str:
    again = "measure it again, warm" if point.is_slow else "measure it again"
    return (
        f"{_named(phase, point)} took {format_ms(point.measured_ms)}, where the other points say "
        f"{format_ms(point.expected_ms)}: it counts for little; {again}"
    )


def _named(phase: str, point: Suspect) -> str:
    context = format_tokens(point.context_len)
    batch = f", batch {point.batch_size:,.4g}" if point.batch_size != 1.0 else ""
    if phase != "prefill" or point.query_len is None:
        return f"{phase} step at {context} tokens{batch}"
    query = format_tokens(point.query_len)
    return f"prefill of {query} tokens{'' if query == context else f' up to {context}'}{batch}"


def _rivalry(phase: str, rival: Rival) -> str:
    part = "a half" if rival.folds == 1 else "a half and a quarter"
    return (
        f"{phase}: on its own long end, lengths up to {part} predicted the rest: {rival.name} "
        f"{percent(rival.error_percent)}, this law {percent(rival.ours_percent)}; such a lead "
        "seldom lasts, so it has no weight: measure longer to be sure"
    )


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
