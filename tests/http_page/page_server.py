"""A real HTTP server on loopback with the page and whatever ``/v1/live`` is to answer."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from lengthwise.interfaces.http.page import HEADERS, page_files


class PageServer:
    """Serves the page.

    Parameters
    ----------
    live
        What ``/v1/live`` answers.
    token
        The token it asks for; empty: none.
    """

    def __init__(self, live: Any, token: str = "") -> None:
        self.live, self.token, self.status, self.polls = live, token, 200, 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/"

    def __enter__(self) -> PageServer:
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server: the page finds nobody."""
        self._http.shutdown()
        self._thread.join(20)
        self._http.server_close()

    def answer(self, path: str, authorization: str) -> tuple[int, str, bytes]:
        """Status, content type and body of a path."""
        if file := page_files().get(path):
            return 200, file.content_type, file.body
        if path != "/v1/live":
            return 404, "text/plain", b"not found"
        self.polls += 1
        if self.token and authorization != f"Bearer {self.token}":
            return 401, "application/problem+json", b'{"title":"a token is needed"}'
        if self.status != 200:
            return self.status, "application/problem+json", b'{"detail":"the database is away"}'
        return 200, "application/json", json.dumps(self.live).encode()


def _handler(server: PageServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("authorization", "")
            status, content_type, body = server.answer(self.path, given)
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
