"""DistServe (Zhong et al. 2024, arXiv 2401.09670): published step-time coefficients, A100-80G.

    prefill  (a + b sum(n) + c sum(n^2)) / pp + pp          n: prompt lengths, tokens
    decode   (a + b sum(c) + c B) / pp                      c: context lengths, B: sequences

The decode line has two sets of coefficients; the second applies from a threshold batch size on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from lengthwise.errors import FileFormatError, InputError

Engine = Literal["distserve", "vllm"]
Coefficients = dict[str, dict[int, dict[str, Any]]]
_SETS = ("prefill", "decoding_smallbs", "decoding_largebs")


def coefficients(folder: Path, engine: Engine = "distserve") -> Coefficients:
    """Read the coefficients of one engine, in milliseconds.

    Parameters
    ----------
    folder
        Folder of the dataset (``lengthwise.data.datasets.fetch("distserve")``).
    engine
        ``distserve`` or ``vllm``: whose step times were fitted.

    Returns
    -------
    dict
        ``{model: {tp: {"prefill": (a, b, c), "decoding_smallbs": (a, b, c),
        "decoding_largebs": (a, b, c), "threshold": int}}}``; a in ms, b in ms/token, c in
        ms/token^2 (prefill) or ms/sequence (decode).

    Raises
    ------
    FileFormatError
        If the folder does not hold the file, or the file is damaged.
    """
    if engine not in ("distserve", "vllm"):
        raise InputError(
            "the engine must be 'distserve' or 'vllm'", got=repr(engine), remedy="use one of them"
        )
    file = folder / f"profiler-a100-80g.{engine}.json"
    try:
        raw = json.loads(file.read_text())
        return {
            model: {int(tp): _entry(entry) for tp, entry in by_tp.items()}
            for model, by_tp in raw.items()
        }
    except OSError as error:
        raise FileFormatError(
            f"the folder must hold {file.name}", got=f"{folder}: {error.strerror}",
            remedy='give the folder that lengthwise.data.datasets.fetch("distserve") returns',
        ) from None  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"{file.name} must map model and tp to coefficients",
            got=f"{type(error).__name__}: {error}", remedy="fetch the dataset again",
        ) from None  # fmt: skip


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    sets: dict[str, Any] = {name: tuple(float(x) for x in entry[name]) for name in _SETS}
    return sets | {"threshold": int(entry["decoding_large_small_bs_threshold"])}
