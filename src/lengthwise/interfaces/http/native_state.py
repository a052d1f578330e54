"""The native API: how the service is, what changed, what the live page shows, its metrics."""

from __future__ import annotations

import math
from time import time
from typing import Any

from lengthwise import __version__
from lengthwise.errors import InputError
from lengthwise.formulations.online.context import BOX
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.interfaces.http.context import Context, when
from lengthwise.interfaces.http.exchange import IN_THREAD, Call, Reply, Route, reply, text
from lengthwise.interfaces.http.state_metrics import state_lines
from lengthwise.interfaces.http.worker_metrics import WorkerMetrics

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class NativeState:
    """Handlers of status, drift, live data, probes and metrics.

    Parameters
    ----------
    context
        Settings, store and law.
    workers
        What is counted by this worker and its siblings.
    """

    def __init__(self, context: Context, workers: WorkerMetrics) -> None:
        self._context, self._workers = context, workers

    def status(self, call: Call) -> Reply:
        """Tell how the service is."""
        context = self._context
        law, store = context.current.law, context.store
        return reply(
            {
                "service": "lengthwise",
                "release": __version__,
                "role": context.settings.role,
                "law": {
                    "version": law.version,
                    "ready": dict(law.ready),
                    "rows_learnt": dict(law.learnt),
                    "median_relative_error": dict(law.error),
                    "loaded_at": context.loaded_at,
                    "suspect": dict(law.suspect),
                    "problem": context.current.problem,
                },
                "observations": store.counts() if store else None,
                "trainer": store.get("trainer") if store else None,
                "damage": store.damage() if store else [],
                "time": when(time()),
            }
        )

    def drift(self, call: Call) -> Reply:
        """Tell what changed lately: drift, repairs, promotions."""
        live = self._document("live")
        events = live.get("events", [])
        return reply({"events": events, "count": len(events)})

    def live(self, call: Call) -> Reply:
        """Give what the live page shows."""
        context = self._context
        law, live = context.current.law, self._document("live")
        frame = law.frame
        domain = {}
        if frame.lo is not None and frame.hi is not None:
            pairs = zip(BOX, frame.lo.tolist(), frame.hi.tolist(), strict=True)
            domain = {name: [lo, hi] for name, lo, hi in pairs}
        empty: dict[str, Any] = {"ttft": {}, "tpot": {}}
        return reply(
            {
                "now_s": time(),
                "law": {
                    "version": law.version,
                    "ready": {t: context.is_ready and bool(ok) for t, ok in law.ready.items()},
                    "suspect": dict(law.suspect),
                    "terms": law.terms(),
                    "recent": _recent(law, time()),
                    "pinned": context.store.pinned() if context.store else None,
                },
                "domain": domain,
                "recent": live.get("recent", empty),
                "error": live.get("error", empty),
                "events": live.get("events", []),
                "counts": context.store.counts() if context.store else {},
            }
        )

    def quarantine(self, call: Call) -> Reply:
        """List observations that must not be learnt from, with the reason, oldest first."""
        query = call.query
        after = _whole(query.get("after", "0"), "after", 2**62)
        limit = _whole(query.get("limit", "100"), "limit", 1000)
        rows = [
            {"sequence": r.sequence, "reason": r.reason, "received_at": when(r.received_s),
             "row": dict(r.row)}
            for r in self._context.kept.quarantined(after, limit)
        ]  # fmt: skip
        return reply({"rows": rows, "counts": self._context.kept.counts()["quarantined"]})

    def _document(self, name: str) -> dict[str, Any]:
        store = self._context.store
        found = store.get(name) if store else None
        return found if isinstance(found, dict) else {}

    def metrics(self, call: Call) -> Reply:
        """All metrics: those of all workers added up, and of the state they share."""
        lines = [*self._workers.lines(), *state_lines(self._context)]
        return text("\n".join(lines) + "\n", PROMETHEUS)

    def healthz(self, call: Call) -> Reply:
        """Tell that the process lives."""
        return reply({"status": "ok", "service": "lengthwise"})

    def readyz(self, call: Call) -> Reply:
        """Tell whether predictions are given and observations kept."""
        if self._context.store is not None:
            self._context.store.check()
        self._context.require_ready()
        law = self._context.current.law
        return reply({"status": "ready", "law_version": law.version, **self._context.suspect})

    def routes(self, *, probes: bool) -> list[Route]:
        """All endpoints here; `probes` adds those whose paths llm-d has too."""
        routes = [
            Route("GET", "/v1/status", self.status, "How the service is", IN_THREAD),
            Route("GET", "/v1/drift", self.drift, "What changed lately", IN_THREAD),
            Route("GET", "/v1/events", self.drift, "What changed lately", IN_THREAD),
            Route(
                "GET",
                "/v1/quarantine",
                self.quarantine,
                "Observations never learnt from",
                IN_THREAD,
                parameters=(
                    _number("after", 2**62),
                    _number("limit", 1000),
                ),
            ),
            Route("GET", "/v1/live", self.live, "What the live page shows", IN_THREAD),
            Route("GET", "/v1/metrics", self.metrics, "Prometheus metrics", IN_THREAD),
        ]
        if probes:
            routes += [
                Route("GET", "/healthz", self.healthz, "Alive", role=""),
                Route("GET", "/readyz", self.readyz, "Ready", IN_THREAD, ""),
                Route("GET", "/metrics", self.metrics, "Prometheus metrics", IN_THREAD),
            ]
        return routes


def _recent(law: OnlineLaw, now_s: float) -> dict[str, Any]:
    """Return what the last requests say on top of the law, by target, as it fades."""
    levels = {name: target.recent for name, target in law.targets.items()}
    return {
        name: {"percent": 100.0 * math.expm1(level.at(now_s)), "at_s": level.at_s,
               "fades_s": level.fades_s}
        for name, level in levels.items()
    }  # fmt: skip


def _number(name: str, most: int) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": 0, "maximum": most}
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _whole(text: str, name: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise InputError(f"{name} must be a whole number up to {most}", got=text[:80],
                         remedy="leave it out")  # fmt: skip
    return int(text)
