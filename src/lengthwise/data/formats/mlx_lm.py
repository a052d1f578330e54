"""Console text of MLX: ``mlx_lm.benchmark`` trial by trial, ``mlx_lm.generate`` and ``mlx_vlm``.

    prompt_tps        prompt tokens of the batch / time to the first token
    generation_tps    generated tokens of the batch / time after the first token

The first token is counted in the second rate though its time is in the first, so that a decode step
of a short generation of n tokens is longer by a share 1 / (n - 1) than the rate says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.formats.fields import Row, number, parsed
from lengthwise.data.formats.printed import argument, disagreement
from lengthwise.data.readers.rows import mean_context
from lengthwise.data.report import Flag
from lengthwise.units import s_to_ms

NAME = "mlx-lm"
TITLE = "MLX (mlx_lm.benchmark, mlx_lm.generate)"

_RUN = re.compile(
    r"prompt_tokens=(?P<pp>\d+), generation_tokens=(?P<tg>\d+)(?:, batch_size=(?P<b>\d+))?"
)
_TRIAL = re.compile(
    r"(?P<what>Trial +\d+|Averages): +prompt_tps=(?P<pp>[\d.]+), generation_tps=(?P<tg>[\d.]+)"
    r"(?:, peak_memory=(?P<memory>[\d.]+))?"
)
_GENERATED = re.compile(
    r"Prompt: (?:(?P<n_pp>\d+) tokens, )?(?P<pp>[\d.]+) tokens-per-sec\s+"
    r"Generation: (?:(?P<n_tg>\d+) tokens, )?(?P<tg>[\d.]+) tokens-per-sec"
    r"(?:\s+Peak memory: (?P<memory>[\d.]+) GB)?"
)
_NOTES = (
    "the time of a prompt holds the drawing of its first token",
    "a decode row is the mean step over the contexts it ran through, at their mean",
)


def matches(document: Document) -> bool:
    """Whether the text has a trial or a generation with its speeds."""
    text = document.printed
    return bool(
        ("generation_tps=" in text and _TRIAL.search(text))
        or ("tokens-per-sec" in text and _GENERATED.search(text))
    )


def read(document: Document) -> Parsed:
    """Read a prefill and a decode row per trial or generation."""
    text = document.printed
    rows: list[Row] = []
    flags: list[Flag] = []
    dropped: Counter[str] = Counter()
    for run, trials in _runs(text):
        if run is None:
            dropped["trial without its lengths"] += len(trials)
            continue
        begin = len(rows)
        means = [trial for trial in trials if trial["what"] == "Averages"]
        single = [trial for trial in trials if trial["what"] != "Averages"]
        for index, trial in enumerate(single or means):
            repeat: Row = {"repeat": index} if single else {"over_repeats": "mean"}
            rows += [{**row, **repeat} for row in _steps(run, trial)]
        flags += disagreement(list(range(begin, len(rows))), _averages(single, means))
    for found in _GENERATED.finditer(text):
        lengths = (found["n_pp"], found["n_tg"], "1")
        if not (found["n_pp"] and found["n_tg"]):
            dropped["generation without its lengths"] += 1
            continue
        rows += _steps(lengths, found)
    model = argument(text, "model")
    common = {"model": model, "engine": "mlx", "clock": "server"}
    made = [{**row, **common} for row in rows]
    return parsed(made, dropped=dropped, flags=flags, assumptions=_NOTES)


def _runs(text: str) -> Iterator[tuple[tuple[str, str, str] | None, list[re.Match[str]]]]:
    """Yield the lengths of each benchmark with its trials."""
    starts = list(_RUN.finditer(text))
    edges = [0, *(found.start() for found in starts), len(text)]
    for found, (begin, end) in zip([None, *starts], pairwise(edges), strict=True):
        trials = list(_TRIAL.finditer(text, begin, end))
        if trials:
            yield (found["pp"], found["tg"], found["b"] or "1") if found else None, trials


def _steps(lengths: tuple[str, str, str], speeds: re.Match[str]) -> list[Row]:
    pp, tg, batch = (int(length) for length in lengths)
    prefill, decode = float(speeds["pp"]), float(speeds["tg"])
    common = {"batch_size": batch, "peak_memory_gb": number(speeds["memory"], "peak memory")}
    rows: list[Row] = []
    if pp and prefill > 0:
        rows.append({"phase": "prefill", "isl": pp, "query_len": pp,
                     "latency_ms": s_to_ms(batch * pp / prefill), **common})  # fmt: skip
    if tg and decode > 0:
        rows.append({"phase": "decode", "osl": tg, "query_len": 1,
                     "context_len": mean_context(pp, tg),
                     "latency_ms": s_to_ms(batch / decode), **common})  # fmt: skip
    return rows


def _averages(
    single: list[re.Match[str]], means: list[re.Match[str]]
) -> dict[str, tuple[float, float]]:
    if not (single and means):
        return {}
    return {
        f"average {name}": (
            float(means[-1][key]), sum(float(trial[key]) for trial in single) / len(single),
        )
        for name, key in (("prompt_tps", "pp"), ("generation_tps", "tg"))
    }  # fmt: skip
