"""OpenTelemetry spans of requests, where that package is installed and asked for.

Set `LENGTHWISE_TRACES=1`; the exporter is set up by OpenTelemetry's own variables and agent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from time import time_ns
from typing import Any

from lengthwise.errors import InputError
from lengthwise.interfaces.http.telling import Tracer


def tracer(env: Mapping[str, str] = os.environ) -> Tracer | None:
    """Give the tracer of requests, None unless traces are asked for.

    >>> tracer({}) is None
    True
    """
    if env.get("LENGTHWISE_TRACES", "").lower() not in ("1", "true", "yes", "on"):
        return None
    try:
        trace: Any = import_module("opentelemetry.trace")
    except ImportError:
        raise InputError(
            "LENGTHWISE_TRACES needs a package of its own", got="no opentelemetry",
            remedy="pip install opentelemetry-sdk, or unset LENGTHWISE_TRACES",
        ) from None  # fmt: skip
    source = trace.get_tracer("lengthwise")

    def span(facts: Mapping[str, Any]) -> None:
        end = time_ns()
        found = source.start_span(
            f"{facts['method']} {facts['route']}", start_time=end - int(facts["ms"] * 1e6)
        )
        found.set_attribute("http.route", facts["route"])
        found.set_attribute("http.response.status_code", facts["status"])
        found.set_attribute("lengthwise.rows", facts["rows"])
        found.end(end_time=end)

    return span
