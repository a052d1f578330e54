"""Knobs as options of commands: ``--kv-bits 8 --speculative-tokens 3 --disaggregated``.

::

    @with_knobs
    def command(isl: int, knobs: KnobSettings = None) -> None: ...

The command gets ``knobs``, checked settings by name. The options are left out of ``--help``, which
they would fill; ``lengthwise explain --knobs`` lists them.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Annotated, Any

import typer

from lengthwise.formulations.step.knobs.base import Knob, Value
from lengthwise.formulations.step.knobs.registry import knobs, parse_knobs

KnobSettings = dict[str, Value] | None
"""What a command with knobs gets; None stands for none in calls from Python."""
INDENT = "      "


def with_knobs(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every knob; its parameter ``knobs`` gets those that were set.

    A knob whose name the command has a parameter for is left to the command.

    Parameters
    ----------
    command
        Function with typer annotations and a parameter ``knobs``.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.name != "knobs"]
    taken = {p.name for p in own}
    added = [_parameter(knob) for knob in knobs() if knob.name not in taken]

    @wraps(command)
    def run(**values: Any) -> None:
        settings = {p.name: values.pop(p.name, None) for p in added}
        command(**values, knobs=parse_knobs(settings))

    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    parameters = [*keyword, *added]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    return run


def _parameter(knob: Knob) -> inspect.Parameter:
    if knob.kind == "switch":
        negative = knob.option.replace("--", "--no-", 1)
        option = typer.Option(f"{knob.option}/{negative}", hidden=True)
        annotation: Any = Annotated[bool | None, option]
    else:
        annotation = Annotated[str | None, typer.Option(knob.option, hidden=True)]
    return inspect.Parameter(knob.name, inspect.Parameter.KEYWORD_ONLY, default=None,
                             annotation=annotation)  # fmt: skip


def knob_list(columns: int) -> Iterator[str]:
    """Write all knobs, one technique after the other, in so many columns."""
    family = ""
    for knob in knobs():
        if knob.family != family:
            family = knob.family
            yield f"\n{family}"
        unit = f" {knob.unit}" if knob.unit and knob.kind != "text" else ""
        yield f"  {knob.option:<26}{knob.range + unit:<30}{_default(knob)}"
        for text in (knob.changes, "; ".join(knob.sources)):
            yield from textwrap.wrap(text, columns, initial_indent=INDENT, subsequent_indent=INDENT,
                                     break_on_hyphens=False)  # fmt: skip


def _default(knob: Knob) -> str:
    if knob.default is None:
        return knob.unset
    if knob.kind == "switch":
        return f"default {'on' if knob.default else 'off'}"
    value = knob.default
    return f"default {value if isinstance(value, str) else format(value, 'g')}"
