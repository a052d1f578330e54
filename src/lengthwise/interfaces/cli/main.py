"""The ``lengthwise`` command.

Commands are listed in ``COMMANDS`` with their help and imported on use, so that ``--help`` costs
nothing. The module of a command exposes either

- ``command``: a function with typer annotations, whose docstring is the help text (a paragraph
  with indented lines, such as examples, is shown as written), or
- ``app``: a ``typer.Typer`` with subcommands of its own.

A command prints its result to stdout and everything else to stderr, and raises
:class:`~lengthwise.errors.LengthwiseError` for anything the user can mend. Exit codes: 0 done,
1 nothing usable, 2 usage or bad input, 3 a gate was not met, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import gc
import inspect
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO

import typer
from typer.core import TyperGroup

from lengthwise import __version__
from lengthwise.errors import InputError, LengthwiseError, shown
from lengthwise.interfaces.cli.config_file import NAME, load_config, use_config
from lengthwise.interfaces.cli.guard import guard, needs_guard
from lengthwise.interfaces.cli.interrupts import watch
from lengthwise.interfaces.cli.outputs import INTERRUPTED, running_command
from lengthwise.interfaces.cli.streams import tolerate

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "See it work: fit on short prompts, predict long ones, show the error."),
    "measure": ("measure", "Time an engine in this process or a server."),
    "import": ("importing", "Turn a file of timings into a checked measurement table."),
    "export": ("export", "Write a table as reports of other tools (llm-d)."),
    "study": ("study", "Repeat a published protocol on your own measurements."),
    "data": ("datasets", "List, fetch and read public measurements."),
    "fit": ("fit", "Learn a law from a measurement table."),
    "predict": ("predict", "Predict times, with intervals, at any length."),
    "explain": ("explain", "Where the time goes: operators, limits, techniques, what-if."),
    "models": ("models", "List the models that are known by name."),
    "hardware": ("hardware", "List the processors that are known by name."),
    "suggest": ("suggest", "Say what to measure next."),
    "evaluate": ("evaluate", "Score formulations on lengths they have not seen."),
    "compare": ("compare", "Compare two laws or two tables."),
    "report": ("report", "Write a self-contained HTML report."),
    "serve": ("serve", "Predict over HTTP and learn from live traffic; drop-in for llm-d."),
    "doctor": ("doctor", "Check this machine: engines, memory bandwidth, arithmetic rate."),
}
"""Module (in this package) and one line of help of each command."""

COMPLETING = "_LENGTHWISE_COMPLETE"
"""Variable by which a shell asks for the words that may follow."""

_Context = Any  # typer keeps its own copy of click from 0.20 on, so the class has two homes


class LazyGroup(TyperGroup):
    """Group that knows the names of its commands without importing their modules."""

    def list_commands(self, ctx: _Context) -> list[str]:
        """List the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: _Context, cmd_name: str) -> Any:
        """Import a command; an unknown name is answered with the nearest one."""
        if cmd_name not in COMMANDS:
            close = get_close_matches(cmd_name, COMMANDS, n=1)
            raise InputError(
                f"the command must be one of {', '.join(COMMANDS)}", got=repr(cmd_name),
                remedy=f"did you mean {close[0]}" if close else "see lengthwise --help",
            )  # fmt: skip
        return _load(cmd_name)

    def format_commands(self, ctx: _Context, formatter: Any) -> None:
        """Write the list of commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: _Context) -> Any:
        """Run the command; an interrupt ends with the exit code shells expect."""
        with running_command():
            return super().invoke(ctx)


def _load(name: str) -> Any:
    module_name = f"{__package__}.{COMMANDS[name][0]}"
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise InputError(
            "the command must be part of this version", got=name, remedy="upgrade lengthwise"
        ) from None
    if hasattr(module, "app"):
        module.app.rich_markup_mode = None
        return typer.main.get_group(module.app)
    from lengthwise.interfaces.cli.panels import PanelCommand

    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    made_by = getattr(module.command, "command_class", PanelCommand)
    single.command(name, cls=made_by, help=help_of(module.command))(module.command)
    return typer.main.get_command(single)


def help_of(function: Callable[..., Any]) -> str:
    """Give the docstring as help; paragraphs with indented lines keep their line breaks."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join("\b\n" + part if "\n " in part else part for part in paragraphs)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"lengthwise {__version__}")
        raise typer.Exit


def main(
    ctx: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", help=f"Defaults of options; {NAME} of this folder when left out."),
    ] = None,
) -> None:
    """Predict how long a large language model takes to answer, at lengths nobody measured.

    Start with: lengthwise demo

    Complete words with Tab: lengthwise --install-completion
    """
    use_config(ctx, load_config(config, tuple(COMMANDS)))


def application(*, completion: bool = False) -> typer.Typer:
    """Make the command line, with what completes words in a shell when it is asked for."""
    made = typer.Typer(
        cls=LazyGroup, rich_markup_mode=None, add_completion=completion,
        pretty_exceptions_enable=False, no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )  # fmt: skip
    made.callback()(main)
    return made


app = application()


def run(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code; ``args`` default to those of the process."""
    words = list(sys.argv[1:] if args is None else args)
    options = words[: words.index("--")] if "--" in words else words
    debug = "--debug" in options
    if debug:
        words.remove("--debug")  # accepted before and after the command alike
    else:
        warnings.showwarning = _show_warning
    words = _config_first(words)
    if args is not None:
        sys.exit(_exit_code(words, debug))
    if needs_guard(words):
        ended = guard()
        if ended is not None:
            sys.exit(ended)
    gc.set_threshold(100_000, 50, 50)  # modules and fits stay: looking often costs 5 % of a report
    tolerate()
    watching = watch()
    code = _exit_code(words, debug)
    gc.freeze()  # the process ends: looking for garbage once more would take 0.1 s
    sys.exit(watching.code(code))


def _exit_code(words: list[str], debug: bool) -> int:
    try:
        try:
            (application(completion=True) if _is_completion(words) else app)(
                words, prog_name="lengthwise"
            )
        except SystemExit as ended:
            sys.stdout.flush()
            return ended.code if isinstance(ended.code, int) else 1
    except KeyboardInterrupt:
        return _said("interrupted", INTERRUPTED)
    except LengthwiseError as error:
        if debug:
            traceback.print_exc()
            return error.exit_code
        return _said(f"error: {error}", error.exit_code)
    except Exception as error:
        if debug:
            traceback.print_exc()
            return 1
        what = f"{type(error).__name__}: {str(error)[:300]}"
        return _said(f"error: unexpected {what}\nRun again with --debug for the traceback.", 1)
    return 0


def _config_first(words: list[str]) -> list[str]:
    """Move ``--config FILE`` before the command, so that it is accepted after it as well.

    >>> _config_first(["predict", "--isl", "8k", "--config", "a.toml"])
    ['--config', 'a.toml', 'predict', '--isl', '8k']
    """
    end = words.index("--") if "--" in words else len(words)
    at = next((i for i, word in enumerate(words[:end]) if word.split("=")[0] == "--config"), None)
    if at is None:
        return words
    taken = words[at : at + (1 if "=" in words[at] else 2)]
    return [*taken, *words[:at], *words[at + len(taken) :]]


def _is_completion(words: list[str]) -> bool:
    return COMPLETING in os.environ or words[:1] in (
        ["--install-completion"],
        ["--show-completion"],
    )


def _said(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int,
    file: TextIO | None = None, line: str | None = None,
) -> None:  # fmt: skip
    print(f"warning: {shown(message, 1500)}", file=file or sys.stderr)
