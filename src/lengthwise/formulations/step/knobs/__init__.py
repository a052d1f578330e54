"""Techniques as knobs: each changes one physical quantity of a request, never its time."""

from lengthwise.formulations.step.knobs.registry import apply_knobs, knobs, parse_knobs
from lengthwise.formulations.step.knobs.request import Physics, Request
from lengthwise.formulations.step.knobs.times import RequestTimes, request_times

__all__ = [
    "Physics", "Request", "RequestTimes", "apply_knobs", "knobs", "parse_knobs", "request_times",
]  # fmt: skip
