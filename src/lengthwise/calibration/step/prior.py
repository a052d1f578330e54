"""Spreads of corrections to start from, where a user has a few rows of their own only."""

from __future__ import annotations

from lengthwise.calibration.step.kinship import Spreads


def usual_spreads(name: str) -> Spreads:
    """Give the spreads of a quantity."""
    return Spreads.usual()
