"""Parameters counted from a config.json agree with the published ones within one percent.

A figure is written as published. Where it has too few digits for one percent, the digits decide:
from half a unit of the last one below (rounded) to one unit above (cut off). Publishers count
vocabulary tables in active parameters in three ways, and few say which: ``both``, ``output`` (the
input table is a look-up), ``none``; ``?`` accepts any of them. Totals leave out modules of
multi-token prediction, except where the figure is that of all weights in the repository (``mtp``),
and a table that serves as input and output once, except where it is stored ``twice``.
"""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from lengthwise.data.model_files import read_config
from lengthwise.domain.model import ModelSpec

CARD, REPORT, NAME = "model card", "technical report", "name of the model"
WEIGHTS = "count of the weights in the repository"


class Published(NamedTuple):
    """Figures of one model, and the pattern of the configurations that have them."""

    pattern: str
    total: str
    source: str
    active: str = ""
    tables: str = "?"
    mtp: bool = False
    twice: bool = False


TABLE = (
    Published(r"Meta-Llama-3\.1-8B", "8.030B", WEIGHTS),
    Published(r"(Meta-)?Llama-3\.1-70B(-Instruct-FP8)?", "70.55B", WEIGHTS),
    Published(r"Meta-Llama-3\.1-405B", "405.9B", WEIGHTS),
    # the published 109B and 402B hold a vision tower that these configurations leave out
    Published(r"Llama-4-Scout.*", "108B", "count of the text weights in GGUF", "17B"),
    Published(r"Llama-4-Maverick.*", "400B", "model card: ~400B", "17B"),
    Published(r"Mixtral-8x7B.*", "46.7B", "announcement", "12.9B", "both"),
    Published(r"Mixtral-8x22B.*", "141B", "announcement", "39B", "both"),
    Published(r"Qwen3-0\.6B", "0.6B", CARD),
    Published(r"Qwen3-1\.7B", "1.7B", CARD),
    Published(r"Qwen3-8B", "8.2B", CARD),
    Published(r"Qwen3-32B.*", "32.8B", CARD),
    Published(r"Qwen3-30B-A3B.*", "30.5B", CARD, "3.3B"),
    Published(r"Qwen3-235B-A22B.*", "235B", CARD, "22B"),
    Published(r"Qwen3-Coder-480B.*", "480B", CARD, "35B"),
    Published(r"Qwen3-VL-2B.*", "2B", NAME),
    Published(r"Qwen3-VL-4B.*", "4.83B", WEIGHTS, twice=True),
    Published(r"Qwen3-VL-8B.*", "8.77B", WEIGHTS),
    Published(r"Qwen3-VL-32B.*", "33B", WEIGHTS),
    Published(r"Qwen3-VL-30B-A3B.*", "31B", WEIGHTS, "3B"),
    Published(r"Qwen3-VL-235B.*", "236B", WEIGHTS, "22B"),
    Published(r"Qwen3\.5-27B", "27B", NAME),
    Published(r"Qwen3\.5-35B-A3B", "35B", NAME, "3B"),
    Published(r"Qwen3\.5-122B-A10B.*", "122B", NAME, "10B"),
    Published(r"Qwen3\.5-397B-A17B.*", "397B", NAME, "17B"),
    Published(r"MiMo-7B-Base", "7.83B", WEIGHTS, mtp=True),
    Published(r"MiMo-V2-Flash", "309B", CARD, "15B"),
    Published(r"DeepSeek-(R1|V3|V3\.1-NVFP4)", "671B", REPORT, "37B"),
    Published(r"DeepSeek-V3\.2.*", "671B", "report of V3, before the index", "37B"),
    Published(r"DeepSeek-V4-Flash.*", "284B", REPORT, "13B"),
    Published(r"DeepSeek-V4-Pro.*", "1.6T", REPORT, "49B"),
    Published(r"GLM-5(-NVFP4)?", "744B", REPORT, "40B"),
    Published(r"GLM-5\.1.*", "754B", WEIGHTS, "40B", mtp=True),
    Published(r"GLM-5\.2.*", "744B", "report of GLM-5, of the same size", "40B"),
    # the report rounds to 1.04T; the weights in the repository are 1.03T
    Published(r"Kimi-K2-Instruct", "1.03T", WEIGHTS, "32B"),
    Published(r"Kimi-K2\.[567].*", "1.03T", "weights of Kimi-K2, the same text model", "32B"),
    Published(r"Kimi-K3", "2.78T", REPORT, "104B", "output"),
    Published(r"MiniMax-M2\.[57].*", "229B", WEIGHTS, "10B"),
    # ~428B with a vision tower that this configuration leaves out
    Published(r"MiniMax-M3", "428B", CARD, "23B"),
    Published(r"gemma-4-26B-A4B|Gemma-4-26B-A4B-NVFP4", "25.8B",
              "model card: 25.2B and a vision tower of 0.55B", "3.8B", "both"),
    Published(r"Gemma-4-31B.*", "31.3B", "model card: 30.7B and a vision tower of 0.55B"),
    Published(r"NVIDIA-Nemotron-3-Nano.*", "31.6B", CARD, "3.6B", "both"),
    Published(r"NVIDIA-Nemotron-3\.5-Lightning.*", "31.6B", "card of Nemotron 3 Nano, same layers",
              "3.6B", "both"),
    Published(r"NVIDIA-Nemotron-3-Super.*", "120B", NAME, "12B"),
    Published(r"NVIDIA-Nemotron-3-Ultra.*", "561B", WEIGHTS, "55B", mtp=True),
    Published(r"Nemotron-H-56B.*", "56B", NAME),
    Published(r"gpt-oss-120b", "116.8B", CARD, "5.1B", "output"),
    Published(r"gpt-oss-20b", "20.9B", CARD, "3.6B", "output"),
    # 198B with a vision tower of 1.8B that this configuration leaves out
    Published(r"Step-3\.7-Flash.*", "196B", "model card: language backbone", "11B"),
)  # fmt: skip

