"""What each feature buys a per-token prediction: settings varied on two real engines.

    python benchmarks/per_token_features.py

The events are our own (own-settings-cpu): transformers with beams, temperature, precision and
batch varied, llama.cpp with quantisation, temperature and batch varied, and the machine's state
beside every token. Each group of features is added to the lengths alone and dropped from all that
is known before a step, on whole requests held out, for the thesis's ridge, gradient boosting and
our law.

Beams multiply the sequences of a decode step, which ``batch_size`` counts. What beams buy who does
not know that is asked once more with ``batch_size`` counting prompts.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from lengthwise.data import datasets
from lengthwise.evaluation.per_token import SubjectStudy, per_token_study
from lengthwise.evaluation.per_token.features import presence_of
from lengthwise.evaluation.per_token.worth import LEARNERS, Worth, worth_of
from lengthwise.interfaces.cli.common import plain

OUT = Path(__file__).parent / "results" / "per_token_features.json"
SEED = 0


def main() -> None:
    """Study both engines and write the figures."""
    table = datasets.table("own-settings-cpu")
    study = per_token_study(table, seed=SEED, max_events=None, progress=print)
    results = {s.events.frame["engine"].iloc[0]: found(s) for s in study.subjects}
    text = json.dumps(plain(rounded(results)), indent=1, ensure_ascii=False, allow_nan=False)
    OUT.write_text(text + "\n", encoding="utf-8")
    for engine, result in results.items():
        show(engine, result)
    print(f"wrote {OUT.name}")


def found(study: SubjectStudy) -> dict[str, Any]:
    """Take from a study what the question is about."""
    frame = study.events.frame
    result: dict[str, Any] = {
        "subject": study.events.name, "events": len(frame),
        "requests": int(frame["request_code"].nunique()),
        "thesis_protocol": asdict(study.thesis),
        "scores": [asdict(s) for s in study.scores if s.division in ("random", "requests")],
        "features": [
            {"group": p.group.name, "known": p.group.known, "used": p.used, "constant": p.constant}
            for p in study.presence
        ],
        "worth": [asdict(worth) for worth in study.worth if worth.division == "requests"],
        "decode_median_ms": medians(frame),
    }  # fmt: skip
    if any(p.group.name == "beams" and p.used for p in study.presence):
        result["worth_batch_in_prompts"] = [asdict(w) for w in in_prompts(study)]
    return result


def in_prompts(study: SubjectStudy) -> list[Worth]:
    """Ask again with ``batch_size`` counting prompts, not the sequences that beams make of them."""
    frame = study.events.frame
    later = frame["phase"] == "decode"
    prompts = (frame["batch_size"].astype(float) / frame["beams"].where(later, 1.0)).round()
    frame = frame.assign(batch_size=prompts)
    known = presence_of(frame, "known")
    way = next(d for d in study.divisions if d.name == "requests")
    return [worth_of(frame, way, known, learner, SEED) for learner in LEARNERS]


def medians(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Median decode step by each setting, ms."""
    steps = frame[(frame["phase"] == "decode") & ~frame["warmup"].astype(bool)]
    columns = {"precision": "precision", "beams": "beams", "temperature": "temperature"}
    return {
        name: {str(value): float(rows["latency_ms"].median()) for value, rows in by}
        for name, column in columns.items()
        if column in steps and steps[column].nunique() > 1
        for by in [steps.groupby(column)]
    }


def show(engine: str, result: dict[str, Any]) -> None:
    """Print the table of one engine."""
    print(f"\n{engine}: {result['events']:,} events of {result['requests']:,} requests")
    for name in ("worth", "worth_batch_in_prompts"):
        for worth in result.get(name, []):
            lengths, known = worth["lengths"], worth["known"]
            print(f"{name}, {worth['learner']}: MAE {lengths['mae_ms']:.2f} to "
                  f"{known['mae_ms']:.2f} ms, MAPE {lengths['mape_percent']:.1f} to "
                  f"{known['mape_percent']:.1f} %")  # fmt: skip
            for group in worth["groups"]:
                print(f"  {group['group']:<15} added {line(group['added'])}   "
                      f"dropped {line(group['dropped'])}")  # fmt: skip


def line(change: dict[str, float]) -> str:
    """Write a change of MAE and MAPE with their intervals."""
    return (
        f"{change['mae_ms']:+.2f} [{change['mae_lo_ms']:+.2f}, {change['mae_hi_ms']:+.2f}] ms, "
        f"{change['mape_percent']:+.1f} [{change['mape_lo_percent']:+.1f}, "
        f"{change['mape_hi_percent']:+.1f}] points"
    )


def rounded(value: Any) -> Any:
    """Keep six significant digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
