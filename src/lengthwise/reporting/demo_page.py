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


def columns_of(demo: Demo, *, whole: bool = False) -> tuple[str, ...]:
    """Headings of the table of predictions.

    With the model when there are several; then the errors of other formulations need more room
    than a terminal has, and are there if the table shall be ``whole``.
    """
    own = ("phase", "tokens", "measured", "predicted", "90 % interval", "error")
    others = () if _many(demo) and not whole else tuple(OTHERS.values())
    return (*(("model",) if _many(demo) else ()), *own, *others)


def rows_of(demo: Demo, *, whole: bool = False) -> list[tuple[str, ...]]:
    """Cells of the table of predictions, a line per length."""
    width = len(columns_of(demo, whole=whole))
    skipped = 0 if _many(demo) else 1
    rows = [_cells(row)[skipped:] for row in demo.lines.to_dict("records")]
    return [row[:width] for row in rows]


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
        for n in columns_of(demo, whole=True)
    )
    times = "Times are medians of the CPU time of one thread" if demo.live else "Times are medians"
    batch = f"at batch {demo.points['batch'].min():g}"
    note = f"{times}, {batch}. Error: predicted over measured, less one."
    title = "Predicted first, measured then" if demo.live else "Predicted and measured"
    return Grid(title, columns, tuple(rows_of(demo, whole=True)), note)


def _tiles(summary: Mapping[str, Any]) -> list[Tile]:
    found = [
        Tile(name, f"{summary[name]['prefill_mape_percent']:.1f} %", f"error of prefill; {why}")
        for name, why in TILES
    ]
    inside = f"{100 * summary['coverage']:.0f} %"
    return [*found, Tile(f"inside {100 * summary['level']:g} % interval", inside,
                         f"of {summary['points']} held-out points")]  # fmt: skip


def _cells(row: Mapping[Any, Any]) -> tuple[str, ...]:
    """Cells of a line: the model first, the errors of other formulations last."""
    error = 100.0 * (row["predicted_ms"] / row["measured_ms"] - 1.0)
    bounds = span(row["lo_ms"], row["hi_ms"], row["predicted_ms"])
    others = (f"{row[f'{name}_error_percent']:.0f} %" for name in FORMULATIONS[1:])
    return (row["model"].removeprefix("random-"), row["phase"], format_tokens(row["length"]),
            format_ms(row["measured_ms"]), format_ms(row["predicted_ms"]), bounds,
            f"{error:+.1f} %", *others)  # fmt: skip


def span(lo_ms: float, hi_ms: float, near_ms: float) -> str:
    """Both ends in the unit in which the value between them is written, without the unit.

    >>> span(520.4, 1130.2, 800.0), span(900.0, 3150.0, 2000.0)
    ('520 to 1,130', '0.90 to 3.15')
    """
    size = 1e3 if near_ms >= 1e3 else 1.0
    lo, hi = lo_ms / size, hi_ms / size
    return " to ".join(f"{v:,.{2 if v < 10 else 1 if v < 100 else 0}f}" for v in (lo, hi))
