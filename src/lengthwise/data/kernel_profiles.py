"""Operator curves that ship with the project: one small JSON file per processor and operator."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

GENERIC = "generic"
"""Typical coefficients, for processors whose kernels nobody measured."""


@cache
def _read(name: str) -> dict[str, Any] | None:
    path = files("lengthwise.data") / "profiles" / name
    return json.loads(path.read_text()) if path.is_file() else None


def load_curves(kind: str, system: str) -> list[dict[str, Any]]:
    """Return the curves of one operator on one processor; empty when none were fitted.

    Parameters
    ----------
    kind
        ``gemm``, ``experts``, ...
    system
        Name in the hardware catalogue, or ``generic``.

    Returns
    -------
    list of dict
        With ``engine``, ``engine_version``, ``dtype``, ``kernel``, ``coefficients``,
        ``fit_error`` and ``held_out``. Do not change them: they are shared.

    Examples
    --------
    >>> {curve["dtype"] for curve in load_curves("gemm", "a100_sxm")} >= {"bfloat16"}
    True
    >>> load_curves("gemm", "abacus")
    []
    """
    found = _read(f"{system}.{kind}.json")
    return list(found["curves"]) if found else []


def source(kind: str, system: str) -> dict[str, Any]:
    """Say where the curves of one operator on one processor come from.

    >>> source("gemm", "a100_sxm")["licence"]
    'Apache-2.0'
    """
    found = _read(f"{system}.{kind}.json")
    return dict(found["source"]) if found else {}
