"""The fixed rows and protocols behind every accuracy figure of the project.

A suite is a table of measurements with a split. Tables of others are found by ``lengthwise data``;
nothing here is tuned: formulations are run with their defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from lengthwise.data import datasets
from lengthwise.evaluation.protocol import SplitName

REFERENCE = ("hachiya-patias", "linear", "gradient-boosting", "trend-boosting")
FIELD = (
    "hachiya-patias", "linear", "power", "cubic-ols", "thesis-ridge", "llumnix", "distserve",
    "edgereasoning", "splitwise-interp", "bayesian-ridge", "gaussian-process", "random-forest",
    "gradient-boosting", "trend-boosting",
)  # fmt: skip


@dataclass(frozen=True)
class Suite:
    """One table, one split, the formulations compared on it."""

    title: str
    table: Callable[[], pd.DataFrame]
    split: SplitName
    factor: float = 4.0
    formulations: tuple[str, ...] = REFERENCE


def _phase(name: str, phase: str, *, alone: bool = False) -> pd.DataFrame:
    table = datasets.table(name)
    table = table[table["phase"] == phase]
    return table[table["batch_size"] == 1] if alone else table


def prefill_curves() -> pd.DataFrame:
    """Join Splitwise (8 deployments) and EdgeReasoning (3): prompts, and batches of short ones."""
    parts = [_phase("splitwise", "prefill"), _phase("edgereasoning", "prefill")]
    return pd.concat(parts, ignore_index=True)


def prefill_curves_alone() -> pd.DataFrame:
    """Keep only the batch-1 prompt sweep of the same 11 curves."""
    parts = [_phase(n, "prefill", alone=True) for n in ("splitwise", "edgereasoning")]
    return pd.concat(parts, ignore_index=True)


def decode_sweeps() -> pd.DataFrame:
    """Join the decode steps of Splitwise and EdgeReasoning."""
    return pd.concat(
        [_phase("splitwise", "decode"), _phase("edgereasoning", "decode")], ignore_index=True
    )


def llamacpp(phase: str) -> Callable[[], pd.DataFrame]:
    """Take llama.cpp's published benches: 6 models on 2 machines."""
    return lambda: _phase("llamacpp_benches", phase)


def own(phase: str) -> Callable[[], pd.DataFrame]:
    """Take the project's own CPU measurements."""
    return lambda: _phase("own-openvino-cpu", phase)


def engines(phase: str) -> Callable[[], pd.DataFrame]:
    """Take our own measurements of llama.cpp and of transformers in five variants."""
    names = ("own-llamacpp-cpu", "own-transformers-cpu")
    return lambda: pd.concat([_phase(name, phase) for name in names], ignore_index=True)


def mixed() -> pd.DataFrame:
    """Take our own mixed steps."""
    return _phase("own-mixed-cpu", "mixed")


def chunked() -> pd.DataFrame:
    """Take our own prompts that were prefilled in chunks, a row per step."""
    return _phase("own-chunked-cpu", "prefill")


llamacpp_prefill, llamacpp_decode = llamacpp("prefill"), llamacpp("decode")
own_prefill, own_decode = own("prefill"), own("decode")
engines_prefill, engines_decode = engines("prefill"), engines("decode")

SUITES: dict[str, Suite] = {
    **{
        f"prefill_length_{f}": Suite(
            f"11 prefill curves, lengths up to max/{f} of every deployment", prefill_curves,
            "length", f, FIELD if f == 4 else REFERENCE,
        )
        for f in (2, 4, 8)
    },
    **{
        f"prefill_alone_length_{f}": Suite(
            f"11 prefill curves, batch 1 only, lengths up to max/{f}", prefill_curves_alone,
            "length", f,
        )
        for f in (2, 4, 8)
    },
    "decode_length_4": Suite("11 decode sweeps, contexts up to max/4", decode_sweeps, "length"),
    "llamacpp_prefill_length_4": Suite("llama.cpp prefill, to max/4", llamacpp_prefill, "length"),
    "llamacpp_decode_length_4": Suite("llama.cpp decode, up to max/4", llamacpp_decode, "length"),
    "own_prefill_length_4": Suite("own CPU prefill, up to max/4", own_prefill, "length"),
    "own_decode_length_4": Suite("own CPU decode, up to max/4", own_decode, "length"),
    "engines_prefill_length_4": Suite("7 CPU engines, prefill to max/4", engines_prefill, "length"),
    "engines_decode_length_4": Suite("7 CPU engines, decode, to max/4", engines_decode, "length"),
    "chunked_length_4": Suite("steps of chunked prefills, to max/4", chunked, "length"),
    "mixed_length_4": Suite("our mixed steps, to max/4", mixed, "length"),
    "prefill_batch_4": Suite("prefill, batches up to max/4", prefill_curves, "batch"),
    "decode_batch_4": Suite("decode, batches up to max/4", decode_sweeps, "batch"),
    "llamacpp_decode_batch_4": Suite("llama.cpp decode, batch to max/4", llamacpp_decode, "batch"),
    "prefill_in_range": Suite("11 prefill curves, in range", prefill_curves, "random"),
    "decode_in_range": Suite("11 decode sweeps, in range", decode_sweeps, "random"),
    "llamacpp_prefill_in_range": Suite("llama.cpp prefill, in range", llamacpp_prefill, "random"),
    "llamacpp_decode_in_range": Suite("llama.cpp decode, in range", llamacpp_decode, "random"),
    "own_prefill_in_range": Suite("own CPU prefill, in range", own_prefill, "random"),
    "own_decode_in_range": Suite("own CPU decode, in range", own_decode, "random"),
    "engines_prefill_in_range": Suite("7 CPU engines, prefill", engines_prefill, "random"),
    "engines_decode_in_range": Suite("7 CPU engines, decode", engines_decode, "random"),
    "chunked_in_range": Suite("steps of chunked prefills, in range", chunked, "random"),
    "mixed_in_range": Suite("our mixed steps, in range", mixed, "random"),
    "prefill_deployment": Suite(
        "prefill, one deployment left out", prefill_curves, "deployment",
        formulations=("hachiya-patias", "linear"),
    ),
    "decode_deployment": Suite(
        "decode, one deployment left out", decode_sweeps, "deployment",
        formulations=("hachiya-patias", "linear"),
    ),
    "prefill_hardware": Suite(
        "prefill, one hardware left out", prefill_curves, "hardware",
        formulations=("hachiya-patias", "linear"),
    ),
}  # fmt: skip
