"""Read the files of the live page, with the paths and headers they are served under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "content-security-policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }
)
"""Sent with every file: the browser itself keeps the page from reaching any other origin."""

_SERVED = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page/docs.css": ("docs.css", "text/css; charset=utf-8"),
    "/page/live.css": ("live.css", "text/css; charset=utf-8"),
    "/page/live.js": ("live.js", "text/javascript; charset=utf-8"),
    "/page/charts.js": ("charts.js", "text/javascript; charset=utf-8"),
}


@dataclass(frozen=True)
class PageFile:
    """One file of the page.

    Parameters
    ----------
    content_type
        Its media type.
    body
        Its bytes.
    """

    content_type: str
    body: bytes


@cache
def page_files() -> Mapping[str, PageFile]:
    """Give the files of the page by the path they are served under.

    The document may be served under any path beside ``/page/`` and ``/v1/live``: what it fetches
    it names relative to itself.

    >>> sorted(page_files())
    ['/', '/page/charts.js', '/page/docs.css', '/page/live.css', '/page/live.js']
    >>> max(len(file.body) for file in page_files().values()) < 40_000
    True
    """
    folder = files(__package__ or "lengthwise.interfaces.http.page")
    return MappingProxyType(
        {
            path: PageFile(content_type, folder.joinpath(name).read_bytes())
            for path, (name, content_type) in _SERVED.items()
        }
    )
