"""What the manifest of any run says: command, time, machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lengthwise.reporting.run_page.content import Facts, Tile
from lengthwise.reporting.run_page.words import duration, facts_of, moment


def took(manifest: Mapping[str, Any], why: str) -> Tile:
    """Give the time a run took, all its parts together."""
    parts = len(manifest.get("parts", ()))
    return Tile("measured for", duration(manifest.get("seconds", 0.0)),
                f"in {parts} parts" if parts > 1 else why)  # fmt: skip


def machine_facts(manifest: Mapping[str, Any]) -> Facts:
    """Give the machine and the versions of a run."""
    machine = manifest.get("machine", {})
    versions = machine.get("versions", {})
    memory = machine.get("memory_gib")
    pressure = manifest.get("cpu_pressure_percent")
    return facts_of([
        ("CPU", machine.get("cpu")), ("cores", machine.get("cpus")),
        ("memory", None if memory is None else f"{memory:g} GiB"),
        ("system", f"{machine.get('system', '')} {machine.get('architecture', '')}".strip()),
        ("load when it began", manifest.get("load_average")),
        ("CPU pressure when it began", None if pressure is None else f"{pressure:g} %"),
        ("Python", machine.get("python")),
        ("versions", ", ".join(f"{name} {text}" for name, text in versions.items())),
    ])  # fmt: skip


def run_facts(manifest: Mapping[str, Any], seed: int | None) -> Facts:
    """Give the command of a run and what became of it."""
    parts = [
        f"{moment(part['started'])}, {duration(part.get('seconds', 0.0))}"
        for part in manifest.get("parts", ())
    ]
    rows = f"{manifest.get('output', '')}, {manifest.get('rows', 0):,} rows"
    return facts_of([
        ("command", manifest.get("command")), ("status", manifest.get("status")),
        ("parts" if len(parts) > 1 else "started", "; ".join(parts)), ("table", rows),
        ("seed", seed),
    ])  # fmt: skip
