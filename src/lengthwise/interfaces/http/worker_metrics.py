"""Metrics of several workers added up: a scrape reaches only one of them.

Each worker lays its text where the others find it, every few seconds and when it ends; the one that
is asked adds what all have laid down. What a worker counted stays when it ends, so that counters do
not fall. Files of an earlier service (another parent process) are removed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

from lengthwise.interfaces.http.metrics import number

EVERY_S = 2.0


class WorkerMetrics:
    """Adds the metrics of this worker and its siblings.

    Parameters
    ----------
    own
        Gives the lines of this worker, HELP and TYPE included.
    folder
        Where the workers lay their lines; None: there is only this one.
    """

    def __init__(self, own: Callable[[], list[str]], folder: Path | None) -> None:
        self._own, self._folder = own, folder
        self._stop = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to share, in a thread of its own."""
        if self._folder is not None and self._thread is None:
            self._thread = Thread(target=self._run, name="metrics", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Share for the last time."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def lines(self) -> list[str]:
        """Lines of all workers, added up."""
        if self._folder is None:
            return self._own()
        self._share()
        texts = []
        for path in sorted(self._folder.glob(f"{os.getppid()}-*.prom")):
            with suppress(OSError, ValueError):
                texts.append(path.read_text(encoding="utf-8").splitlines())
        return added(texts) if texts else self._own()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._share()
        self._share()

    def _share(self) -> None:
        """Lay down the lines; a folder that cannot be written only costs the sum."""
        assert self._folder is not None
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            for path in self._folder.glob("*.prom"):
                if not path.name.startswith(f"{os.getppid()}-"):
                    path.unlink(missing_ok=True)
            draft = self._folder / f"{os.getpid()}.draft"
            draft.write_text("\n".join(self._own()), encoding="utf-8")
            draft.replace(self._folder / f"{os.getppid()}-{os.getpid()}.prom")


def added(texts: Iterable[list[str]]) -> list[str]:
    """Add samples of the same name and labels; a metric's HELP and TYPE stay in front of it.

    >>> added([["# TYPE a counter", "a 1"], ["# TYPE a counter", "a 2", 'a{b="c"} 1']])
    ['# TYPE a counter', 'a 3', 'a{b="c"} 1']
    """
    families: dict[str, list[str]] = {}
    sums: dict[str, dict[str, float]] = {}
    for lines in texts:
        name = ""
        for line in lines:
            if line.startswith("#"):
                name = line.split(" ", 3)[2]
                if line not in families.setdefault(name, []):
                    families[name].append(line)
            elif line:
                key, _, value = line.rpartition(" ")
                family = sums.setdefault(name, {})
                with suppress(ValueError):  # a file that is damaged: its other lines count
                    family[key] = family.get(key, 0.0) + float(value)
    return [
        line
        for name, heads in families.items()
        for line in (*heads, *(f"{key} {number(v)}" for key, v in sums.get(name, {}).items()))
    ]
