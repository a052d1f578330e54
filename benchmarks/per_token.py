"""The thesis's per-token protocol on real token events: what it gives, and what carries its error.

    LENGTHWISE_DATA=... python benchmarks/per_token.py

Three sets of events: the project's own steps of openvino-genai on one CPU thread (two models); and
the raw tokens of IBM LLM-Pilot (llama-7b on A10, A100 and H100, CDLA-Permissive-2.0), once of a
single user, which is the thesis's setting, and once of 1, 8 and 32 users together. First tokens of
LLM-Pilot are taken from its raw files, as the thesis's loop would have logged them: its second
stream message, which waited for queue and prefill.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from lengthwise.data import datasets
from lengthwise.data.readers import ibm_llm_pilot_tokens
from lengthwise.evaluation.per_token import per_token_study
from lengthwise.interfaces.cli.common import plain

OUT = Path(__file__).parent / "results" / "per_token.json"
SEED = 0
EVENTS = 3000
KEEP_SLOW = 20


def pilot_tokens() -> pd.DataFrame:
    """Read the raw tokens of LLM-Pilot, first tokens included."""
    folder = datasets.fetch("ibm_llm_pilot")
    later = ibm_llm_pilot_tokens.read(folder)
    first = pd.concat([_first(file) for file in sorted(folder.glob("raw_sample_*.csv.gz"))])
    labels = {"model": "llama-7b", "engine": "tgis", "precision": "fp16", "tp": 1,
              "clock": "client"}  # fmt: skip
    return pd.concat([first.assign(**labels), later], ignore_index=True)


def _first(file: Path) -> pd.DataFrame:
    raw = pd.read_csv(file)
    raw = raw[raw["status"] == 200].reset_index(drop=True)
    gaps = raw["latency_ms_per_token"].map(json.loads)
    times = raw["timestamps_per_token"].map(json.loads)
    some = gaps.map(len) > 1
    return pd.DataFrame({
        "phase": "prefill", "latency_ms": gaps[some].map(lambda gap: float(gap[1])),
        "isl": raw["n_input_tokens"][some], "context_len": raw["n_input_tokens"][some],
        "output_index": 0, "batch_size": 1, "concurrency": raw["num_users"][some],
        "hardware": raw["gpu_type"].iloc[0].lower(), "request": raw.index[some],
        "timestamp": times[some].map(lambda at: at[1] / 1e3),
        "source": f"ibm_llm_pilot/{file.name}",
    })  # fmt: skip


def run(title: str, table: pd.DataFrame, max_events: int | None) -> dict[str, Any]:
    print(title, flush=True)
    study = per_token_study(table, seed=SEED, max_events=max_events, progress=print)
    found = study.to_dict()
    for subject in found["subjects"]:
        slow = subject["diagnosis"]["slow"]
        slow["rows"] = slow["rows"][:KEEP_SLOW]
    return {"title": title, **rounded(found)}


def rounded(value: Any) -> Any:
    """Keep six significant digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def main() -> None:
    """Study every set of events that is at hand and write the figures."""
    results = {
        "own_openvino_cpu": run("own openvino CPU steps", datasets.table("own-openvino-cpu"), None)
    }
    if datasets.available("ibm_llm_pilot"):
        tokens = pilot_tokens()
        alone = tokens[tokens["concurrency"] == 1]
        results["ibm_one_user"] = run("LLM-Pilot, one user", alone, EVENTS)
        results["ibm_all_users"] = run("LLM-Pilot, 1, 8 and 32 users", tokens, EVENTS)
    else:
        print("ibm_llm_pilot is not here: set LENGTHWISE_DATA to its folder; left out")
    text = json.dumps(plain(results), indent=1, ensure_ascii=False, allow_nan=False)
    OUT.write_text(text + "\n", encoding="utf-8")
    print(f"wrote {OUT.name}")


if __name__ == "__main__":
    main()
