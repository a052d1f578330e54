"""What the service tells of each request: metrics, one line of JSON, a trace if wanted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from lengthwise.interfaces.http import wire
from lengthwise.interfaces.http.exchange import Reply, Route
from lengthwise.interfaces.http.metrics import REQUEST_BOUNDS_S, Counter, Histogram

ACCESS = logging.getLogger("lengthwise.access")
LOG = logging.getLogger("lengthwise.http")

Tracer = Callable[[Mapping[str, Any]], None]


def log_to_stderr() -> None:
    """Write the access log, one JSON object a line, to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    ACCESS.addHandler(handler)
    ACCESS.setLevel(logging.INFO)
    ACCESS.propagate = False


class Telling:
    """Counts requests, writes the access log when it is on, and hands spans to a tracer.

    Parameters
    ----------
    tracer
        Called with the facts of each request (see `tracing.tracer`); None: no traces.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer
        self.requests = Counter(
            "lengthwise_http_requests_total", "Requests answered, by route and status.",
            ("method", "route", "status"),
        )  # fmt: skip
        self.seconds = Histogram(
            "lengthwise_http_request_seconds", "Time from the head of a request to its answer.",
            REQUEST_BOUNDS_S, ("route",),
        )  # fmt: skip
        self.rows = Counter(
            "lengthwise_http_rows_total", "Rows answered or taken, by route.", ("route",)
        )
        self._log = ACCESS.isEnabledFor(logging.INFO)

    def done(
        self, scope: Mapping[str, Any], route: Route | None, found: Reply, spent_s: float
    ) -> None:
        """Tell of one answered request."""
        name = route.path if route else "unknown"
        method = route.method if route else "OTHER"
        self.requests.add(1, method, name, str(found.status))
        self.seconds.observe_one(spent_s, name)
        if found.rows:
            self.rows.add(found.rows, name)
        if self._log or self._tracer:
            facts = _facts(scope, name, found, spent_s)
            if self._log:
                ACCESS.info("%s", wire.dump(facts).decode())
            if self._tracer:
                self._tracer(facts)

    def lines(self) -> list[str]:
        """Text of the metrics of requests."""
        return [*self.requests.lines(), *self.seconds.lines(), *self.rows.lines()]

    def unexpected(self, method: str, path: str, error: Exception) -> None:
        """Tell of an error nobody foresaw."""
        LOG.error("%s %s failed", method, path[:200], exc_info=error)


def _facts(scope: Mapping[str, Any], name: str, found: Reply, spent_s: float) -> dict[str, Any]:
    headers = dict(scope["headers"])
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "method": scope["method"],
        "path": scope["path"][:200],
        "route": name,
        "status": found.status,
        "ms": round(spent_s * 1e3, 3),
        "rows": found.rows,
        "bytes": len(found.body),
        "client": (scope.get("client") or ("",))[0],
        "request_id": headers.get(b"x-request-id", b"").decode("latin-1")[:200],
    }
