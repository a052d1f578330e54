"""What commands say of a question beside its answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lengthwise.interfaces.cli.common import log


def say_remarks(
    labels: Mapping[str, Any], phase: str, names: Sequence[str], rows: Sequence[Sequence[float]],
    *, measured_engines: Collection[str] | None = (),
) -> None:  # fmt: skip
    """Write what is unlikely about the points of a command line to stderr.

    Parameters
    ----------
    labels
        Deployment, as far as given or known.
    names, rows
        Sizes that were given and their values, point by point.
    measured_engines
        Engines that the law has measurements of; None if it does not matter.
    """
    from lengthwise.prediction.remarks import remarks

    sizes = {name: max(row[i] for row in rows) for i, name in enumerate(names)}
    known = measured_engines is None or labels.get("engine") in measured_engines
    for text in remarks(labels, phase, sizes, by_engine=not known):
        log(f"note: {text}")


def say_only_deployment(labels: Mapping[str, Any], added: Sequence[str]) -> None:
    """Say which labels the law's only deployment gave to a question."""
    if added:
        shown = ", ".join(f"{name} {labels[name]}" for name in added)
        log(f"note: {shown}: the law's only deployment")
