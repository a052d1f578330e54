"""Defaults of options from a file, for deployments one asks about again and again.

::

    # lengthwise.toml
    [deployment]             # of predict, explain and suggest
    model = "llama3.1-8b"
    hardware = "h100_sxm"
    tp = 2

    [predict]                # options of one command
    isl = "8k"
    osl = 256

``lengthwise.toml`` of the working directory is read, or the file named by ``--config``. Words of
the command line come first. What was taken from the file is said on stderr.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lengthwise.data.limits import TOML
from lengthwise.data.opening import read_text
from lengthwise.data.parsing import parse_toml
from lengthwise.errors import FileFormatError, InputError

NAME = "lengthwise.toml"
DEPLOYMENT = (
    "model", "hardware", "engine", "engine_version", "precision", "kv_precision", "tp", "pp", "ep",
    "dp",
)  # fmt: skip
TAKING_DEPLOYMENT = ("predict", "explain", "suggest")
_SOURCE = "lengthwise.config"


def load_config(path: Path | None, commands: Sequence[str]) -> tuple[Path, dict[str, Any]] | None:
    """Read a configuration file; without a path that of the working directory, if there is one.

    Parameters
    ----------
    path
        The file, or None.
    commands
        Names of the commands, which tables may have.

    Returns
    -------
    path, tables
        The file and its tables; None without a file.

    Raises
    ------
    FileFormatError
        If the file cannot be read or is not TOML.
    InputError
        If a table is not named like a command, or the deployment has an unknown label.
    """
    file = Path(NAME) if path is None else path
    if path is None and not file.is_file():
        return None
    try:
        tables = parse_toml(read_text(file, TOML), file)
    except FileFormatError:
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise FileFormatError("a configuration file must be readable TOML", got=f"{file}: {why}",
                              remedy="see lengthwise --help, or leave --config out",
                              ) from None  # fmt: skip
    for name, table in tables.items():
        _check_name(
            name, ("deployment", *commands), f"a table of {file} must be named like a command"
        )
        if not isinstance(table, dict):
            raise InputError(f"{file} has options in tables", got=f"{name} outside a table",
                             remedy=f"write [predict] above {name} = ...")  # fmt: skip
    for name in tables.get("deployment", {}):
        _check_name(name, DEPLOYMENT, f"a key of [deployment] in {file} must be a label")
    return file, tables


def use_config(ctx: Any, loaded: tuple[Path, dict[str, Any]] | None) -> None:
    """Hand the tables to the commands of a context."""
    if loaded is not None:
        ctx.meta[_SOURCE] = loaded


def values_for(ctx: Any) -> dict[str, Any]:
    """Return what the file says of a command: its options, and the deployment if it takes one."""
    loaded = ctx.meta.get(_SOURCE)
    if loaded is None:
        return {}
    _, tables = loaded
    deployment = tables.get("deployment", {}) if ctx.info_name in TAKING_DEPLOYMENT else {}
    return {**deployment, **tables.get(ctx.info_name, {})}


def check_keys(
    values: Mapping[str, Any], command: str | None, parameters: Sequence[Any]
) -> dict[str, Any]:  # fmt: skip
    """Return values by the names of the parameters of a command.

    Keys are options without their hyphens (``batch-size``, ``batch_size``, ``json``).

    Raises
    ------
    InputError
        If a key is no option of the command.
    """
    names = {key: p.name for p in parameters if p.name != "help" for key in _keys(p)}
    found = {}
    for key, value in values.items():
        plain = key.replace("-", "_")
        _check_name(plain, tuple(names), f"a key of [{command}] must be an option of it")
        found[names[plain]] = value
    return found


def say_taken(ctx: Any) -> None:
    """Say on stderr which options the file decided."""
    if not ctx.default_map or ctx.resilient_parsing:
        return
    taken = [
        f"{name.replace('_', '-')} {value}" for name, value in ctx.default_map.items()
        if getattr(ctx.get_parameter_source(name), "name", "") == "DEFAULT_MAP"
    ]  # fmt: skip
    if taken:
        from lengthwise.interfaces.cli.common import log

        log(f"note: from {ctx.meta[_SOURCE][0]}: {', '.join(taken)}")


def _keys(parameter: Any) -> Iterator[str]:
    yield parameter.name
    yield from (option.lstrip("-").replace("-", "_") for option in parameter.opts)


def _check_name(name: str, known: Sequence[str], rule: str) -> None:
    if name not in known:
        close = get_close_matches(name, known, n=1)
        remedy = f"did you mean {close[0]}" if close else f"one of {', '.join(known)}"
        raise InputError(rule, got=name, remedy=remedy)
