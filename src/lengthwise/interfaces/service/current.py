"""The law a worker answers from, kept fresh by a thread of its own.

The law is replaced by one assignment, so a request sees the old or the new one, never a mixture.
When the source is away the last good law stays; it is also kept in a file, so that a worker that
starts meanwhile has it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from lengthwise.errors import ArtifactError, InputError, LengthwiseError
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.interfaces.service.law_source import Found, HttpSource, LawSource, StoreSource
from lengthwise.interfaces.service.seal import seal, unseal
from lengthwise.interfaces.service.settings import ServiceSettings
from lengthwise.interfaces.service.store import Store

KEEP_EVERY_S = 30.0
"""The file of the last good law is written at most this often."""


class CurrentLaw:
    """See the module.

    Parameters
    ----------
    source
        Where the law comes from.
    first
        Law to answer from until the source gives one.
    keep
        File of the last good law; None: not kept.
    every_s
        Seconds between looks.

    Attributes
    ----------
    law
        The law to answer from.
    loaded_s
        When it was loaded (Unix time); None while it is the prior.
    problem
        Why the last look failed, "" when it did not.
    """

    def __init__(
        self, source: LawSource, *, first: OnlineLaw | None = None, keep: Path | None = None,
        every_s: float = 1.0,
    ) -> None:  # fmt: skip
        self.law = first or OnlineLaw.cold()
        self.loaded_s: float | None = None
        self.sha256 = ""
        self.problem = ""
        self._source, self._keep, self._every_s = source, keep, every_s
        self._kept_s = 0.0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def ready(self) -> bool:
        """Whether the error of TTFT is known, and of TPOT if any was seen."""
        ready, learnt = self.law.ready, self.law.learnt
        return bool(ready.get("ttft")) and bool(ready.get("tpot") or not learnt.get("tpot"))

    def refresh(self) -> bool:
        """Look once; True when the law was replaced."""
        with self._lock:
            try:
                found = self._source.fetch(self.sha256)
                replaced = found is not None and found.body is not None and self._take(found)
            except LengthwiseError as error:
                self.problem = str(error)
                return False
            except Exception as error:  # the law stays as it is; predictions go on
                self.problem = f"unexpected {type(error).__name__}: {error}"[:300]
                return False
            self.problem = ""
            return replaced

    def start(self) -> None:
        """Load the kept law, look once, then go on in a thread."""
        if self._keep is not None and not self.refresh() and self.loaded_s is None:
            self._load_kept(self._keep)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="law", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.refresh()

    def _take(self, found: Found) -> bool:
        body = found.body or ""
        if sha256(body.encode()).hexdigest() != found.sha256:
            raise ArtifactError("the checksum of a law must fit", got=f"version {found.version}",
                                remedy="the next version replaces it")  # fmt: skip
        self.law = parse_law(body)
        self.sha256, self.loaded_s = found.sha256, time.time()
        if self._keep is not None and time.monotonic() - self._kept_s > KEEP_EVERY_S:
            self._kept_s = time.monotonic()
            with suppress(OSError):  # a full disk does not stop predictions
                _write(self._keep, seal(body))
        return True

    def _load_kept(self, path: Path) -> None:
        try:
            self.law = read_kept(path)
            self.loaded_s = path.stat().st_mtime
        except FileNotFoundError:
            return
        except (OSError, ValueError, RecursionError) as error:
            print(f"warning: the kept law {path} is not used: {error}", file=sys.stderr)


def follow(settings: ServiceSettings, store: Store | None) -> CurrentLaw:
    """Make the current law of a worker: from its store, or from the trainer by HTTP."""
    source: LawSource
    if store is not None:
        source = StoreSource(store)
    else:
        source = HttpSource(settings.trainer_url, settings.trainer_token, settings.http_timeout_s)
    return CurrentLaw(source, first=seed(settings), keep=settings.state / "law.json",
                      every_s=settings.sync_s)  # fmt: skip


def seed(settings: ServiceSettings) -> OnlineLaw | None:
    """Read the law the settings name as the one to begin with."""
    if settings.seed_law is None:
        return None
    try:
        return parse_law(settings.seed_law.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("the seed law must be a readable file",
                         got=f"{settings.seed_law} ({error})",
                         remedy="give a law exported by the service") from None  # fmt: skip


def read_kept(path: Path) -> OnlineLaw:
    """Read the file of the last good law, with its checksum or (of an earlier release) without."""
    return parse_law(unseal(path.read_text(encoding="utf-8"))[0])


def parse_law(body: str) -> OnlineLaw:
    """Read a law; anything odd about it is an ArtifactError."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ArtifactError("a law must be JSON", got=str(error)[:80],
                            remedy="export it again") from None  # fmt: skip
    if not isinstance(data, dict):
        raise ArtifactError("a law must be a JSON object", got=type(data).__name__)
    return OnlineLaw.from_dict(data)


def _write(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(body, encoding="utf-8")
    draft.replace(path)
