"""Models from files: a ``config.json``, a folder that holds one, a known name, a hub id.

Nothing here needs a table library: a prediction from a configuration starts in a fraction of a
second.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lengthwise.data.law_files import WHAT, law_kind
from lengthwise.data.limits import CONFIG as CONFIG_SIZE
from lengthwise.data.model_hub import CONFIG, QUANTISED, config_from_hub
from lengthwise.data.opening import read_text
from lengthwise.data.parsing import parse_json
from lengthwise.domain.model import ModelSpec, find_model
from lengthwise.domain.model_config import parse_config
from lengthwise.errors import FileFormatError, InputError


def load_model(name_or_path: str | os.PathLike[str]) -> ModelSpec:
    """Find a model: a file, a folder with ``config.json``, a known name, or a hub id.

    A path that exists wins over a name, a known name over the hub. The hub is asked only when
    ``huggingface_hub`` is installed (:mod:`lengthwise.data.model_hub`).

    Parameters
    ----------
    name_or_path
        ``config.json`` or its folder, a name such as ``llama3.1-8b``, or ``organisation/name``.

    Returns
    -------
    ModelSpec
        The model.

    Raises
    ------
    InputError
        If nothing of that name is found, or what is found is no decoder's configuration.

    Examples
    --------
    >>> load_model("meta-llama/Llama-3.1-8B-Instruct-FP8").weight_format
    'fp8'
    """
    text = os.fspath(name_or_path)
    if not text.strip():
        raise InputError("a model needs a name or a path", got=repr(text), remedy=_remedy(text))
    path = Path(text)
    if path.is_dir():
        return read_config(path / CONFIG)
    if path.exists():
        return read_config(path)
    if path.suffix == ".json" or text.startswith((".", "~", os.sep)):
        remedy = "check the path, or give a name from the catalogue"
        raise InputError("the model's config.json must exist", got=text, remedy=remedy)
    found = find_model(text)
    return found if found is not None else _from_hub(text)


def read_config(path: str | os.PathLike[str]) -> ModelSpec:
    """Read one ``config.json``, and ``hf_quant_config.json`` beside it.

    Parameters
    ----------
    path
        The file; its name, or that of its folder, names the model.

    Returns
    -------
    ModelSpec
        The model.

    Examples
    --------
    >>> import json, tempfile
    >>> sizes = {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 100,
    ...          "num_attention_heads": 4, "intermediate_size": 128}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "tiny.json")
    ...     _ = file.write_text(json.dumps(sizes))
    ...     read_config(file).parameters
    81920.0
    """
    file = Path(path)
    kind = law_kind(file)
    if kind is not None:
        raise FileFormatError("a model is described by its config.json",
                              got=f"{file}, {WHAT[kind]}",
                              remedy="give laws to lengthwise predict")  # fmt: skip
    config = dict(_read_object(file))
    beside = file.with_name(QUANTISED)
    if "quantization_config" not in config and file.name == CONFIG and beside.is_file():
        section = _read_object(beside).get("quantization")
        if isinstance(section, Mapping):
            config["quantization_config"] = section
    return parse_config(config, _name(file))


def _read_object(path: Path) -> Mapping[str, Any]:
    """Read a JSON object, with errors for people."""
    remedy = "give the config.json as published with the model"
    try:
        value = parse_json(read_text(path, CONFIG_SIZE), path)
    except FileFormatError:
        raise
    except OSError as error:
        got = f"{path}: {error.strerror or error}"
        raise FileFormatError("the model's config.json must be readable", got=got,
                              remedy=remedy) from error  # fmt: skip
    except ValueError as error:
        got = f"{path}: {error!s:.120}"
        raise FileFormatError("a config.json holds one JSON object", got=got,
                              remedy=remedy) from error  # fmt: skip
    if not isinstance(value, Mapping):
        got = f"{path}: a {type(value).__name__}"
        raise FileFormatError("a config.json holds one JSON object", got=got, remedy=remedy)
    return value


def _name(path: Path) -> str:
    """Name a model after its file, or after the folder of a ``config.json``."""
    if path.name != CONFIG:
        return path.stem.split("--")[-1]
    folder = path.absolute().parent
    parts = [part for part in folder.parts if part.startswith("models--")]  # the hub's own cache
    return (parts[-1] if parts else folder.name).split("--")[-1] or "model"


def _from_hub(name: str) -> ModelSpec:
    """Read a configuration from the hub, where that is possible."""
    if name.count("/") != 1:
        raise InputError("the model must be known", got=repr(name), remedy=_remedy(name))
    return read_config(config_from_hub(name, _remedy(name)))


def nearest_models(name: str) -> list[str]:
    """Return the names of the catalogue that are most like a name, the likest first; at most 3.

    >>> nearest_models("lama3.1-8b")[0]
    'llama3.1-8b'
    """
    from lengthwise.domain.catalog import MODELS

    known = [model.name for model in MODELS]
    return get_close_matches(name.lower().rsplit("/", 1)[-1], known, n=3, cutoff=0.5)


def _remedy(name: str) -> str:
    """Say what to do, with the nearest known names."""
    near = nearest_models(name)
    hint = f"did you mean {' or '.join(near)}; else " if near else ""
    return f"{hint}give the path of its config.json; lengthwise models lists what is known"
