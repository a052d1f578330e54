"""The ASGI application of a worker: routes of the role, life cycle, tuning.

One table of routes is built at the start from the settings; it drives dispatch, access rules and
the OpenAPI document alike.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from lengthwise.interfaces.http.context import Context
from lengthwise.interfaces.http.dispatch import Dispatcher, Scope, Send
from lengthwise.interfaces.http.exchange import Call, Reply, Route
from lengthwise.interfaces.http.intake import Receive
from lengthwise.interfaces.http.llmd_metrics import LlmdMetrics
from lengthwise.interfaces.http.llmd_models import LlmdModels
from lengthwise.interfaces.http.llmd_prediction import LlmdPrediction
from lengthwise.interfaces.http.llmd_training import LlmdTraining
from lengthwise.interfaces.http.native_laws import NativeLaws
from lengthwise.interfaces.http.native_predict import NativePredict
from lengthwise.interfaces.http.native_state import NativeState
from lengthwise.interfaces.http.openapi import document
from lengthwise.interfaces.http.page import HEADERS, page_files, reference_page
from lengthwise.interfaces.http.tally import Tally
from lengthwise.interfaces.http.telling import Telling
from lengthwise.interfaces.http.tracing import tracer
from lengthwise.interfaces.http.worker_metrics import WorkerMetrics
from lengthwise.interfaces.service.current import CurrentLaw
from lengthwise.interfaces.service.settings import ServiceSettings
from lengthwise.interfaces.service.store import Store

SWITCH_S = 0.0005
"""Longest turn of a thread: with Python's 5 ms a busy thread would hold up the event loop."""

PAGE_HEADERS = tuple((k.encode(), v.encode()) for k, v in HEADERS.items())

App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Application:
    """See `create_app`."""

    def __init__(
        self, context: Context, routes: list[Route], telling: Telling, workers: WorkerMetrics
    ) -> None:  # fmt: skip
        settings = context.settings
        self._context, self._workers = context, workers
        self.dispatcher = Dispatcher(routes, settings, telling)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection of the ASGI server."""
        if scope["type"] == "http":
            await self.dispatcher.answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    self.start()
                except Exception as error:  # the server must hear of it, whatever it is
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def start(self) -> None:
        """Begin to follow the law; tune the interpreter for many short requests."""
        self._context.current.start()
        self._workers.start()
        sys.setswitchinterval(SWITCH_S)
        gc.collect()
        gc.freeze()  # what lives as long as the process need not be looked at again
        gc.set_threshold(10_000, 20, 100)  # a bulk answer makes thousands of short-lived objects

    def stop(self) -> None:
        """Finish what runs; law and store belong to the caller."""
        self.dispatcher.close()
        self._workers.stop()


def create_app(settings: ServiceSettings, store: Store | None, current: CurrentLaw) -> Application:
    """Make the application of one worker.

    Parameters
    ----------
    settings
        Role, mode, limits, tokens.
    store
        State of the service; None in a prediction replica.
    current
        The law in use.

    Returns
    -------
    Application
        An ASGI application.
    """
    telling = Telling(tracer())
    context = Context(settings, store, current)
    folder = settings.state / "workers" if settings.workers > 1 else None
    workers = WorkerMetrics(lambda: [*telling.lines(), *context.counts.lines()], folder)
    routes = _routes(context, workers)

    def openapi(call: Call) -> Reply:
        return Reply(described)

    routes.append(Route("GET", "/openapi.json", openapi, "This document"))
    described = document(routes, settings)
    if settings.live_page:
        routes.append(_documentation(described, settings.url))
    return Application(context, routes, telling, workers)


def _routes(context: Context, workers: WorkerMetrics) -> list[Route]:
    settings = context.settings
    routes = [*NativePredict(context).routes(), *NativeLaws(context).routes()]
    routes += NativeState(context, workers).routes(probes=not settings.llm_d)
    if settings.llm_d:
        routes += _llm_d(context)
    if settings.live_page:
        routes += _page("/live" if settings.llm_d else "/")
    return routes


def _llm_d(context: Context) -> list[Route]:
    role = context.settings.role
    routes: list[Route] = []
    prediction = LlmdPrediction(context)
    if role != "training":
        routes += prediction.routes()
    if role != "prediction":
        tally = Tally(context)
        training = LlmdTraining(context, tally)
        routes += training.routes()
        if role == "training":
            routes += [
                *training.probes(),
                *(r for r in prediction.routes() if r.path == "/predict"),
            ]
        routes += [*LlmdModels(context).routes(), *LlmdMetrics(context, tally).routes()]
    return routes


def _page(root: str) -> list[Route]:
    def serve(file: Any) -> Callable[[Call], Reply]:
        found = Reply(file.body, 200, file.content_type.encode(), PAGE_HEADERS)
        return lambda call: found

    return [
        Route("GET", root if path == "/" else path, serve(file), "Live page", tag="page", role="")
        for path, file in page_files().items()
    ]


def _documentation(described: bytes, url: str) -> Route:
    page = reference_page(json.loads(described), url)
    found = Reply(page, 200, b"text/html; charset=utf-8", PAGE_HEADERS)
    return Route("GET", "/docs", lambda call: found, "What can be asked", tag="page", role="")
