"""A fitted law in words: coefficients with units and intervals, terms, equation, provenance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.formulations.hachiya_patias.terms import KERNELS
from lengthwise.units import FloatArray, counted, format_tokens

Z90 = 1.6448536269514722
"""Half width of a 90 % interval of a normal distribution, standard deviations."""

LEARNT = 0.7
"""A coefficient whose posterior is wider than this share of its prior was not learnt from data."""
WIDEST = 0.5
"""Standard deviation of ln(coefficient) beyond which it counts as weakly identified."""

_NAMES = {
    "ln_n0_tokens": ("n0", "tokens"), "ln_nh_tokens": ("n_h", "tokens"), "ln_r": ("r", ""),
    "eta": ("eta", ""), "ln_floor_factor": ("floor factor", ""),
}  # fmt: skip
_SYMBOLS = {
    "E1": "alpha_2", "KV": "alpha_kv", "B": "alpha_b", "overhead": "alpha_0", "KV_root": "alpha_kr",
    "fresh": "alpha_f", "resumed": "alpha_r",
}  # fmt: skip
_BASES = {
    "KV": "KV", "B": "B", "overhead": "1", "KV_root": "B sqrt(10,000 c)",
    "fresh": "T (nothing cached)", "resumed": "T (on a cached prefix)",
}  # fmt: skip


@dataclass(frozen=True)
class Coefficient:
    """One fitted number.

    Attributes
    ----------
    name, unit
        Symbol and unit.
    value, lo, hi
        Value and 90 % interval; the interval is NaN for formulations without a posterior.
    identified
        Whether the data determine it; otherwise its prior does.
    """

    name: str
    unit: str
    value: float
    lo: float = float("nan")
    hi: float = float("nan")
    identified: bool = True


def coefficients_of(law: Formulation) -> list[Coefficient]:
    """List the coefficients of a fitted formulation; none for trees and the like.

    >>> import pandas as pd
    >>> from lengthwise.formulations import registry
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [128, 256, 512]})
    >>> [round(c.value, 5) for c in coefficients_of(registry.make("linear").fit(X, [1, 2, 4]))]
    [0.0, 0.00781]
    """
    if isinstance(law, HachiyaPatias):
        return _family(law)
    found = []
    for attribute in ("coef_", "exponents_"):
        values = getattr(law, attribute, None)
        parts = values.items() if isinstance(values, dict) else [("", values)]
        for part, numbers in parts:
            if isinstance(numbers, np.ndarray):
                label = f"{attribute.rstrip('_')}{f'.{part}' if part else ''}"
                found += [Coefficient(f"{label}[{i}]", "", float(v))
                          for i, v in enumerate(numbers.ravel())]  # fmt: skip
    return found


def terms_of(law: Formulation) -> str:
    """Name the terms that were kept.

    >>> terms_of(HachiyaPatias(e1="off", e2="off"))
    'not fitted'
    """
    if not isinstance(law, HachiyaPatias):
        return law.name
    if not hasattr(law, "scaling_"):
        return "not fitted"
    e1 = f"power {law.power_:g}" if law.e1_ == "power" else law.e1_
    e2 = law.scaling_.name
    tile = law.scaling_.settings().get("tile", 1)
    if tile > 1:
        e2 = f"tile {tile}"
    apart = ", prefix apart" if any(t.name in KERNELS for t in law.terms_) else ""
    return f"E1 {e1}, E2 {e2}, E3 {law.correction_.kind}{apart}"


def equation_of(law: Formulation) -> str:
    """Write the law with its numbers and units, times in seconds."""
    if not isinstance(law, HachiyaPatias):
        numbers = ", ".join(f"{c.name}={c.value:.3g}" for c in coefficients_of(law))
        return law.equation + (f" with {numbers}" if numbers else "")
    values = {c.name: c for c in _family(law)}
    parts = [f"{format_rate(values['alpha_1'].value, 'token')} x {_scaled(law, values)}"]
    for term in law.terms_:
        unit = term.unit.partition("/")[2]
        value = values[_SYMBOLS.get(term.name, term.name)].value
        basis = _e1_basis(law) if term.name == "E1" else _BASES.get(term.name, term.name)
        parts.append(format_rate(value, unit) + ("" if basis == "1" else f" x {basis}"))
    text = "t = " + " + ".join(parts)
    return text if law.correction_.is_identity else f"({text[4:]}) x exp(E3)".join(("t = ", ""))


def format_rate(seconds: float, per: str) -> str:
    """Format a coefficient with the unit of time that reads best.

    >>> format_rate(2.1e-5, "token"), format_rate(3e-9, "pair"), format_rate(0.02, "")
    ('21 us/token', '3 ns/pair', '20 ms')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9), ("ps", 1e-12)):
        if abs(seconds) >= size or unit == "ps":
            return f"{seconds / size:.3g} {unit}" + (f"/{per}" if per else "")
    raise AssertionError


