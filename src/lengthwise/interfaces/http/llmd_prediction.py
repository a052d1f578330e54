"""The prediction server of llm-d: single and bulk predictions, status, reload, probes."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, time
from typing import Any

from lengthwise.interfaces.http import fields, schemas, wire
from lengthwise.interfaces.http.asking import (
    ask,
    deviations,
    level_for,
    listed,
    router_rows,
    times,
)
from lengthwise.interfaces.http.bodies import INLINE_BYTES, Rows, RowsBody
from lengthwise.interfaces.http.context import NOT_READY, Context, when
from lengthwise.interfaces.http.examples import LLMD_BULK, LLMD_PREDICTION, LLMD_ROW
from lengthwise.interfaces.http.exchange import IN_THREAD, Call, Reply, Route, reply

SERVICE = "http-based-latency-predictor"


class LlmdPrediction:
    """Handlers of the prediction server.

    Parameters
    ----------
    context
        Settings and law.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._level = level_for(context.alpha)
        self._spread = deviations(self._level)
        self._rows = RowsBody(
            ["requests"], fields.ROUTER, schemas.PredictionRow, least=1,
            most=context.settings.max_rows, most_bytes=context.settings.max_row_bytes,
        )  # fmt: skip

    def predict(self, call: Call) -> Reply:
        """Predict one row."""
        rows = self._rows.one(call.body)
        self._context.require_ready()
        return reply(self._predictions(rows)(slice(0, 1))[0], rows=1)

    def bulk_strict(self, call: Call) -> Reply:
        """Predict all rows or none."""
        began = perf_counter()
        rows = self._rows.read(call.body)
        self._context.require_ready()
        return self._bulk(wire.in_turns(rows.n, self._predictions(rows)), rows.n, began)

    def bulk(self, call: Call) -> Reply:
        """Predict rows; while no law is ready each has its error instead."""
        began = perf_counter()
        rows = self._rows.read(call.body)
        if self._context.is_ready:
            found = wire.in_turns(rows.n, self._predictions(rows))
            return self._bulk(found, rows.n, began, {"errors": []})
        errors = [
            {"index": i, "error": NOT_READY, "request": row}
            for i, row in enumerate(self._rows.objects(call.body))
        ]
        return self._bulk([None] * rows.n, rows.n, began, {"errors": errors})

    def _bulk(
        self, predictions: list[Any], n: int, began: float, more: dict[str, Any] | None = None
    ) -> Reply:
        failed = len(more["errors"]) if more else 0
        content = {
            "predictions": predictions,
            **(more or {}),
            "total_requests": n,
            "successful_predictions": n - failed,
            "failed_predictions": failed,
            "processing_time_ms": (perf_counter() - began) * 1e3,
        }
        return reply(content, rows=n - failed)

    def _predictions(self, rows: Rows) -> Callable[[slice], list[dict[str, Any]]]:
        """Predict all rows, in their order; what is returned writes some of the answers."""
        context = self._context
        asked = router_rows(rows.columns, rows.n)
        answer = ask(context.current.law, asked, level=self._level, alpha=context.alpha)
        context.counts.predicted(answer.ttft_s, answer.tpot_s, int(answer.in_domain.sum()))
        ttft, tpot = times(answer)
        now, kind, objective = when(time()), context.settings.model_type, context.objective
        quantile, loaded = context.settings.alpha, context.loaded_at
        spreads = [(found.hi - found.lo) / self._spread for found in (ttft, tpot)]

        def written(part: slice) -> list[dict[str, Any]]:
            return [
                {
                    "ttft_ms": first,
                    "tpot_ms": each,
                    "ttft_uncertainty": first_sd,
                    "tpot_uncertainty": each_sd,
                    "ttft_prediction_bounds": first_bounds,
                    "tpot_prediction_bounds": each_bounds,
                    "predicted_at": now,
                    "model_type": kind,
                    "objective_type": objective,
                    "quantile": quantile,
                    "last_model_load": loaded,
                }
                for first, each, first_sd, each_sd, first_bounds, each_bounds in zip(
                    listed(ttft.value[part]),
                    listed(tpot.value[part]),
                    *(listed(spread[part]) for spread in spreads),
                    zip(listed(ttft.lo[part]), listed(ttft.hi[part]), strict=True),
                    zip(listed(tpot.lo[part]), listed(tpot.hi[part]), strict=True),
                    strict=True,
                )
            ]

        return written

    def status(self, call: Call) -> Reply:
        """Tell whether and with what predictions are made."""
        context = self._context
        exists = context.is_ready
        models = {"ttft_model": exists, "tpot_model": exists}
        if context.settings.model_type == "bayesian_ridge":
            models |= {"ttft_scaler": exists, "tpot_scaler": exists}
        return reply(
            {
                "is_ready": exists,
                **self._kind(),
                "last_model_load": context.loaded_at,
                "training_server_url": context.settings.trainer_place or context.settings.url,
                "models_exist": models,
                "ensemble_active": False,
            }
        )

    def reload(self, call: Call) -> Reply:
        """Look for a new law now."""
        context = self._context
        synced = context.current.refresh()
        return reply(
            {
                "synced": bool(synced),
                "loaded": True,
                "is_ready": context.is_ready,
                **self._kind(),
                "last_load_time": context.loaded_at,
            }
        )

    def healthz(self, call: Call) -> Reply:
        """Tell that the process lives."""
        return reply({"status": "ok", "service": SERVICE})

    def readyz(self, call: Call) -> Reply:
        """Tell whether predictions are given and, where there is a store, observations kept."""
        if self._context.store is not None:
            self._context.store.check()
        self._context.require_ready()
        return reply({"status": "ready", **self._kind(), **self._context.suspect})

    def root(self, call: Call) -> Reply:
        """Tell what this is."""
        settings = self._context.settings
        return reply(
            {
                "message": "HTTP-based latency predictor is running (lengthwise)",
                **self._kind(),
                "is_ready": self._context.is_ready,
                "sync_interval": settings.sync_s,
                "training_server": settings.trainer_place or settings.url,
                "description": "Latency predictor that learns from live traffic",
            }
        )

    def _kind(self) -> dict[str, Any]:
        settings = self._context.settings
        return {
            "model_type": settings.model_type,
            "objective_type": settings.objective,
            "quantile": settings.alpha,
        }

    def routes(self) -> list[Route]:
        """All endpoints of the prediction server."""
        bulk: dict[str, Any] = {
            "inline_below": INLINE_BYTES,
            "tag": "llm-d",
            "body": self._rows,
            "example": {"requests": [LLMD_ROW]},
            "limit": "max_body_bytes",
        }
        return [
            Route("POST", "/predict", self.predict, "Predict one row", tag="llm-d",
                  inline_below=INLINE_BYTES, body=schemas.PredictionRow, example=LLMD_ROW,
                  replies={200: ("Prediction", LLMD_PREDICTION)}),
            Route("POST", "/predict/bulk/strict", self.bulk_strict, "Predict all rows or none",
                  replies={200: ("Predictions in the order asked", LLMD_BULK)}, **bulk),
            Route("POST", "/predict/bulk", self.bulk, "Predict rows, errors beside them",
                  replies={200: ("Predictions in the order asked", LLMD_BULK | {"errors": []})},
                  **bulk),
            Route("GET", "/status", self.status, "Status of the prediction server", tag="llm-d"),
            Route("POST", "/reload", self.reload, "Look for a new law now", IN_THREAD, "write",
                  "llm-d"),
            Route("GET", "/healthz", self.healthz, "Alive", role="", tag="llm-d"),
            Route("GET", "/readyz", self.readyz, "Ready", IN_THREAD, "", "llm-d",
                  replies={503: ("Not ready", {"detail": NOT_READY})}),
            Route("GET", "/", self.root, "What this is", tag="llm-d"),
        ]  # fmt: skip
