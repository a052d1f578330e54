"""One uvicorn server over a listening socket, with signals that are ours to handle."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

from lengthwise.errors import InputError, MissingExtraError
from lengthwise.interfaces.service.runtime import Runtime
from lengthwise.interfaces.service.settings import ServiceSettings

GRACE_S = 10
BACKLOG = 2048


def uvicorn() -> Any:
    """Import uvicorn, or say how to install it."""
    try:
        return import_module("uvicorn")
    except ImportError:
        raise MissingExtraError("uvicorn", "serve") from None


def listen(settings: ServiceSettings) -> socket.socket:
    """Bind the address of the settings."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server(
            (settings.host, settings.port), family=family, backlog=BACKLOG, reuse_port=False
        )
    except (OSError, UnicodeError) as error:
        raise InputError(
            "the address to listen on must be free and ours",
            got=f"{settings.host}:{settings.port} ({getattr(error, 'strerror', None) or error})",
            remedy="give another --port or --host",
        ) from None


def make_server(
    settings: ServiceSettings, runtime: Runtime, started: Callable[[], None] | None = None
) -> Any:
    """Make the server of one worker; ``should_exit = True`` ends it gracefully.

    Parameters
    ----------
    started
        Called once it answers.
    """
    module = uvicorn()
    from lengthwise.interfaces.http.app import create_app
    from lengthwise.interfaces.http.heads import Guard, GuardedProtocol

    if settings.log_requests:
        from lengthwise.interfaces.http.telling import log_to_stderr

        log_to_stderr()

    class Server(module.Server):  # type: ignore[misc, name-defined]
        """A server that leaves signals alone and says when it answers."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if started is not None and not self.should_exit:
                started()

    app = create_app(settings, runtime.store, runtime.current)
    return Server(module.Config(
        app, log_level="error", access_log=False, server_header=False, ws="none",
        http=partial(GuardedProtocol, guard=Guard(settings)),
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_keep_alive=int(settings.keep_alive_s), timeout_graceful_shutdown=GRACE_S,
        **_tls(settings),
    ))  # fmt: skip


def _tls(settings: ServiceSettings) -> dict[str, Any]:
    if settings.tls_cert is None or settings.tls_key is None:
        return {}
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            settings.tls_cert, settings.tls_key
        )
    except (OSError, ssl.SSLError) as error:
        raise InputError("certificate and key must be readable PEM files that fit",
                         got=f"{settings.tls_cert}, {settings.tls_key} ({error})",
                         remedy="give --tls-cert and --tls-key of one pair") from None  # fmt: skip
    return {"ssl_certfile": str(settings.tls_cert), "ssl_keyfile": str(settings.tls_key)}
