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
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lengthwise.interfaces.cli.config_file import values_for
from lengthwise.interfaces.cli.counts import unscaled
from lengthwise.interfaces.cli.panels import PanelCommand

if TYPE_CHECKING:
    from lengthwise.formulations.step.knobs.base import Knob

KnobSettings = dict[str, float | int | bool | str] | None
"""What a command with knobs gets; None stands for none in calls from Python."""
INDENT = "      "


def with_knobs(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for every knob to a command; its parameter ``knobs`` gets those that were set.

    A knob whose name the command has a parameter for is left to the command. The command line
    builds the options when one of them is used; ``command_class`` of the result does so.

    Parameters
    ----------
    command
        Function with typer annotations and a parameter ``knobs``.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for p in signature.parameters.values() if p.name != "knobs"
    ]  # fmt: skip

    @wraps(command)
    def plain(**values: Any) -> None:
        command(**values, knobs={})

    class Command(PanelCommand):
        techniques = True

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            known = self.get_params(ctx)
            if _has_other_options([*args, *_as_options(values_for(ctx))], known):
                single = typer.Typer(add_completion=False)
                single.command()(_with_all(command, own))
                whole: Any = typer.main.get_command(single)
                self.params, self.callback = whole.params, whole.callback
            return super().parse_args(ctx, args)

    plain.command_class = Command  # type: ignore[attr-defined]
    return _declare(plain, own)


def _with_all(command: Callable[..., None], own: list[inspect.Parameter]) -> Callable[..., None]:
    """Return a command with all its options."""
    from lengthwise.formulations.step.knobs.registry import knobs, parse_knobs

    taken = {p.name for p in own}
    added = [_parameter(knob) for knob in knobs() if knob.name not in taken]
    lengths = [k.name for k in knobs() if k.unit == "tokens" and k.name not in taken]

    @wraps(command)
    def run(**values: Any) -> None:
        settings = {p.name: values.pop(p.name, None) for p in added}
        settings |= {name: unscaled(text) for name in lengths if (text := settings[name])}
        command(**values, knobs=parse_knobs(settings))

    return _declare(run, [*own, *added])


def _declare(
    function: Callable[..., None], parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """Say which parameters a function of keywords takes, for typer to read."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
    return function


def _as_options(keys: Iterable[str]) -> list[str]:
    """Write the keys of a configuration file as options, underscores as hyphens."""
    return ["--" + key.replace("_", "-") for key in keys]


def _has_other_options(args: list[str], parameters: list[Any]) -> bool:
    """Tell whether words hold an option that is not among the parameters."""
    known = {name for p in parameters for name in (*p.opts, *p.secondary_opts)}
    return any(word.startswith("-") and word.partition("=")[0] not in known for word in args)


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
    from lengthwise.formulations.step.knobs.registry import knobs

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
