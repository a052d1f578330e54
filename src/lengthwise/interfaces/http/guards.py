"""Who may ask, how much, how often."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Mapping
from time import monotonic

from lengthwise.interfaces.http.problems import HttpError

MOST_CLIENTS = 10_000
"""Clients whose rate is remembered; the longest silent is forgotten first."""


class Tokens:
    """Bearer tokens with the role each has; a `write` token may read too.

    Examples
    --------
    >>> Tokens({"s3cret": "read"}).check(b"Bearer s3cret", "read")
    """

    def __init__(self, roles: Mapping[str, str]) -> None:
        self._roles = {token.encode(): role for token, role in roles.items()}

    def __bool__(self) -> bool:
        return bool(self._roles)

    def check(self, authorization: bytes, needed: str) -> None:
        """Raise an `HttpError` 401 or 403 unless the header carries a token of this role."""
        scheme, _, token = authorization.partition(b" ")
        role = self._role_of(token.strip()) if scheme.lower() == b"bearer" else None
        if role is None:
            raise HttpError(
                401, "a bearer token the service knows must be sent",
                got="an unknown token" if authorization else "none",
                remedy="send the header Authorization: Bearer TOKEN",
                headers=((b"www-authenticate", b'Bearer realm="lengthwise"'),),
            )  # fmt: skip
        if needed == "write" and role != "write":
            raise HttpError(
                403, "this endpoint needs a token of role write", got=f"role {role}",
                remedy="use a write token",
            )  # fmt: skip

    def _role_of(self, token: bytes) -> str | None:
        found = None
        for known, role in self._roles.items():  # all of them, so that time tells nothing
            if hmac.compare_digest(known, token):
                found = role
        return found


class RateLimit:
    """Token bucket for each client: `rate_per_s` on average, a second's worth at once.

    Examples
    --------
    >>> limit = RateLimit(2.0)
    >>> [limit.wait_s("a", now_s=0.0) for _ in range(3)]
    [0.0, 0.0, 0.5]
    """

    def __init__(self, rate_per_s: float) -> None:
        self._rate = rate_per_s
        self._burst = max(1.0, rate_per_s)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str, now_s: float | None = None) -> float:
        """Seconds this client must wait; 0 lets it pass."""
        if not self._rate:
            return 0.0
        now = monotonic() if now_s is None else now_s
        left, at = self._buckets.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        passes = left >= 1.0
        self._buckets[client] = (left - 1.0 if passes else left, now)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1.0 - left) / self._rate

    def check(self, client: str) -> None:
        """Raise an `HttpError` 429 if the client asks too often."""
        wait = self.wait_s(client)
        if wait > 0.0:
            raise HttpError(
                429, "a client must keep to the rate", got=f"more than {self._rate:g} requests/s",
                remedy=f"wait {wait:.2f} s",
                headers=((b"retry-after", str(int(wait) + 1).encode()),),
            )  # fmt: skip


def check_origin(headers: Mapping[bytes, bytes]) -> None:
    """Raise an `HttpError` 403 if a web page of another site sends this.

    A browser lets any page post to a service on the same machine; without tokens it could teach it
    nonsense. Programs send no `Origin`.

    >>> check_origin({b"origin": b"http://localhost:8000", b"host": b"localhost:8000"})
    """
    origin = headers.get(b"origin")
    if origin is not None and origin.partition(b"://")[2] != headers.get(b"host", b""):
        raise HttpError(
            403, "a web page may only change the service that served it",
            got=f"origin {origin.decode('latin-1')[:80]}", remedy="use a program, or a token",
        )  # fmt: skip


def too_large(limit: int) -> HttpError:
    """Error of a body beyond the limit."""
    return HttpError(
        413, f"a body must not exceed {limit:,} bytes", got="a longer one",
        remedy="send fewer rows at once",
    )  # fmt: skip
