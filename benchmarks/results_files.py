"""The committed results of the benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def result(suite: str) -> dict[str, Any]:
    """Read the committed result of one suite."""
    found: dict[str, Any] = json.loads((RESULTS / f"{suite}.json").read_text())
    return found
