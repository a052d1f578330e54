"""Arrays as text in JSON: exact and fast, for the state of a learner."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.units import FloatArray


def pack(values: FloatArray) -> dict[str, Any]:
    """Write float64 values as base64 of their little-endian bytes.

    >>> unpack(pack(np.array([[0.1, 2.0]]))).tolist()
    [[0.1, 2.0]]
    """
    data = np.ascontiguousarray(values, dtype="<f8")
    return {"shape": list(data.shape), "f8": base64.b64encode(data.tobytes()).decode()}


def unpack(data: Mapping[str, Any]) -> FloatArray:
    """Read :func:`pack` back."""
    shape = tuple(int(n) for n in data["shape"])
    flat = np.frombuffer(base64.b64decode(data["f8"], validate=True), dtype="<f8")
    return flat.reshape(shape).astype(float)
