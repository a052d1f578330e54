"""Configurations of models from the Hugging Face hub, or a mirror of it (``HF_ENDPOINT``)."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from lengthwise.errors import InputError, MissingExtraError

CONFIG, QUANTISED = "config.json", "hf_quant_config.json"
"""What describes a model, and what ModelOpt writes beside it about its weights."""


def config_from_hub(name: str, remedy: str) -> Path:
    """Fetch the configuration of ``organisation/name``, weights are left where they are.

    The hub's own client keeps what it fetched, follows ``HF_ENDPOINT``, ``HF_TOKEN`` and
    ``HF_HUB_OFFLINE``, and answers from its cache without a network.

    Parameters
    ----------
    name
        Id on the hub.
    remedy
        What to do otherwise.

    Returns
    -------
    Path
        ``config.json`` in the cache, ``hf_quant_config.json`` beside it if there is one.

    Raises
    ------
    InputError
        If the hub does not know the model, keeps it behind a gate, or does not answer.
    """
    try:
        hub: Any = import_module("huggingface_hub")
        errors: Any = import_module("huggingface_hub.errors")
        constants: Any = import_module("huggingface_hub.constants")
    except ImportError:
        install = MissingExtraError("huggingface_hub", "hub").remedy
        raise InputError("the model must be known", got=f"{name!r}, and no client of the hub",
                         remedy=f"{remedy}; or {install} to ask the hub") from None  # fmt: skip
    cached = not _reachable(str(constants.ENDPOINT))
    try:
        path = Path(hub.hf_hub_download(name, CONFIG, local_files_only=cached))
    except Exception as error:  # offline, gated, no such model: all kinds of classes
        why = f"{constants.ENDPOINT} cannot be found" if cached else f"the hub says: {_said(error)}"
        got = f"{name!r}, and {why}"
        raise InputError("the model must be known", got=got, remedy=remedy) from error
    try:
        hub.hf_hub_download(name, QUANTISED, local_files_only=cached)
    except (errors.EntryNotFoundError, errors.LocalEntryNotFoundError):
        pass
    except Exception as error:
        raise InputError("the whole description of a model must be readable",
                         got=f"{QUANTISED} of {name!r}, and the hub says: {_said(error)}",
                         remedy="try again") from error  # fmt: skip
    return path


def _reachable(endpoint: str) -> bool:
    """Whether the hub's name has an address: the client would try for half a minute to find one.

    A proxy may know names that this machine does not.
    """
    import socket
    from urllib.parse import urlsplit
    from urllib.request import getproxies

    address = urlsplit(endpoint)
    if getproxies() or not address.hostname:
        return True
    try:
        socket.getaddrinfo(address.hostname, address.port)
    except OSError:
        return False
    return True


def _said(error: Exception) -> str:
    """Give the first line that says something, without the full stop that follows."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{lines[0]:.120}".rstrip(". ") if lines else type(error).__name__
