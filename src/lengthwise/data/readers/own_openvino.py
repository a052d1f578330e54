"""The project's own step times: openvino-genai on one CPU thread, two small random Llamas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from lengthwise.data.readers.rows import tidy


def read(folder: Path) -> pd.DataFrame:
    """Read ``openvino_cpu.parquet``: one row is one ``step()`` of the engine.

    Units and definitions
        ``latency_ms`` wall clock and ``cpu_ms`` process CPU time of the step; on one thread they
        agree unless something else took the core. Prompts of 32 to 16,384 tokens, batches 1, 2, 4,
        8; after each prefill 8 decode steps, ``output_index`` 1 to 8 at context isl + index.
        ``load1`` is the load average of the machine. `manifest` names machine and versions.
    Traps
        ``warmup`` marks the first points, repeat 0 and every first decode step, which compile
        shapes. Wall and CPU time agree to 1 % in nearly all rows, yet both drift together by up
        to 14 % between repeats: the core itself was slower at times (a shared virtual machine).
        The median spread of a prefill point over its repeats is 8 %.
        The weights are random; times do not depend on them. The output matrix (8.2 and 16.4 million
        parameters) outweighs the blocks of the smaller model and is paid once per sequence and
        step, not per prompt token.

    Returns
    -------
    DataFrame
        4,842 rows.
    """
    return tidy(pd.read_parquet(folder / "openvino_cpu.parquet"))


def manifest(folder: Path) -> dict[str, Any]:
    """Read what was measured: machine, versions, models, protocol."""
    text = (folder / "openvino_cpu.manifest.json").read_text(encoding="utf-8")
    return dict(json.loads(text))
