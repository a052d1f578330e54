"""Write the page of a run beside its files: no script, no request, readable offline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lengthwise import __version__
from lengthwise.measurement.run_directory import REPORT, RunDirectory
from lengthwise.reporting.page import fill
from lengthwise.reporting.run_page import engine, server, server_charts, server_grids
from lengthwise.reporting.run_page.content import PROBLEMS, RunPage
from lengthwise.reporting.run_page.manifest import machine_facts, run_facts
from lengthwise.reporting.run_page.words import moment

if TYPE_CHECKING:
    import pandas as pd


def write_run_page(
    into: RunDirectory, manifest: Mapping[str, Any], summary: Mapping[str, Any],
    table: pd.DataFrame | None = None,
) -> None:  # fmt: skip
    """Write ``report.html`` into a run directory.

    Parameters
    ----------
    manifest, summary
        As in ``run.json`` and ``summary.json``.
    table
        Rows measured; with them ranges are quartiles, and a single point of a server is drawn
        request by request.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    into.write_text(REPORT, fill("run.html", {}, page=run_page(manifest, summary, table)))


def run_page(
    manifest: Mapping[str, Any], summary: Mapping[str, Any], table: pd.DataFrame | None = None
) -> RunPage:
    """Gather what the page of a run shows."""
    served, points = "url" in manifest, summary["points"]
    title, subtitle = (server if served else engine).title_of(manifest)
    version = manifest.get("machine", {}).get("versions", {}).get("lengthwise", __version__)
    shared: dict[str, Any] = {
        "title": title or "Measurement", "subtitle": subtitle, "version": version,
        "when": moment(manifest["started"]) if "started" in manifest else "",
        "problem": PROBLEMS.get(summary.get("status", ""), ""),
    }  # fmt: skip
    if served:
        seed = manifest.get("seed")
        return RunPage(
            **shared, tiles=server.tiles_of(manifest, summary),
            warnings=server.warnings_of(points), notes=tuple(summary.get("notes", ())),
            charts=server_charts.charts_of(points, table),
            grids=(server_grids.grid_of(points), *server_grids.other_grids(points)),
            facts={"Run": run_facts(manifest, seed), "Server": server.facts(manifest),
                   "Client": machine_facts(manifest)},
        )  # fmt: skip
    return RunPage(
        **shared, tiles=engine.tiles_of(manifest, summary),
        warnings=tuple(summary.get("warnings", ())), charts=engine.charts_of(points, table),
        grids=(engine.grid_of(points),),
        facts={"Run": run_facts(manifest, manifest.get("plan", {}).get("seed")),
               "Engine": engine.facts(manifest), "Machine": machine_facts(manifest)},
    )  # fmt: skip
