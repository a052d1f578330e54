"""Checks that every page must pass."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class Strict(HTMLParser):
    """Collects tags and checks that they close in order."""

    VOID = ("meta", "link", "br", "line", "rect", "path", "circle")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def check_self_contained(page: str, addresses: frozenset[str] = frozenset()) -> None:
    """Check that nothing is fetched and nothing runs; ``addresses`` may stand there as text."""
    parser = Strict()
    parser.feed(page)
    tags = {tag for tag, _ in parser.seen}
    assert tags.isdisjoint({"script", "link", "iframe", "img", "object"})
    names = {name for _, attributes in parser.seen for name in attributes}
    assert not {n for n in names if n.startswith("on")} | ({"src", "href"} & names)
    assert "url(" not in re.sub(r"url\(#c\d+\)", "", page)
    assert "@import" not in page
    found = set(re.findall(r"https?://[^\s\"<]+", page))
    assert found <= {"http://www.w3.org/2000/svg"} | addresses
    assert parser.open == []
