"""Addresses: which are ours alone, and how they are told without what is secret in them."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

HIDDEN = "(address hidden)"
_PLAIN = re.compile(r"[\w.-]*|\[[0-9a-fA-F:.]+\]")


def is_http(url: str) -> bool:
    """Return whether an address is one of HTTP.

    >>> is_http("https://trainer:8000"), is_http("trainer:8000")
    (True, False)
    """
    return url.startswith(("http://", "https://"))


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a host.

    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_network(text: str) -> bool:
    """Return whether a text is an address or a network.

    >>> is_network("10.0.0.0/8"), is_network("10.0.0.1"), is_network("proxy")
    (True, True, False)
    """
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def without_secrets(address: str) -> str:
    """Return scheme, host, port and path of an address; nothing where it cannot be told apart.

    >>> without_secrets("http://u:hunter2@trainer:8000/x?key=1")
    'http://trainer:8000/x'
    >>> without_secrets("host=db password=hunter2"), without_secrets("a://u:hun/ter2@h/x")
    ('(address hidden)', '(address hidden)')
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return HIDDEN
    host = parts.netloc.rpartition("@")[2]
    name = host.removesuffix(f":{port}") if port is not None else host
    if not parts.scheme or not _PLAIN.fullmatch(name) or "@" in parts.path + parts.query:
        return HIDDEN
    return f"{parts.scheme}://{host}{parts.path}"


def credentials(url: str) -> tuple[str, str, str]:
    """Return an address without user and password, and the two.

    >>> credentials("http://u:p%40s@h:1/x")
    ('http://h:1/x', 'u', 'p@s')
    """
    from urllib.parse import unquote

    parts = urlsplit(url)
    said, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, "", ""
    user, _, password = said.partition(":")
    return parts._replace(netloc=host).geturl(), unquote(user), unquote(password)
