"""Run commands in this process: a JSON list of words a line in, one JSON result a line out.

Of each command: exit code, CPU seconds, peak of resident memory in MB, and what was not expected.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import signal
import sys
import time
import traceback
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from lengthwise.errors import LengthwiseError
from lengthwise.interfaces.cli import main as cli

LIMIT_S = 20
"""CPU seconds after which a command counts as hung."""
MEMORY_BYTES = 6 << 30


class Hang(BaseException):
    """A command takes too long."""


def _hung(*_: object) -> None:
    raise Hang


def _show(message: Warning | str, category: type[Warning], filename: str, lineno: int,
          file: TextIO | None = None, line: str | None = None) -> None:  # fmt: skip
    print(f"warning: {message}", file=sys.stderr)


def run(words: list[str]) -> dict[str, Any]:
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the command before
    out, err = io.StringIO(), io.StringIO()
    found: dict[str, Any] = {"code": 0, "what": ""}
    start = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    signal.alarm(20 * LIMIT_S)  # nothing happens at all
    try:
        with redirect_stdout(out), redirect_stderr(err):
            cli.app(words, prog_name="lengthwise")
    except SystemExit as ended:
        found["code"] = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except LengthwiseError as error:
        found["code"], found["what"] = error.exit_code, str(error)[:200]
    except Hang:
        found["code"], found["what"] = "hang", _place()
    except BaseException as error:
        found["code"] = "traceback"
        found["what"] = f"{type(error).__name__}: {str(error)[:120]} at {_place()}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    found["cpu_s"] = time.process_time() - start
    status = Path("/proc/self/status").read_text()
    found["peak_mb"] = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024  # type: ignore[index]
    found["out"] = out.getvalue()[:200_000]
    return found


def _place() -> str:
    lines = [line.strip() for line in traceback.format_exc().splitlines()
             if "/lengthwise/" in line]  # fmt: skip
    return lines[-1].partition("/lengthwise/")[2] if lines else ""


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, _hung)
    warnings.showwarning = _show
    os.environ["COLUMNS"] = "120"
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        answers.write(json.dumps(run(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
