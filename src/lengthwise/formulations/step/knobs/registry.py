"""All knobs, in the order they are listed."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from lengthwise.errors import InputError
from lengthwise.formulations.step.knobs import (
    adapters,
    attention,
    cache,
    depth,
    host,
    layout,
    offload,
    precision,
    prompts,
    speculation,
)
from lengthwise.formulations.step.knobs.base import Knob, Value
from lengthwise.formulations.step.knobs.request import Request

_KNOBS: dict[str, Knob] = {
    knob.name: knob
    for family in (precision, attention, cache, prompts, speculation, depth, offload, adapters,
                   layout, host)
    for knob in family.KNOBS
}  # fmt: skip


def knobs() -> tuple[Knob, ...]:
    """Give all knobs.

    >>> len(knobs()) > 30
    True
    """
    return tuple(_KNOBS.values())


def find_knob(name: str) -> Knob:
    """Give a knob by name, with underscores or dashes.

    >>> find_knob("kv-bits").unit
    'bits'
    """
    key = name.strip().lstrip("-").replace("-", "_")
    if key not in _KNOBS:
        near = get_close_matches(key, _KNOBS, n=3, cutoff=0.5)
        remedy = f"did you mean {' or '.join(near)}" if near else "lengthwise explain --knobs"
        raise InputError("a technique must be a known knob", got=repr(name), remedy=remedy)
    return _KNOBS[key]


def parse_knobs(values: Mapping[str, Any]) -> dict[str, Value]:
    """Check settings by name; None means not given.

    >>> parse_knobs({"kv-bits": "8", "speculative_tokens": 3, "pruned": None})
    {'kv_bits': 8.0, 'speculative_tokens': 3}
    """
    given = {find_knob(name): value for name, value in values.items() if value is not None}
    return {knob.name: knob.parse(value) for knob, value in given.items()}


def apply_knobs(request: Request, values: Mapping[str, Any]) -> Request:
    """Change a request by settings of knobs, in the registry's order whatever theirs is.

    Parameters
    ----------
    request
        Plain request.
    values
        Settings by name, checked here.

    Returns
    -------
    Request
        With the physical quantities changed; its times follow from
        :func:`lengthwise.formulations.step.knobs.times.request_times`.
    """
    parsed = parse_knobs(values)
    if parsed.get("speculative_tokens") and parsed.get("mtp_tokens"):
        raise InputError("tokens are guessed by a draft model or by the model itself",
                         got="both speculative_tokens and mtp_tokens",
                         remedy="leave one of them out")  # fmt: skip
    for name, knob in _KNOBS.items():
        if name in parsed:
            request = knob.change(request, parsed[name])
    return request
