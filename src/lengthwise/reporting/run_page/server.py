"""The page of a server: what was asked of it, and what it answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lengthwise.reporting.run_page.content import Facts, Tile
from lengthwise.reporting.run_page.manifest import took
from lengthwise.reporting.run_page.server_grids import LABELS, where
from lengthwise.reporting.run_page.words import facts_of
from lengthwise.units import format_ms


def title_of(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Name model and server."""
    server, labels = manifest.get("server", {}), manifest.get("labels", {})
    engine = f"{server.get('engine', '')} {server.get('engine_version', '')}".strip()
    about = (engine, labels.get("hardware"), manifest.get("url"))
    return str(server.get("model", "")), ", ".join(str(part) for part in about if part)


def tiles_of(manifest: Mapping[str, Any], summary: Mapping[str, Any]) -> tuple[Tile, ...]:
    """Give the figures on top."""
    points = summary["points"]
    sent, failed = (sum(p[name] for p in points) for name in ("requests", "failed"))
    found = [
        Tile(
            "points",
            f"{len(points):,}",
            "lengths and loads" if len(points) > 1 else "length and load",
        ),
        Tile("requests", f"{sent:,}", f"{failed:,} failed" if failed else "none failed"),
        took(manifest, "warm-up included"),
    ]
    for name in ("ttft_ms", "tpot_ms"):
        known = [v for p in points if (v := p["metrics"][name]["p50"]) is not None]
        if known:
            low, high = (format_ms(v) for v in (min(known), max(known)))
            why = f"to {high}, over the points" if low != high else "at every point"
            found.append(Tile(f"{LABELS[name]} p50", low, why if len(known) > 1 else "median"))
    rates = [v for p in points if (v := p["output_tokens_per_s"]) is not None]
    if rates:
        where = " at the best point" if len(rates) > 1 else ""
        found.append(Tile("output", f"{max(rates):,.0f}", f"tokens/s{where}"))
    return tuple(found)


def warnings_of(points: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Say each warning once, and at how many points it holds."""
    found: dict[str, list[str]] = {}
    for point in points:
        for text in point["warnings"]:
            found.setdefault(text, []).append(where(point))
    return tuple(f"{text} [{_first_of(where)}]" if len(points) > 1 else text
                 for text, where in found.items())  # fmt: skip


def facts(manifest: Mapping[str, Any]) -> Facts:
    """Say what was measured, and how it was asked."""
    server = manifest.get("server", {})
    engine = f"{server.get('engine', '')} {server.get('engine_version', '')}".strip()
    prompts = {"ids": "random token ids", "words": "random words"}
    return facts_of([
        ("url", manifest.get("url")), ("path", server.get("path")),
        ("model", server.get("model")), ("engine", engine), *manifest.get("labels", {}).items(),
        ("prompts", prompts.get(server.get("prompts", ""))),
        ("request fields", json.dumps(server.get("extras", {}))),
        ("timeout", f"{manifest.get('timeout_s', 0):g} s"), ("trace", manifest.get("trace")),
        ("answer headers", server.get("headers")),
    ])  # fmt: skip


def _first_of(where: Sequence[str]) -> str:
    return where[0] if len(where) == 1 else f"{where[0]} and {len(where) - 1} more"
