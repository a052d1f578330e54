"""The training server of llm-d: taking observations, flushing, telling what is kept."""

from __future__ import annotations

from concurrent.futures import Future
from time import time

from lengthwise.interfaces.http import fields, schemas
from lengthwise.interfaces.http.bodies import INLINE_BYTES, Rows, RowsBody, parsed
from lengthwise.interfaces.http.context import Context, when
from lengthwise.interfaces.http.errors_seen import ErrorsSeen
from lengthwise.interfaces.http.examples import LLMD_TRAINING
from lengthwise.interfaces.http.exchange import IN_THREAD, Call, Pending, Reply, Route, reply
from lengthwise.interfaces.http.keeping import observed
from lengthwise.interfaces.http.tally import Tally
from lengthwise.interfaces.service.store import Receipt

FLUSHED = "llmd_flushed"
"""Document that holds when test data and metrics were last flushed."""


class LlmdTraining:
    """Handlers of the training server, models and metrics apart.

    Parameters
    ----------
    context
        Settings, store and law.
    tally
        Counts by bucket of what is kept.
    """

    def __init__(self, context: Context, tally: Tally) -> None:
        self._context, self._tally = context, tally
        self._errors = ErrorsSeen(context)
        self._rows = RowsBody(
            ["entries"], (*fields.ROUTER, *fields.OBSERVED), schemas.TrainingRow,
            timed="timestamp", most_bytes=context.settings.max_row_bytes,
        )  # fmt: skip

    def add(self, call: Call) -> Reply | Pending:
        """Take observations; the reply goes out when they are on disk."""
        rows = self._rows.read(call.body)
        if rows.n == 0:
            return _accepted(0)
        future: Future[Receipt] = self._context.kept.submit(observed(rows))
        self._seen(rows)
        return Pending(future, lambda receipt: _accepted(rows.n))

    def _seen(self, rows: Rows) -> None:
        self._context.counts.observations.add(rows.n, "accepted")
        self._errors.take(rows)

    def flush(self, call: Call) -> Reply:
        """Drop what is kept of the kinds asked for; the law stays."""
        body = parsed(call.body) if call.body.strip() else {}
        asked = schemas.checked(schemas.FlushBody, {} if body is None else body)
        training, test, metrics = (
            asked.flush_training_data, asked.flush_test_data, asked.flush_metrics,
        )  # fmt: skip
        store, now = self._context.kept, time()
        before = self._tested()
        gone = store.flush(training, test, metrics)
        flushed = store.get(FLUSHED) or {}
        flushed |= {"test": now} if test else {}
        flushed |= {"metrics": now} if metrics else {}
        store.put(FLUSHED, flushed)
        if training:
            self._tally.forget()
        tests = before if test else {"ttft": 0, "tpot": 0}
        done = [
            f"{gone['ttft_training']} TTFT and {gone['tpot_training']} TPOT training samples"
            if training else "",
            f"{tests['ttft']} TTFT and {tests['tpot']} TPOT test samples" if test else "",
            "all metrics" if metrics else "",
        ]  # fmt: skip
        said = ", ".join(part for part in done if part)
        return reply(
            {
                "success": True,
                "flushed_at": when(now),
                "reason": asked.reason,
                "ttft_training_samples_flushed": gone["ttft_training"],
                "tpot_training_samples_flushed": gone["tpot_training"],
                "ttft_test_samples_flushed": tests["ttft"],
                "tpot_test_samples_flushed": tests["tpot"],
                "metrics_cleared": metrics,
                "message": f"Successfully flushed: {said}" if said else "No data flushed",
            }
        )

    def data_status(self, call: Call) -> Reply:
        """Tell how many observations are kept, by target, queue and bucket."""
        context = self._context
        counts, test, tally = context.kept.counts(), self._tested(), self._tally.fresh()
        ready = context.current.law.ready
        retrained = (context.kept.get("trainer") or {}).get("last_retrain_s")
        return reply(
            {
                "training_data": _samples(counts["ttft"], counts["tpot"]),
                "test_data": _samples(test["ttft"], test["tpot"]),
                "ensemble": {
                    "ensemble_mode": context.settings.ensemble_mode,
                    "ensemble_active": False,
                    "min_samples_for_split": context.settings.min_samples_for_split,
                    **tally.queued(),
                },
                "metrics": {
                    "ttft_scores_count": test["ttft"],
                    "tpot_scores_count": test["tpot"],
                },
                "bucket_distribution": tally.buckets(),
                "model_ready": bool(ready["ttft"] and ready["tpot"]),
                "last_retrain": None if retrained is None else when(retrained),
                "quarantined": counts["quarantined"],
            }
        )

    def _tested(self) -> dict[str, int]:
        """Observations the law was tested on before it learnt from them, since the last flush."""
        store = self._context.kept
        since = (store.get(FLUSHED) or {}).get("test", 0.0)
        recent = (store.get("live") or {}).get("recent", {})
        return {
            target: sum(1 for t in recent.get(target, {}).get("time_s", []) if t > since)
            for target in ("ttft", "tpot")
        }

    def prefix_distribution(self, call: Call) -> Reply:
        """Describe observed TTFT by how much of the prompt was cached."""
        found = self._tally.fresh().by_prefix()
        return reply(found or {"error": "No training data available"})

    def readyz(self, call: Call) -> Reply:
        """Tell whether observations can be kept."""
        self._context.kept.check()
        self._context.require_ready()
        return reply({"status": "ready", **self._context.suspect})

    def healthz(self, call: Call) -> Reply:
        """Tell that the process lives."""
        return reply({"status": "ok"})

    def root(self, call: Call) -> Reply:
        """Tell what this is."""
        settings = self._context.settings
        return reply(
            {
                "message": "Latency predictor training server is running (lengthwise)",
                "model_type": settings.model_type,
                "objective_type": settings.objective,
                "quantile": settings.alpha,
                "description": "Learns TTFT and TPOT online from completed requests",
            }
        )

    def routes(self) -> list[Route]:
        """Endpoints of the training server, without those the prediction server has too."""
        return [
            Route("POST", "/add_training_data_bulk", self.add, "Take observations", INLINE_BYTES,
                  "write", "llm-d", self._rows, {"entries": [LLMD_TRAINING]},
                  {202: ("On disk", {"message": "Accepted 1 training samples."})},
                  limit="max_body_bytes"),
            Route("POST", "/flush", self.flush, "Drop what is kept", IN_THREAD, "write", "llm-d",
                  schemas.FlushBody, {"flush_metrics": False, "reason": "new deployment"}),
            Route("GET", "/data/status", self.data_status, "What is kept", IN_THREAD, tag="llm-d"),
            Route("GET", "/debug/prefix_distribution", self.prefix_distribution,
                  "Observed TTFT by cached share", IN_THREAD, tag="llm-d"),
        ]  # fmt: skip

    def probes(self) -> list[Route]:
        """Probes and root, for a process that has the training role only."""
        return [
            Route("GET", "/healthz", self.healthz, "Alive", role="", tag="llm-d"),
            Route("GET", "/readyz", self.readyz, "Ready", IN_THREAD, "", "llm-d"),
            Route("GET", "/", self.root, "What this is", tag="llm-d"),
        ]


def _accepted(n: int) -> Reply:
    return reply({"message": f"Accepted {n} training samples."}, 202, rows=n)


def _samples(ttft: int, tpot: int) -> dict[str, int]:
    return {"ttft_samples": ttft, "tpot_samples": tpot, "total_samples": ttft + tpot}
