"""The demo as a page: what was predicted and what was measured then, the curves, the laws."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lengthwise import __version__
from lengthwise.data.output import write_text
from lengthwise.reporting.demo import FORMULATIONS, Demo
from lengthwise.reporting.page import check_page, fill
from lengthwise.reporting.run_page.content import Column, Grid, Tile
from lengthwise.units import format_ms, format_tokens

OTHERS = {"linear": "linear", "gradient-boosting": "boosting"}
TILES = (
    ("hachiya-patias", "our law"),
    ("linear", "what most formulations assume"),
    ("gradient-boosting", "learned trees"),
)


def columns_of(demo: Demo) -> tuple[str, ...]:
    """Headings of the table of predictions: with the model when there are several."""
    own = ("phase", "tokens", "measured", "predicted", "90 % interval", "error")
    return ("model", *own) if _many(demo) else (*own, *OTHERS.values())


def rows_of(demo: Demo) -> list[tuple[str, ...]]:
    """Cells of the table of predictions, a line per length."""
    many = _many(demo)
    return [_cells(row, many) for row in demo.lines.to_dict("records")]


def write_demo_page(demo: Demo, path: Path) -> Path:
    """Write the page as one HTML file without scripts or requests.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    InputError, OutputError
        As :func:`lengthwise.data.output.opened`.
    """
    check_page(path)
    text = fill(
        "demo.html", {}, demo=demo, tiles=_tiles(demo.summary), grid=_grid(demo),
        version=__version__, when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )  # fmt: skip
    write_text(path, text)
    return path


def _many(demo: Demo) -> bool:
    return bool(demo.lines["model"].nunique() > 1)


def _grid(demo: Demo) -> Grid:
    words = {"phase", "model"}
    columns = tuple(
        Column(n, "error of" if n in OTHERS.values() else "", n not in words)
        for n in columns_of(demo)
    )
    note = "Times are medians. Error: predicted over measured, less one."
    title = "Predicted first, measured then" if demo.live else "Predicted and measured"
    return Grid(title, columns, tuple(rows_of(demo)), note)


def _tiles(summary: Mapping[str, Any]) -> list[Tile]:
    found = [
        Tile(f"error of {name}", f"{summary[name]['prefill_mape_percent']:.1f} %", f"TTFT; {why}")
        for name, why in TILES
    ]
    inside = f"{100 * summary['coverage']:.0f} %"
    return [*found, Tile(f"inside {100 * summary['level']:g} % interval", inside,
                         f"of {summary['points']} held-out points")]  # fmt: skip


def _cells(row: Mapping[Any, Any], many: bool) -> tuple[str, ...]:
    error = 100.0 * (row["predicted_ms"] / row["measured_ms"] - 1.0)
    bounds = span(row["lo_ms"], row["hi_ms"], row["predicted_ms"])
    cells = (row["phase"], format_tokens(row["length"]), format_ms(row["measured_ms"]),
             format_ms(row["predicted_ms"]), bounds, f"{error:+.1f} %")  # fmt: skip
    if many:
        return (row["model"].removeprefix("random-"), *cells)
    return (*cells, *(f"{row[f'{name}_error_percent']:.0f} %" for name in FORMULATIONS[1:]))


def span(lo_ms: float, hi_ms: float, near_ms: float) -> str:
    """Both ends in the unit in which the value between them is written, without the unit.

    >>> span(520.4, 1130.2, 800.0), span(900.0, 3150.0, 2000.0)
    ('520 to 1,130', '0.90 to 3.15')
    """
    size = 1e3 if near_ms >= 1e3 else 1.0
    lo, hi = lo_ms / size, hi_ms / size
    return " to ".join(f"{v:,.{2 if v < 10 else 1 if v < 100 else 0}f}" for v in (lo, hi))
