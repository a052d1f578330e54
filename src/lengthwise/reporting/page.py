"""What the HTML pages share: the template engine, the style, the figures drawn into the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lengthwise.errors import InputError, MissingExtraError
from lengthwise.reporting.figures import svg


def fill(template: str, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """Fill a template; text is escaped, ``draw`` and the palettes of both themes are at hand.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError:
        raise MissingExtraError("jinja2", "report") from None
    environment = Environment(
        loader=PackageLoader("lengthwise.reporting"), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=StrictUndefined,
    )  # fmt: skip
    environment.filters |= {"sentence": lambda text: text[:1].upper() + text[1:], **filters}
    return environment.get_template(template).render(
        draw=lambda figure: Markup(svg.draw(figure)), light=Markup(svg.css_variables("light")),
        dark=Markup(svg.css_variables("dark")), **values,
    )  # fmt: skip


def check_page(path: Path) -> None:
    """Refuse a name that is not of an HTML file."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError("a report is an .html file", got=path.name, remedy="-o report.html")


def write_text(path: Path, text: str) -> Path:
    """Write a file of a report; what the disk says is told in words."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} must be writable", got=str(error.strerror)) from None
    return path
