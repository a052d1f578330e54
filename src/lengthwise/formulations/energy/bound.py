"""Tokens per second of a facility, bound by its processors or by its power.

    rate = min(K_eff / c_tok, theta P_facility / e_tok) * Phi * U

K_eff is the FLOP/s the processors reach, c_tok the FLOP of one token, P_facility the power from the
grid, theta the part of it that reaches the processors, e_tok their joules per token, Phi and U the
shares of the time that the service is up and used. The two bounds are equal at the power

    P* = e_tok K_eff / (theta c_tok)

above which more power buys nothing (Energy-to-token, position paper). theta is 1 / PUE, facility
power over power of the processors' servers, where nothing else is known.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from lengthwise.errors import InputError

Constraint = Literal["compute", "power"]


@dataclass(frozen=True)
class TokenRate:
    """Tokens per second and what they are bound by.

    Attributes
    ----------
    tokens_per_s
        The rate.
    constraint
        ``compute`` or ``power``.
    balance_w
        Facility power at which the constraint changes, W.
    joules_per_token
        Facility energy of one token, PUE e_tok, J.
    """

    tokens_per_s: float
    constraint: Constraint
    balance_w: float
    joules_per_token: float

    def to_dict(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self)


def token_rate(
    *, flops_per_s: float, flops_per_token: float, facility_w: float, joules_per_token: float,
    pue: float = 1.2, up: float = 1.0, used: float = 1.0,
) -> TokenRate:  # fmt: skip
    """Bound the token rate of a facility.

    Parameters
    ----------
    flops_per_s
        FLOP/s all processors reach together, K_eff (peak times MFU).
    flops_per_token
        FLOP of one token, c_tok.
    facility_w
        Power of the facility, W.
    joules_per_token
        Energy the servers need for one token, J, e_tok.
    pue
        Power usage effectiveness, facility over servers, at least 1; theta is its inverse.
    up, used
        Shares of the time that the service is up (Phi) and has work (U).

    Returns
    -------
    TokenRate
        Rate and what binds.

    Examples
    --------
    >>> found = token_rate(flops_per_s=4e14, flops_per_token=1.6e10, facility_w=5e3,
    ...                    joules_per_token=0.25, pue=1.25)
    >>> found.tokens_per_s, found.constraint, found.balance_w
    (16000.0, 'power', 7812.5)
    """
    positive = {
        "flops_per_s": flops_per_s, "flops_per_token": flops_per_token, "facility_w": facility_w,
        "joules_per_token": joules_per_token,
    }  # fmt: skip
    for name, value in positive.items():
        if not 0 < value < float("inf"):
            raise InputError(f"{name} must be a positive number", got=repr(value))
    if not 1 <= pue < float("inf"):
        raise InputError("PUE is facility power over server power, 1 or more", got=repr(pue))
    for name, value in (("up", up), ("used", used)):
        if not 0 < value <= 1:
            raise InputError(f"{name} is a share of the time, above 0 and at most 1",
                             got=repr(value))  # fmt: skip
    by_compute = flops_per_s / flops_per_token
    by_power = facility_w / (pue * joules_per_token)
    constraint: Constraint = "compute" if by_compute <= by_power else "power"
    return TokenRate(min(by_compute, by_power) * up * used, constraint,
                     pue * joules_per_token * by_compute, pue * joules_per_token)  # fmt: skip
