"""Progress of a sweep on stderr: one changing line on a terminal, a line per tenth elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lengthwise.interfaces.cli.common import log
from lengthwise.units import format_tokens

if TYPE_CHECKING:
    from lengthwise.measurement.sweep import Progress


class Live:
    """Shows the progress of sweeps.

    Parameters
    ----------
    quiet
        Show nothing.
    sparse
        Show nothing where stderr is no terminal.
    """

    def __init__(self, quiet: bool = False, *, sparse: bool = False) -> None:
        self._tty = sys.stderr.isatty()
        self._quiet, self._tenth = quiet or (sparse and not self._tty), 0

    def __call__(self, progress: Progress) -> None:
        """Show one finished visit."""
        if self._quiet:
            return
        shape, kind = progress.visit.shape, "warm-up" if progress.visit.repeat < 0 else "point"
        text = (
            f"{progress.done}/{progress.count} {kind} {format_tokens(shape.isl)} x "
            f"{shape.batch_size}: prefill {progress.prefill_ms:.3g} ms, decode "
            f"{progress.decode_ms:.3g} ms; {progress.elapsed_s:.0f} s, {progress.left_s:.0f} s left"
        )
        if self._tty:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            if progress.done == progress.count:
                self.end()
        elif progress.done * 10 // progress.count != self._tenth:
            self._tenth = progress.done * 10 // progress.count
            log(text)

    def end(self) -> None:
        """Clear the line."""
        if self._tty and not self._quiet:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
