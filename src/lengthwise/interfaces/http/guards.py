"""Who may ask, by which name, how much, how often."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from ipaddress import IPv6Address, ip_address

from lengthwise.interfaces.http.buckets import Buckets
from lengthwise.interfaces.http.problems import HttpError
from lengthwise.interfaces.service.addresses import is_loopback
from lengthwise.interfaces.service.settings import ServiceSettings

MOST_KNOWN = 10_000
"""Clients remembered for having sent a right token."""
WRONG_BURST = 20.0
"""Wrong tokens that a client may send at once."""
ANY = "*"


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


class Access:
    """What is asked of a request before it is read: host, rate, token, origin.

    Parameters
    ----------
    settings
        Tokens, hosts, rates.
    buckets
        Rates of clients, shared by all workers.
    """

    def __init__(self, settings: ServiceSettings, buckets: Buckets) -> None:
        self._tokens, self._buckets = Tokens(settings.tokens), buckets
        self._rate, self._wrong = settings.rate_per_s, settings.wrong_tokens_per_s
        self._hosts = None if ANY in settings.hosts else {h.lower() for h in settings.hosts}
        self._local = settings.is_local
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def check(self, client: str, headers: Mapping[bytes, bytes], role: str) -> None:
        """Raise an `HttpError` 401, 403 or 429 unless this client may ask for this role."""
        self._check_host(headers.get(b"host", b""))
        client = network_of(client)
        if self._rate:
            burst = max(1.0, self._rate)
            _wait(self._buckets.wait_s(client, self._rate, burst),
                  f"more than {self._rate:g} requests/s")  # fmt: skip
        if self._tokens:
            self._check_token(client, headers.get(b"authorization", b""), role)
        elif role == "write":
            check_origin(headers)

    def _check_token(self, client: str, authorization: bytes, role: str) -> None:
        """Compare the token; who guesses too often is not even told whether a guess is right."""
        if not authorization:
            self._tokens.check(b"", role)
        scheme, _, token = authorization.partition(b" ")
        seen = sha256(b"\0".join((client.encode(), scheme.lower(), token.strip()))).digest()
        name = f"wrong {client}"
        if seen not in self._known:
            _wait(self._buckets.empty(name, self._wrong, WRONG_BURST), "too many wrong tokens")
        try:
            self._tokens.check(authorization, role)
        except HttpError as error:
            if error.status == 401:
                self._known.pop(seen, None)
                self._buckets.wait_s(name, self._wrong, WRONG_BURST)
            raise
        self._known[seen] = None
        self._known.move_to_end(seen)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def _check_host(self, host: bytes) -> None:
        """Refuse a name that is not ours: a page may point any name of its own at this machine."""
        if not host or self._hosts is None or not (self._hosts or self._local):
            return
        name = host_of(host)
        if name in self._hosts or (self._local and is_loopback(name)):
            return
        raise HttpError(
            403, "the service must be called by a name it knows", got=f"host {name[:80]}",
            remedy="call it by its address, or start it with --allow-host NAME",
        )  # fmt: skip


def host_of(header: bytes) -> str:
    """Return the name in a header `Host`, without its port.

    >>> host_of(b"LocalHost:8000"), host_of(b"[::1]:8000")
    ('localhost', '::1')
    """
    text = header.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0] if text.count(":") == 1 else text


def network_of(client: str) -> str:
    """Return whom a rate is counted for: an address, of IPv6 its network of 64 bits.

    >>> network_of("10.0.0.1"), network_of("2001:db8::1"), network_of("2001:db8::2")
    ('10.0.0.1', '2001:db8::', '2001:db8::')
    """
    try:
        found = ip_address(client)
    except ValueError:
        return client[:64]
    if not isinstance(found, IPv6Address):
        return client
    return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))


def check_origin(headers: Mapping[bytes, bytes]) -> None:
    """Raise an `HttpError` 403 if a web page of another site sends this.

    A browser lets any page post to a service on the same machine; without tokens it could teach it
    nonsense. Programs send no `Origin`.

    >>> check_origin({b"origin": b"http://localhost:8000", b"host": b"localhost:8000"})
    """
    origin = headers.get(b"origin")
    foreign = origin is not None and origin.partition(b"://")[2] != headers.get(b"host", b"")
    if foreign or headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site"):
        raise HttpError(
            403, "a web page may only change the service that served it",
            got=f"origin {(origin or b'of another site').decode('latin-1')[:80]}",
            remedy="use a program, or a token",
        )  # fmt: skip


def _wait(seconds: float, got: str) -> None:
    if seconds > 0.0:
        raise HttpError(
            429, "a client must keep to the rate", got=got, remedy=f"wait {seconds:.2f} s",
            headers=((b"retry-after", str(int(seconds) + 1).encode()),),
        )  # fmt: skip
