"""How far off the step law is without a measurement, as it was found on public serving runs.

The figures are quantiles of log(measured / predicted) without any fit on the rows of
`benchmarks/serving.py`; only the width of intervals uses them, no prediction does.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

_LIKE = {"prefill": "tpot", "decode": "tpot", "mixed": "tpot"}


def bounds(name: str, level: float) -> tuple[float, float]:
    """Give how far a time may lie below and above its prediction, natural logarithms.

    Both are at least 0. Times to the first token lie above more often than below: other requests
    delay them in ways that no setting of a run records.

    >>> below, above = bounds("ttft", 0.9)
    >>> above > below > bounds("tpot", 0.5)[0]
    True
    """
    table = _table()
    levels, sides = table["levels"], table[_LIKE.get(name, name)]
    below, above = (float(np.interp(level, levels, sides[side])) for side in ("below", "above"))
    return max(below, 0.0), max(above, 0.0)


@cache
def _table() -> dict[str, Any]:
    path = files("lengthwise.data") / "profiles" / "zero_shot.json"
    return dict(json.loads(path.read_text())["miss"])
