"""The real ``lengthwise serve`` as a process on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Service:
    """Start, ask and end a service.

    Parameters
    ----------
    state
        Its state directory.
    options
        Further words of the command line.
    """

    def __init__(self, state: Path, *options: str, env: dict[str, str] | None = None,
                 preexec: Callable[[], None] | None = None) -> None:  # fmt: skip
        number, path = tempfile.mkstemp(prefix="serve")
        self._errors, self._told = Path(path), ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lengthwise", "serve", "--port", "0", "--state", str(state),
             "--llm-d", "--train-every", "0.2", *options],
            stdout=subprocess.PIPE, stderr=number, text=True, preexec_fn=preexec,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **(env or {})},
        )  # fmt: skip
        os.close(number)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        found = [word for word in self.line.split() if "://" in word]
        self.url = found[0] if found else ""

    @property
    def errors(self) -> str:
        """What it wrote to stderr so far."""
        if self._errors.exists():
            self._told = self._errors.read_text(errors="replace")
        return self._told

    def ask(self, path: str, body: Any = None, *, raw: bytes | None = None, method: str = "",
            timeout: float = 20.0, **headers: str) -> tuple[int, Any]:  # fmt: skip
        """Send a request; gives status and JSON (or text)."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data=data, headers={"Content-Type": "application/json", **headers},
            method=method or ("GET" if data is None else "POST"),
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return response.status, _parsed(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _parsed(error.read())

    def children(self) -> list[int]:
        """Process ids of its children."""
        path = Path(f"/proc/{self.process.pid}/task")
        found = [(task / "children").read_text().split() for task in path.iterdir()]
        return [int(pid) for part in found for pid in part]

    def end(self) -> int:
        """End it as an operator does; gives the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self._ended()

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self._ended()

    def _ended(self) -> int:
        code = self.process.wait(40)
        if self.process.stdout is not None:
            self.process.stdout.close()
        _ = self.errors  # kept when the file goes
        self._errors.unlink(missing_ok=True)
        return code


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def until(holds: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait until something holds; gives it, or the last answer."""
    end = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def alive(pid: int) -> bool:
    """Whether a process runs (zombies do not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False
