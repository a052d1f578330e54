"""What an engine can be set to, told without loading it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from lengthwise.errors import InputError
from lengthwise.measurement.engine import EngineOptions
from lengthwise.measurement.engines import hf_load, hf_settings, llamacpp, openvino
from lengthwise.measurement.random_model.gguf_file import FILE_TYPE
from lengthwise.measurement.settings import read_settings

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "openvino": openvino.SETTINGS,
    "llamacpp": llamacpp.SETTINGS,
    "transformers": hf_settings.SETTINGS,
}
"""Settings of each engine with their defaults; a tuple lists the words allowed."""

PER_REQUEST: Mapping[str, tuple[str, ...]] = {
    "openvino": (),
    "llamacpp": ("temperature",),
    "transformers": hf_settings.PER_REQUEST,
}
"""Settings that belong to a request: the engine's ``adjust`` changes them without a new load."""


def check_options(engine: str, options: EngineOptions) -> None:
    """Refuse what an engine cannot be set to; nothing is loaded.

    Raises
    ------
    InputError
        If a setting or the precision is unknown, or settings do not go together.

    Examples
    --------
    >>> check_options("openvino", EngineOptions(precision="q4_0"))
    Traceback (most recent call last):
    lengthwise.errors.InputError: the precision of openvino must be one of bf16, f32, f16...
    """
    _CHECKS[engine](options)


def _openvino(options: EngineOptions) -> None:
    read_settings("openvino", options.settings, openvino.SETTINGS)
    _one_of("openvino", options.precision, openvino.PRECISIONS)


def _llamacpp(options: EngineOptions) -> None:
    llamacpp.temperature_of(read_settings("llamacpp", options.settings, llamacpp.SETTINGS))
    if not options.model.endswith(".gguf"):
        _one_of("llamacpp", options.precision, tuple(FILE_TYPE))
    elif options.precision is not None:
        raise InputError("the precision of a GGUF file is the file's own",
                         got=f"precision={options.precision} for {options.model}",
                         remedy="leave precision out, or study one file after the other",
                         )  # fmt: skip


def _transformers(options: EngineOptions) -> None:
    settings = hf_settings.settings_of(options)
    hf_load.precision_of(options)
    if find_spec("torch") and find_spec("transformers"):
        hf_load.check_device(options, settings["attention"], settings["compile"] == "1")


def _one_of(engine: str, precision: str | None, known: tuple[str, ...]) -> None:
    if precision is not None and precision not in known:
        raise InputError(f"the precision of {engine} must be one of {', '.join(known)}",
                         got=repr(precision), remedy=f"write {known[0]}")  # fmt: skip


_CHECKS: Mapping[str, Callable[[EngineOptions], None]] = {
    "openvino": _openvino, "llamacpp": _llamacpp, "transformers": _transformers,
}  # fmt: skip
