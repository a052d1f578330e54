"""``lengthwise hardware``: the processors that are known by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lengthwise.errors import NothingUsableError
from lengthwise.interfaces.cli.common import AsJson, print_json, print_table

if TYPE_CHECKING:
    from lengthwise.domain.hardware import HardwareSpec

COLUMNS = ("name", "processor", "GB", "GB/s", "TFLOP/s", "in")


def command(
    pattern: Annotated[
        str | None, typer.Argument(metavar="[FILTER]", help="Part of a name, or a full name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the processors that --hardware knows, with memory, bandwidth and arithmetic.

    A full name is found in any usual spelling, as drivers write it too. Other processors are
    described by a TOML file: lengthwise doctor -o my_machine.toml writes one of this machine.

    For example:
      lengthwise hardware
      lengthwise hardware h100
      lengthwise hardware "NVIDIA GeForce RTX 4090" --json
    """
    show_processors(_matching(pattern), as_json=as_json)


def show_processors(specs: list[HardwareSpec], *, as_json: bool) -> None:
    """Print processors as a table or as JSON."""
    if as_json:
        print_json([spec.to_dict() for spec in specs])
        return
    rows = [
        (spec.name, spec.title, f"{spec.memory_bytes / 1e9:.0f}",
         f"{spec.memory_bandwidth_bytes_per_s / 1e9:,.0f}",
         f"{spec.peak('bf16') / 1e12:,.1f}", spec.unit("bf16"))
        for spec in specs
    ]  # fmt: skip
    print_table(COLUMNS, rows)


def _matching(pattern: str | None) -> list[HardwareSpec]:
    from lengthwise.data.hardware_catalog import (
        find_hardware,
        hardware_names,
        known_hardware,
        nearest_hardware,
    )

    every = [find_hardware(name) for name in hardware_names()]
    if pattern is None:
        return every
    words = pattern.lower().replace("_", " ").replace("-", " ").split()
    found = [s for s in every if all(w in f"{s.name} {s.title}".lower() for w in words)]
    exact = known_hardware(pattern)
    if exact is not None and not found:
        found = [exact]
    if not found:
        near = nearest_hardware(pattern)
        hint = f"did you mean {', '.join(near)}; " if near else ""
        raise NothingUsableError(
            "a filter must fit a processor of the catalogue", got=repr(pattern),
            remedy=f"{hint}lengthwise doctor -o my_machine.toml describes this machine",
        )  # fmt: skip
    return found
