"""Applications for `uvicorn MODULE:app`: settings from the environment, state opened at the start.

Nothing is opened on import. When the server starts the application, store, law and (in the training
role) the trainer's process are opened; when it stops, they are closed.
"""

from __future__ import annotations

import os
from typing import Any

from lengthwise.interfaces.http.app import Application, create_app
from lengthwise.interfaces.http.dispatch import Scope, Send
from lengthwise.interfaces.http.guards import ANY
from lengthwise.interfaces.http.intake import Receive
from lengthwise.interfaces.service.private import keep_private
from lengthwise.interfaces.service.runtime import Runtime
from lengthwise.interfaces.service.settings import ServiceSettings

DEFAULT_TRAINER = "http://training-service:8000"
"""Where llm-d's manifests put the trainer."""


class EnvironmentApp:
    """An ASGI application that sets itself up from the environment.

    Parameters
    ----------
    options
        Settings that win over the environment, e.g. the role.
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._runtime: Runtime | None = None
        self._app: Application | None = None

    def open(self) -> Application:
        """Open state and make the application."""
        settings = ServiceSettings.from_environment(**self._options)
        if not settings.hosts:  # the address is the server's: it may be reached by any name
            settings = settings.with_options(hosts=(ANY,))
        keep_private()
        self._runtime = Runtime(settings)
        self._runtime.start()
        self._app = create_app(settings, self._runtime.store, self._runtime.current)
        return self._app

    def close(self) -> None:
        """Close state."""
        if self._runtime is not None:
            self._runtime.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection of the ASGI server."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await (self._app or self.open())(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            app = self.open()
        except Exception as error:  # told to the server instead of a traceback per request
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        try:
            await app(scope, receive, send)
        finally:
            self.close()


def prediction_app() -> EnvironmentApp:
    """Make llm-d's prediction server: follows the trainer named by `TRAINING_SERVER_URL`."""
    named = os.environ.get("TRAINING_SERVER_URL", "").strip()
    options = {} if named else {"trainer_url": DEFAULT_TRAINER}
    return EnvironmentApp(role="prediction", llm_d=True, **options)


def training_app() -> EnvironmentApp:
    """Make llm-d's training server."""
    return EnvironmentApp(role="training", llm_d=True)


def app() -> EnvironmentApp:
    """Make the service of the role that the environment names."""
    return EnvironmentApp()
