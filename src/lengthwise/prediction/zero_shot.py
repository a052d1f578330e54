"""How far off the step law is without a measurement, as it was found on public serving runs.

The figures are errors of the law without any fit on the rows of `benchmarks/serving.py`; only the
width of intervals uses them, no prediction does.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import numpy as np

_LIKE = {"prefill": "tpot", "decode": "tpot", "mixed": "tpot"}


def half_width(name: str, level: float) -> float:
    """Give half the width of an interval, natural logarithm.

    >>> half_width("ttft", 0.9) > half_width("tpot", 0.9) > half_width("tpot", 0.5)
    True
    """
    table = _table()
    return float(np.interp(level, table["levels"], table[_LIKE.get(name, name)]))


@cache
def _table() -> dict[str, list[float]]:
    path = files("lengthwise.data") / "profiles" / "zero_shot.json"
    return dict(json.loads(path.read_text())["half_width"])
