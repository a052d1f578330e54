"""What the HTML pages share: the template engine, the style, the figures drawn into the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lengthwise.data.output import is_stream
from lengthwise.data.output_kinds import PAGE
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
    environment.filters |= {"sentence": _sentence, "typeset": typeset, **filters}
    return environment.get_template(template).render(
        draw=lambda figure: Markup(svg.draw(figure) + svg.draw(figure, narrow=True)),
        light=Markup(svg.css_variables("light")), dark=Markup(svg.css_variables("dark")), **values,
    )  # fmt: skip


def check_page(path: Path) -> None:
    """Refuse a name that is not of an HTML file; devices and pipes may have any."""
    if not is_stream(path) and not PAGE.accepts(path):
        raise InputError("a report is an .html file", got=path.name, remedy="-o report.html")


def typeset(equation: str) -> str:
    """Write an equation as print does, not as a terminal has to.

    >>> typeset("t = (23 us/token x T + 1.8 ms) x exp(E3)")
    't = (23 µs/token × T + 1.8 ms) × exp(E3)'
    """
    return equation.replace(" us", " µs").replace(" x ", " × ")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