UNITS = {"B": 1e9, "T": 1e12}


def agrees(found: float, written: str) -> bool:
    """Say whether a count is what was written: within 1 %, or within the digits given."""
    number, unit = float(written[:-1]), UNITS[written[-1]]
    digits = len(written[:-1].partition(".")[2])
    step, value = 10.0**-digits * unit, number * unit
    return abs(found / value - 1) <= 0.01 or -step / 2 <= found - value < step


def active_counts(spec: ModelSpec) -> dict[str, float]:
    """Count active parameters in the three ways publishers do."""
    table = spec.vocab * spec.hidden
    return {
        "both": spec.active_parameters,
        "output": spec.active_parameters - table * (not spec.tied_embeddings),
        "none": spec.active_parameters - spec.table_parameters,
    }


def rows(folder: Path) -> list[tuple[str, Published, ModelSpec]]:
    found = []
    for path in sorted((folder / "models").glob("*.json")):
        name = path.stem.split("--")[1]
        mine = [row for row in TABLE if re.fullmatch(row.pattern, name)]
        assert len(mine) == 1, name
        found.append((name, mine[0], read_config(path)))
    return found


@pytest.mark.data
def test_totals_are_the_published_ones(needs_data: Path) -> None:
    checked = rows(needs_data)
    wrong = []
    for name, row, spec in checked:
        count = spec.total_parameters + row.mtp * spec.draft_parameters
        count += row.twice * spec.table_parameters
        if not agrees(count, row.total):
            wrong.append((name, row.total, count))
    assert wrong == []
    assert len(checked) == 79
    assert min(Counter(row.pattern for _, row, _ in checked).values()) >= 1
    assert len({row.pattern for _, row, _ in checked}) == len(TABLE)


@pytest.mark.data
def test_active_parameters_are_the_published_ones(needs_data: Path) -> None:
    wrong = []
    for name, row, spec in rows(needs_data):
        if row.active:
            counts = active_counts(spec)
            ways = counts.values() if row.tables == "?" else [counts[row.tables]]
            if not any(agrees(count, row.active) for count in ways):
                wrong.append((name, row.active, counts))
        else:
            assert spec.active_parameters <= spec.total_parameters
    assert wrong == []


@pytest.mark.parametrize(
    ("found", "written", "good"),
    [(671.9e9, "671B", True), (679e9, "671B", False), (3.35e9, "3.3B", True),
     (3.41e9, "3.3B", False), (1.573e12, "1.6T", True), (1.53e12, "1.6T", False)],
)  # fmt: skip
def test_what_counts_as_agreement(found: float, written: str, good: bool) -> None:
    assert agrees(found, written) is good
