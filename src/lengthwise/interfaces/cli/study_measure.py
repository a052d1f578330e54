"""``lengthwise study per-token ENGINE``: the events are measured first."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lengthwise.data.output import write_text
from lengthwise.errors import InputError
from lengthwise.interfaces.cli.common import disk_errors, log, plain
from lengthwise.interfaces.cli.counts import parse_counts
from lengthwise.units import counted

if TYPE_CHECKING:
    import pandas as pd

    from lengthwise.measurement.variation import Variation
    from lengthwise.measurement.varied_run import Part

EVENTS, MANIFEST = "events.parquet", "events.manifest.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Asked:
    """What the command line asked to be measured, as it was written."""

    engine: str
    isl: str
    osl: int
    batch: str
    prompts: int
    model: str | None
    engine_set: Sequence[str]
    vary: Sequence[str]
    seed: int


def engines() -> list[str]:
    """List the engines that can be measured."""
    from lengthwise.measurement.engines import ENGINES

    return list(ENGINES)


def is_engine(target: str) -> bool:
    """Whether the target is an engine rather than a table.

    >>> is_engine("llamacpp"), is_engine("events.parquet")
    (True, False)
    """
    return target in engines()


def measured(asked: Asked, folder: Path | None) -> pd.DataFrame:
    """Measure every combination; after each load ``folder`` gets the events and their manifest."""
    from lengthwise.interfaces.cli.live import Live
    from lengthwise.measurement.varied_run import measured_variation

    variation = _variation(asked)
    log(_said(variation, asked))
    started = datetime.now(UTC).isoformat(timespec="seconds")
    parts: list[Part] = []
    try:
        for part in measured_variation(variation, Live(sparse=True), "lengthwise study"):
            parts.append(part)
            if folder is not None:
                _keep(folder, parts, _manifest(asked, variation, parts, started))
    except BaseException:
        if parts and folder is not None:
            log(f"{len(parts)} of {counted(len(variation.loads), 'load')} done: their events are "
                f"in {folder / EVENTS}")  # fmt: skip
        raise
    return _joined(parts)


def _joined(parts: Sequence[Part]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([part.table for part in parts], ignore_index=True)


def _keep(folder: Path, parts: Sequence[Part], manifest: dict[str, Any]) -> None:
    from lengthwise.data.table import write_table

    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_table(_joined(parts), folder / EVENTS)
        text = json.dumps(plain(manifest), indent=1) + "\n"
        write_text(folder / MANIFEST, text)


def _variation(asked: Asked) -> Variation:
    from lengthwise.interfaces.cli.measure import name_values
    from lengthwise.measurement.engine import EngineOptions
    from lengthwise.measurement.plan import plan_of
    from lengthwise.measurement.variation import variation_of

    plan = plan_of(
        parse_counts(asked.isl, "--isl"), parse_counts(asked.batch, "--batch"),
        decode_steps=asked.osl - 1, repeats=asked.prompts, seed=asked.seed,
    )  # fmt: skip
    options = EngineOptions(
        model=asked.model or EngineOptions.model,
        max_tokens=max(shape.longest for shape in plan.shapes) + 1,
        max_batch=max(shape.batch_size for shape in plan.shapes),
        settings={"seed": str(asked.seed)} | name_values([*asked.engine_set], "--engine-set"),
    )
    return variation_of(asked.engine, options, plan, _values(asked.vary))


def _values(texts: Sequence[str]) -> dict[str, list[str]]:
    """Read ``beams=1,2,4``; a name given twice is refused.

    >>> _values(["beams=1,2,4", "precision=f32"])
    {'beams': ['1', '2', '4'], 'precision': ['f32']}
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        parts = [value.strip() for value in values.split(",")]
        name = name.strip()
        if not (name and all(parts)) or name in found:
            raise InputError("--vary must be NAME=A,B,... and name a setting once", got=repr(text),
                             remedy="write --vary beams=1,2,4")  # fmt: skip
        found[name] = parts
    return found


def _said(variation: Variation, asked: Asked) -> str:
    """Say how much will be run."""
    varied = " x ".join(f"{name} {len(texts)}" for name, texts in variation.varied.items())
    shapes = sum(len(load.plan.shapes) for load in variation.loads)
    return (
        f"measuring {asked.engine}: {counted(len(variation.loads), 'load')}, "
        f"{counted(shapes, 'combination')} of {f'{varied}, ' if varied else ''}length and batch, "
        f"{variation.runs:,} runs of {asked.osl} tokens with {variation.prompts:,} prompts, "
        "warm-up included"
    )


def _manifest(
    asked: Asked, variation: Variation, parts: Sequence[Part], started: str
) -> dict[str, Any]:  # fmt: skip
    from lengthwise.measurement.machine import describe

    return {
        "schema_version": SCHEMA_VERSION, "command": " ".join(sys.argv), "started": started,
        "asked": asdict(asked), "varied": dict(variation.varied), "machine": describe(),
        "rows": sum(len(part.table) for part in parts), "loads_planned": len(variation.loads),
        "loads": [
            {"values": dict(part.load.values), "rows": len(part.table), "labels": part.labels,
             "notes": part.notes}
            for part in parts
        ],
    }  # fmt: skip
