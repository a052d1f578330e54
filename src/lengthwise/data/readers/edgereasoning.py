"""EdgeReasoning: three DeepSeek-R1 distills on a Jetson AGX Orin, batch 1, vLLM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from lengthwise.data.readers.rows import tidy

_DECODE = {
    "input_tokens": "isl", "output_tokens": "osl", "decode_time": "decode_time_s",
    "tot_gpu_energy": "total_energy_j", "avg_decode_energy": "decode_energy_j",
    "P_inf": "steady_power_w", "delta_P": "power_deficit_w", "tau": "power_time_constant_s",
}  # fmt: skip


def read(folder: Path) -> pd.DataFrame:
    """Read ``prefill.json`` and ``decode_parameters.json``: prefill rows, then decode rows.

    Units and definitions
        A prefill row is one TTFT at one prompt length, ms. A decode row is the mean step of one
        run: ``decode_time`` s over the osl - 1 steps that follow the first token, at their mean
        context isl + osl / 2 (rounded up). The file does not say how many steps the time covers;
        with osl - 1 the step time is flat in osl (14B: 187 ms at osl 16, 32 and 1152), with osl it
        would drop by a sixteenth at osl 16, and runs of one token report 0.00 s.
        ``power_w`` is the mean GPU power over the prefill or the decode.
    Traps
        8B takes 22.5 s at 2,561 tokens, over seven times its neighbours: kept. Runs with osl = 1
        have no decode step and give no row (8 per model). Decode times carry two decimals, which
        is 0.5 % of the shortest run. ``decode.json`` holds energies of the same sweep, no times,
        and is not read. The decode sweep calls its prompts 128, 256, ...; ``decode.json`` counts
        two tokens more.

    Returns
    -------
    DataFrame
        573 rows: 99 prefill and 474 decode.
    """
    prefill = json.loads((folder / "prefill.json").read_text())["data"]
    decode = json.loads((folder / "decode_parameters.json").read_text())
    parts = [_prefill(name, values) for name, values in prefill.items()]
    parts += [_decode(name, runs) for name, runs in decode.items() if not name.startswith("_")]
    table = pd.concat(parts, ignore_index=True).assign(
        hardware="jetson-agx-orin", engine="vllm", tp=1, batch_size=1, clock="server"
    )
    return tidy(table)


def _prefill(name: str, values: dict[str, list[float]]) -> pd.DataFrame:
    return pd.DataFrame({
        "phase": "prefill", "model": name.replace("_", "-"), "isl": values["input_tokens"],
        "latency_ms": values["ttft_ms"], "power_w": values["avg_power_w"],
        "total_energy_j": values["total_energy_j"], "source": "edgereasoning/prefill.json",
    })  # fmt: skip


def _decode(name: str, runs: list[dict[str, Any]]) -> pd.DataFrame:
    raw = pd.DataFrame(runs).rename(columns=_DECODE)[list(_DECODE.values())]
    raw = raw[raw["osl"] > 1]
    return raw.assign(
        phase="decode", model=name, context_len=raw["isl"] + (raw["osl"] + 1) // 2,
        latency_ms=1e3 * raw["decode_time_s"] / (raw["osl"] - 1),
        power_w=raw["decode_energy_j"] / raw["decode_time_s"],
        source="edgereasoning/decode_parameters.json",
    )  # fmt: skip
