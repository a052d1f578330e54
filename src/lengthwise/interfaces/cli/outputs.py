"""Outputs of commands: checked before the work, told when written, named when they are not.

While ``-o -`` sends a result to standard output, what a command prints goes to stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from lengthwise.data import output_check
from lengthwise.data.output import is_standard, taking_standard_output
from lengthwise.data.output_check import Source
from lengthwise.data.output_kinds import Kind
from lengthwise.errors import InputError
from lengthwise.interfaces.cli.interrupts import last_words

INTERRUPTED = 130

Force = Annotated[
    bool, typer.Option("--force", help="Replace a file that is there, whatever it holds.")
]


@dataclass
class _Running:
    """What one command still has to write, and what is undone when it ends."""

    undone: ExitStack
    missing: list[Path] = field(default_factory=list)

    def say_missing(self) -> None:
        """Say that the command was interrupted, and what it did not write."""
        lines = [f"interrupted: {path} was not written" for path in self.missing]
        print("\n".join(lines or ["interrupted"]), file=sys.stderr)


_running: ContextVar[_Running | None] = ContextVar("running", default=None)


@contextmanager
def running_command() -> Iterator[None]:
    """Run one command inside: an interrupt names the outputs it left unwritten and exits 130."""
    with ExitStack() as undone:
        running = _Running(undone)
        token = _running.set(running)
        try:
            with last_words(running.say_missing):
                yield
        except KeyboardInterrupt:
            running.say_missing()
            raise SystemExit(INTERRUPTED) from None
        finally:
            _running.reset(token)


def check_output(
    path: Path | None, kind: Kind, *, inputs: Sequence[Source] = (), force: bool = False,
    as_json: bool = False,
) -> None:  # fmt: skip
    """Refuse an output that cannot or must not be written, before the work is done.

    Parameters
    ----------
    path
        Where the result goes; None for nowhere.
    kind
        What is written.
    inputs
        What the command reads.
    force
        Replace a file that is there, whatever it holds.
    as_json
        Whether JSON goes to standard output.

    Raises
    ------
    InputError
        As :func:`lengthwise.data.output_check.check_output`, or if two results go to standard
        output.
    """
    if path is None:
        return
    output_check.check_output(path, kind, inputs=inputs, force=force)
    running = _running.get()
    if running is not None:
        running.missing.append(path)
    if not is_standard(path):
        return
    if as_json:
        raise InputError("standard output takes one result", got=f"--json and the output {path}",
                         remedy="leave one out, or name a file")  # fmt: skip
    if running is not None:
        running.undone.enter_context(taking_standard_output())


def check_folder(
    path: Path | None, names: str, kind: Kind, *, inputs: Sequence[Source] = (),
    force: bool = False,
) -> None:  # fmt: skip
    """Refuse a folder that cannot be made or written to, or files in it that must stay.

    Parameters
    ----------
    names
        Regular expression of the names that will be written; those that are there already must be
        of the ``kind``, or replacing them be asked for.
    """
    if path is None:
        return
    output_check.check_folder(path, names, kind, inputs=inputs, force=force)
    running = _running.get()
    if running is not None and path not in running.missing:
        running.missing.append(path)


def wrote(path: Path, what: str = "", note: str = "") -> None:
    """Say that an output is written, and what of: ``wrote WHAT to PATH NOTE``."""
    running = _running.get()
    if running is not None and path in running.missing:
        running.missing.remove(path)
    if not is_standard(path):
        print(f"wrote {what and f'{what} to '}{path}{note}", file=sys.stderr)


def partly_wrote(path: Path) -> None:
    """Say that an interrupted command left what it has beside the output asked for."""
    wrote(output_check.partial_path(path), "what there was when the command was interrupted")
