"""Engines that run in this process, one per file; a missing one says what to install."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from lengthwise.errors import InputError, pip_install
from lengthwise.measurement.engine import Engine, EngineOptions

ENGINES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "openvino": ("openvino", ("openvino_genai", "gguf"), "openvino"),
    "llamacpp": ("llamacpp", ("xllamacpp", "gguf"), "llamacpp"),
    "transformers": ("hf_transformers", ("torch", "transformers"), "transformers"),
}
"""Module, packages it needs, and the extra that brings them, by name."""


def open_engine(name: str, options: EngineOptions) -> Engine:
    """Load an engine.

    Raises
    ------
    InputError
        If there is no engine of that name, or a package it needs is not installed.

    Examples
    --------
    >>> open_engine("tgi", EngineOptions())
    Traceback (most recent call last):
    lengthwise.errors.InputError: the engine must be one of openvino, llamacpp, transformers...
    """
    if name not in ENGINES:
        raise InputError(
            f"the engine must be one of {', '.join(ENGINES)}, or a URL", got=repr(name),
            remedy="start a server and give its address, for example http://127.0.0.1:8000",
        )  # fmt: skip
    module, packages, extra = ENGINES[name]
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        pinned = "pip install torch==2.13.0; " if "torch" in missing else ""
        raise InputError(
            f"the engine {name} must be installed", got=f"no package {', '.join(missing)}",
            remedy=f"{pinned}{pip_install(extra)}",
        )  # fmt: skip
    opened: Engine = import_module(f"{__name__}.{module}").open_engine(options)
    return opened
