"""Where a worker gets the law from: the store, or a trainer over HTTP."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from hashlib import sha256
from typing import NamedTuple, Protocol

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


class HttpSource:
    """A trainer's ``GET /v1/laws/active``, whose ETag is the SHA-256 of the body.

    Parameters
    ----------
    url
        Of the trainer, without a path.
    token
        Sent as bearer token when not empty.
    """

    def __init__(self, url: str, token: str = "", timeout_s: float = 30.0) -> None:
        self._url, self._token, self._timeout_s = f"{url}/v1/laws/active", token, timeout_s
        self._context = ssl.create_default_context() if url.startswith("https://") else None

    def fetch(self, known: str) -> Found | None:
        """Ask the trainer."""
        headers = {"Accept": "application/json"}
        if known:
            headers["If-None-Match"] = f'"{known}"'
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self._url, headers=headers)
        try:
            with urllib.request.urlopen(
                request, timeout=self._timeout_s, context=self._context
            ) as response:
                body = response.read(MAX_BYTES + 1)
                digest = (response.headers.get("ETag") or "").removeprefix("W/").strip('"')
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 304:
                    return Found(-1, known, None)
                if error.code == 404:
                    return None
                raise ServiceUnavailable(f"the trainer answers {error.code}") from None
        except (OSError, ValueError) as error:
            raise ServiceUnavailable("the trainer is away", got=str(error)[:160]) from None
        if len(body) > MAX_BYTES or sha256(body).hexdigest() != digest:
            raise ServiceUnavailable("the law of the trainer came damaged (checksum)")
        return Found(-1, digest, body.decode("utf-8"))
