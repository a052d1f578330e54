"""Settings of the transformers engine.

``attention``
    ``auto`` (sdpa where the architecture has it), ``sdpa``, ``eager``, ``flash_attention_2``.
``cache``
    ``dynamic``; ``static``, whose decode steps attend over ``max_tokens``; ``none``, which feeds
    the whole sequence again at every step.
``compile``
    1 for ``torch.compile``; with a static cache on a GPU, decode steps become CUDA graphs.
``temperature``
    0 takes the likeliest token, anything above draws one. ``decoding`` says the same in a word:
    ``greedy`` is 0, ``sample`` is 1 where no temperature is given.
``top_k``
    Tokens to draw from, the likeliest; 0 for all.
``beams``
    Beam search when above 1; with a temperature the beams are drawn.
``loop``
    ``step`` times each step alone, ``thesis`` from token to token.
``seed``
    Of weights, prompts and sampling.

Those of ``PER_REQUEST`` can be changed on a loaded model; the others need a load of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lengthwise.errors import InputError
from lengthwise.measurement.engine import EngineOptions
from lengthwise.measurement.settings import read_settings

SETTINGS: dict[str, Any] = {
    "attention": ("auto", "sdpa", "eager", "flash_attention_2"),
    "cache": ("dynamic", "static", "none"), "compile": ("0", "1"),
    "decoding": ("greedy", "sample"), "temperature": 0.0, "top_k": 0, "beams": 1,
    "loop": ("step", "thesis"), "seed": 0,
}  # fmt: skip
PER_REQUEST = ("decoding", "temperature", "top_k", "beams", "loop")


def settings_of(options: EngineOptions) -> dict[str, Any]:
    """Read the settings and refuse those that do not go together.

    >>> settings_of(EngineOptions(settings={"beams": "4"}))["beams"]
    4
    >>> settings_of(EngineOptions(settings={"temperature": "0.7"}))["decoding"]
    'sample'
    """
    given = options.settings
    settings = read_settings("transformers", given, SETTINGS)
    _check(settings)
    if "temperature" not in given:
        settings["temperature"] = 1.0 if settings["decoding"] == "sample" else 0.0
    warm = settings["temperature"] > 0
    if "decoding" in given and warm != (settings["decoding"] == "sample"):
        raise InputError(
            "decoding=greedy has temperature 0, decoding=sample one above",
            got=f"decoding={settings['decoding']}, temperature={settings['temperature']:g}",
            remedy="leave decoding out: the temperature says it",
        )  # fmt: skip
    return settings | {"decoding": "sample" if warm else "greedy"}


def variant(settings: Mapping[str, Any]) -> str:
    """Name the settings that change what a step costs, for the column ``engine_version``.

    Rows measured with different settings are then never fitted together by accident.

    >>> variant({"attention": "eager", "cache": "dynamic", "beams": 4, "seed": 3})
    '+eager.beams4'
    """
    words = [str(settings[name]) for name in ("attention", "decoding", "loop")
             if name in settings and settings[name] != SETTINGS[name][0]]  # fmt: skip
    if settings.get("cache", "dynamic") != "dynamic":
        words.append(f"{settings['cache']}-cache")
    if settings.get("compile") == "1":
        words.append("compile")
    if settings.get("beams", 1) > 1:
        words.append(f"beams{settings['beams']}")
    return "+" + ".".join(words) if words else ""


def columns(settings: Mapping[str, Any]) -> dict[str, float | str]:
    """Give the settings of decoding that are columns of their own, where they are in force.

    >>> columns({"beams": 1, "decoding": "sample", "temperature": 0.7, "top_k": 0})
    {'temperature': 0.7, 'top_k': 0.0}
    """
    found: dict[str, float | str] = {}
    if settings["beams"] > 1:
        found["beams"] = float(settings["beams"])
    if settings["decoding"] == "sample":
        found |= {"temperature": float(settings["temperature"]), "top_k": float(settings["top_k"])}
    return found


def _check(settings: Mapping[str, Any]) -> None:
    if (
        not 0 <= settings["temperature"] < math.inf
        or settings["top_k"] < 0
        or settings["beams"] < 1
    ):
        raise InputError(
            "temperature and top_k must not be negative, beams at least 1",
            got=f"temperature={settings['temperature']}, top_k={settings['top_k']}, "
                f"beams={settings['beams']}", remedy="write temperature=0 for the likeliest token",
        )  # fmt: skip
    if settings["beams"] > 1 and settings["cache"] == "static":
        raise InputError("beam search needs a cache that grows", got="beams > 1 with cache=static",
                         remedy="write cache=dynamic")  # fmt: skip
