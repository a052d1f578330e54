"""The reference page on device profiles and hardware: sources, and errors on kernels held out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lengthwise.data import kernel_profiles
from lengthwise.data.hardware_catalog import hardware_names
from lengthwise.domain.catalog import MODELS

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
KINDS = {
    "gemm": "matrix products", "experts": "routed experts",
    "attention_prefill": "attention of prompts", "attention_decode": "attention of decodes",
    "latent_prefill": "latent attention of prompts", "latent_decode": "latent attention of decodes",
    "collective": "collectives",
}  # fmt: skip
"""Operators with a profile, and what they are called here."""
SYSTEMS = ("a100_sxm", "l40s", "h100_sxm", "h200_sxm", "b200_sxm", "gb200")
SPLITS = {
    "n": "whole output widths", "k": "whole input widths", "block": "blocks of both widths",
    "m_8": "beyond an eighth of the rows", "model": "whole models",
    "parallelism": "whole degrees of parallelism", "tokens_8": "beyond an eighth of the tokens",
    "shape": "whole head shapes", "batch": "whole batch sizes",
    "length_4": "beyond a quarter of the longest", "message": "single message sizes",
}  # fmt: skip
PARTS = ("layers", "possible", "all")
"""Rows of a split to show, the first of these that there is."""

Table = Callable[[tuple[str, ...], list[tuple[Any, ...]]], str]


def profiles_page(note: str, table: Table) -> str:
    """Describe where curves and figures come from, and how far off the curves are."""
    return "\n".join([
        f"# Profiles and hardware\n\n{note}",
        "Operator curves of the [step law](../step-law.md) ship as JSON, one file per processor "
        "and operator, in `src/lengthwise/data/profiles`. They were fitted to kernel tables; the "
        "tables themselves are not part of this project.\n",
        "## Where the kernel curves come from\n", _sources(),
        table(("processor", *KINDS.values()), [_row(system) for system in SYSTEMS]),
        "Cells name engine and version of the kernels. `generic` holds typical coefficients of "
        "all processors, put on the ceilings of any other one.\n",
        "Fitted by `experiments/device_profiles`; each curve holds its `fit_error`.\n",
        "## Errors on kernels that were not in the fit\n",
        "`benchmarks/kernels.py` and `benchmarks/kernels_attention.py` leave parts of every table "
        "out and predict them from curves fitted to the rest. Absolute errors of all tables "
        "together, percent.\n",
        table(("operator", "held out", "rows", "median", "90th percentile"), _errors()),
        "`benchmarks/results/kernels_*.json` hold every table alone. Tables that timed the host's "
        "launches instead of kernels, and rows faster than the hardware allows, are set apart; "
        "matrix products are those of model layers (at least 256 wide and deep).\n",
        "## Where the hardware figures come from\n",
        f"{len(hardware_names())} processors are in `src/lengthwise/data/hardware.toml`; "
        "`lengthwise doctor --catalogue` lists them. Peaks are of dense products, without "
        "sparsity; links count one direction of one processor. Every entry names its source: "
        "datasheets and whitepapers of the makers, what drivers report, and assumptions where it "
        "says so. Not all were looked up again ([limits](../limits.md)). Power curves: "
        "[energy](../how-to/energy.md).\n",
        "Host overheads before any fit are those BLIS published (inference-sim, Apache-2.0).\n",
        "## Known models\n",
        "Names for `--model`; case, organisation, `-Instruct` and a quantisation such as `-FP8` "
        "in the name do not matter. Any other model: its `config.json`.\n",
        f"{', '.join(f'`{model.name}`' for model in MODELS)}.\n",
    ])  # fmt: skip


def _sources() -> str:
    found = [kernel_profiles.source(kind, system) for kind in KINDS for system in SYSTEMS]
    known = {(s["repository"], s["commit"], s["licence"]) for s in found if s}
    return "\n".join(
        f"`{repository}` at commit `{commit}`, licence {licence}.\n"
        for repository, commit, licence in sorted(known)
    )


def _row(system: str) -> tuple[str, ...]:
    return (f"`{system}`", *(_engines(kind, system) for kind in KINDS))


def _engines(kind: str, system: str) -> str:
    found: dict[str, set[str]] = {}
    for curve in kernel_profiles.load_curves(kind, system):
        found.setdefault(curve["engine"], set()).add(curve.get("engine_version") or "")
    return ", ".join(
        f"{engine} {' '.join(sorted(versions))}".strip()
        for engine, versions in sorted(found.items())
    )


def _errors() -> list[tuple[Any, ...]]:
    rows = []
    for kind, name in KINDS.items():
        path = RESULTS / f"kernels_{kind}.json"
        if not path.exists():
            rows.append((name, "no result yet", "", "", ""))
            continue
        for split, score in _pooled(json.loads(path.read_text())).items():
            rows.append(
                (name, SPLITS[split], f"{score[0]:,}", f"{score[1]:.1f}", f"{score[2]:.1f}")
            )
    return rows


def _pooled(found: dict[str, Any]) -> dict[str, tuple[int, float, float]]:
    """Rows, median and 90th percentile in percent, by split."""
    if "overall" in found:
        return {
            split: (s["rows"], s["median_percent"], s["p90_percent"])
            for split, s in found["overall"].items() if s["rows"]
        }  # fmt: skip
    together = next(v for name, v in found.items() if name.startswith("pooled"))
    return {split: _first(parts) for split, parts in together.items() if split in SPLITS}


def _first(parts: dict[str, Any]) -> tuple[int, float, float]:
    score = next(parts[name] for name in PARTS if name in parts)
    return score["rows"], 100 * score["median"], 100 * score["p90"]
