"""Where a worker gets the law from: the store, or a trainer over HTTP."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from hashlib import sha256
from http.client import HTTPException
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from lengthwise.interfaces.service.addresses import credentials
from lengthwise.interfaces.service.store import ServiceUnavailable, Store

MAX_BYTES = 64 << 20


class Found(NamedTuple):
    """An active law; ``body`` is None when it is the one known already."""

    version: int
    sha256: str
    body: str | None


class LawSource(Protocol):
    """Something that knows the active law."""

    def fetch(self, known: str) -> Found | None:
        """Give the active law; its body only when its SHA-256 is not ``known``.

        Raises
        ------
        ServiceUnavailable
            If it cannot be known now.
        """


class StoreSource:
    """The store of this service."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def fetch(self, known: str) -> Found | None:
        """Give the active law."""
        found = self._store.active(known)
        return None if found is None else Found(*found)


class SameOrigin(urllib.request.HTTPRedirectHandler):
    """Follows redirects within one scheme, host and port: a token goes nowhere else."""

    def redirect_request(self, req: Any, *args: Any) -> Any:
        """Refuse what leads elsewhere."""
        before, after = urlsplit(req.full_url), urlsplit(args[-1])
        if (before.scheme, before.netloc) != (after.scheme, after.netloc):
            raise ServiceUnavailable(
                "the trainer must answer itself", got="a redirect to another address",
                remedy="give the address at which it answers as --trainer-url",
            )  # fmt: skip
        return super().redirect_request(req, *args)


class HttpSource:
    """A trainer's ``GET /v1/laws/active``, whose ETag is the SHA-256 of the body.

    Parameters
    ----------
    url
        Of the trainer, without a path; a user and password in it are sent as such, to nobody else.
    token
        Sent as bearer token when not empty.
    """

    def __init__(self, url: str, token: str = "", timeout_s: float = 30.0) -> None:
        plain, user, password = credentials(url)
        self._url, self._timeout_s = f"{plain}/v1/laws/active", timeout_s
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        elif user or password:
            said = b64encode(f"{user}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {said}"
        handlers: list[Any] = [SameOrigin()]
        if url.startswith("https://"):
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context()))
        self._opener = urllib.request.build_opener(*handlers)

    def fetch(self, known: str) -> Found | None:
        """Ask the trainer."""
        headers = dict(self._headers)
        if known:
            headers["If-None-Match"] = f'"{known}"'
        request = urllib.request.Request(self._url, headers=headers)
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                body = response.read(MAX_BYTES + 1)
                digest = (response.headers.get("ETag") or "").removeprefix("W/").strip('"')
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 304:
                    return Found(-1, known, None)
                if error.code == 404:
                    return None
                raise ServiceUnavailable(f"the trainer answers {error.code}",
                                         remedy=self._remedy(error.code)) from None  # fmt: skip
        except (OSError, ValueError, HTTPException) as error:
            raise ServiceUnavailable("the trainer is away", got=str(error)[:160],
                                     remedy=self._remedy()) from None  # fmt: skip
        if len(body) > MAX_BYTES or sha256(body).hexdigest() != digest:
            raise ServiceUnavailable("the law of the trainer came damaged (checksum)")
        return Found(-1, digest, body.decode("utf-8"))

    def _remedy(self, status: int = 0) -> str:
        """Say what to do about an answer, or about none."""
        if status in (401, 403):
            return "set LENGTHWISE_TRAINER_TOKEN to a token the trainer knows"
        parts = urlsplit(self._url)
        through = urllib.request.getproxies().get(parts.scheme)
        if through and not urllib.request.proxy_bypass(parts.hostname or ""):
            return f"the proxy of the environment is asked: add {parts.hostname} to NO_PROXY"
        return "start the trainer, or correct --trainer-url; the last good law answers meanwhile"