def provenance_of(law: PhaseLaw, relatives: int = 0) -> str:
    """Say which law answers and what it was calibrated on."""
    name = law.law.name
    terms = f" ({terms_of(law.law)})" if isinstance(law.law, HachiyaPatias) else ""
    if law.n_points == 0:
        source = counted(relatives, "relative")
        return f"{name}{terms} from {source}; {law.deployment} was never measured"
    return (
        f"{name}{terms} from {counted(law.n_points, 'point')} ({counted(law.n_rows, 'row')}) "
        f"up to {format_tokens(law.domain.length[1])} tokens of {law.deployment}{_outputs(law)}"
    )


def _outputs(law: PhaseLaw) -> str:
    """Say whose outputs a request waits for under load."""
    if law.domain.outputs is None:
        return ""
    low, high = (format_tokens(tokens) for tokens in law.domain.outputs)
    return f", outputs of {low}" + (f" to {high} tokens" if low != high else " tokens")


def _family(law: HachiyaPatias) -> list[Coefficient]:
    size = len(law.scaling_.parameters)
    sd = np.sqrt(np.maximum(np.diag(law.covariance_), 0.0))
    found = [_logarithmic("alpha_1", "s/token", float(law.theta_[0]), float(sd[0]), np.inf)]
    prior = _prior_sd(law)
    for i, name in enumerate(law.scaling_.parameters, start=1):
        symbol, unit = _NAMES.get(name, (name, ""))
        mean, spread = float(law.theta_[i]), float(sd[i])
        if name.startswith("ln_"):
            found.append(_logarithmic(symbol, unit, mean, spread, float(prior[i - 1])))
        else:
            found.append(Coefficient(symbol, unit, mean, mean - Z90 * spread, mean + Z90 * spread,
                                     spread <= LEARNT * float(prior[i - 1])))  # fmt: skip
    for i, term in enumerate(law.terms_, start=1 + size):
        # The coefficient is alpha_1 exp(rho): its logarithm is a sum of two parameters.
        covariance = law.covariance_
        spread = float(
            np.sqrt(max(covariance[0, 0] + covariance[i, i] + 2 * covariance[0, i], 0.0))
        )
        mean = float(law.theta_[0] + law.theta_[i])
        learnt = bool(sd[i] <= LEARNT * term.prior.sd)
        one = _logarithmic(_SYMBOLS.get(term.name, term.name), term.unit, mean, spread, np.inf)
        identified = one.identified and learnt
        found.append(Coefficient(one.name, one.unit, one.value, one.lo, one.hi, identified))
    return found


def _logarithmic(name: str, unit: str, mean: float, sd: float, prior_sd: float) -> Coefficient:
    lo, value, hi = (math.exp(min(mean + z * sd, 700.0)) for z in (-Z90, 0.0, Z90))
    return Coefficient(name, unit, value, lo, hi, sd <= min(LEARNT * prior_sd, WIDEST))


def _prior_sd(law: HachiyaPatias) -> FloatArray:
    size = len(law.scaling_.parameters)
    rows = law.scaling_.prior(law.theta_[1 : 1 + size])[1]
    precision = rows.T @ rows
    return np.sqrt(np.maximum(np.diag(np.linalg.pinv(precision, hermitian=True)), 0.0))


def _scaled(law: HachiyaPatias, values: dict[str, Coefficient]) -> str:
    form = law.scaling_
    if form.name == "off":
        return "T"
    if form.name == "floor":
        k, tile = form.settings()["k"], form.settings()["tile"]
        tokens = "T" if tile == 1 else f"({tile} ceil(T / {tile}))"
        n0 = f"{values['n0'].value:.3g} tokens"
        return f"({tokens} + {n0})" if k == 1 else f"({tokens}^{k} + ({n0})^{k})^(1/{k})"
    if form.name == "blend":
        return _blended(form.settings())
    if form.name == "hill":
        r, half = values["r"].value, values["n_h"].value
        sign = "+" if r >= 1 else "-"
        return f"T [1 {sign} {abs(r - 1):.3g} / (1 + (T / {half:.3g} tokens)^2)]"
    if form.name == "tilt":
        return f"T (T / n_r)^{values['eta'].value:.3g}"
    return f"T s(T), s a {form.name} of {len(form.parameters)} pieces"


def _blended(settings: dict[str, Any]) -> str:
    """Write a blend of floors."""
    rest = 1.0 - sum(settings["shares"])
    parts = [f"{rest:.2g} T"] if rest > 0.005 else []
    parts += [
        f"{share:.2g} (T^{k} + ({n0:.3g} tokens)^{k})^(1/{k})"
        for share, k, n0 in zip(settings["shares"], settings["k"], settings["tokens"], strict=True)
    ]
    return "[" + " + ".join(parts) + "]"


def _e1_basis(law: HachiyaPatias) -> str:
    reference = format_tokens(law.reference_)
    if law.e1_ == "nlogn":
        return f"2 A ln(1 + c / {reference}) / c"
    if law.e1_ == "power" and law.power_ != 2.0:
        return f"A (c / {reference})^{law.power_ - 2:g}"
    return "A"
