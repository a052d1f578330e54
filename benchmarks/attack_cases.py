"""The attacks of :mod:`attack`: what is sent, and to which service."""

from __future__ import annotations

import http.client
import json
import random
import shutil
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from serve_faults_common import P, body_of, rows

from lengthwise.interfaces.service.sqlite_store import SqliteStore
from lengthwise.interfaces.service.store import Observed

MB = 1 << 20
SEEN = {**P, "actual_ttft_ms": 80.0, "actual_tpot_ms": 9.0}
HOST = b"host: localhost\r\n"
ADD, BULK, STRICT = "/add_training_data_bulk", "/predict/bulk", "/predict/bulk/strict"
UNITS = {"lists": b"[],", "objects": b"{},", "numbers": b"1.5,", "texts": b'"ab12",',
         "rows inside": b'{"a":[{},{}]},', "cuts in texts": b'"},{",'}  # fmt: skip


@dataclass
class Target:
    """A running service, and what it answered."""

    port: int
    pid: int
    children: Callable[[], list[int]]
    statuses: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    trainer_mb: float = 0.0
    trainers: set[int] = field(default_factory=set)

    def note(self) -> None:
        """Note the memory of the trainer: it may be another process the next time."""
        for pid in self.children():
            with suppress(OSError, IndexError):
                text = Path(f"/proc/{pid}/status").read_text()
                self.trainers.add(pid)
                peak = int(text.split("VmHWM:")[1].split()[0]) / 1024
                self.trainer_mb = max(self.trainer_mb, peak)

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> bytes:
        """Send a request."""
        self.sent += len(body or b"")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request("GET" if body is None else "POST", path, body, headers)
            response = connection.getresponse()
            self.statuses[str(response.status)] += 1
            return response.read()
        except OSError as error:
            self.statuses[type(error).__name__] += 1
            return b""
        finally:
            connection.close()
            self.note()

    def raw(self, parts: Iterator[bytes] | Sequence[bytes]) -> None:
        """Send bytes until the service closes, and read what it says."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as link:
            with suppress(OSError):
                for part in parts:
                    link.sendall(part)
                    self.sent += len(part)
            with suppress(OSError):
                link.shutdown(socket.SHUT_WR)
                self.statuses[(link.recv(64)[9:12] or b"closed").decode()] += 1

    def together(self, calls: Sequence[Callable[[], object]]) -> None:
        """Do several things at the same time."""
        with ThreadPoolExecutor(len(calls)) as threads:
            for call in [threads.submit(call) for call in calls]:
                call.result()


def _row(row: dict[str, object], junk: bytes) -> bytes:
    return json.dumps(row).encode()[:-1] + b',"x":' + junk + b"}"


def keys(t: Target) -> None:
    for i in range(12):
        for path, row in (("/predict", P), ("/v1/predict", {"input_tokens": 5})):
            for size in (60_000, 15 * MB):
                name = b'{"%06d' % i + b"k" * size + b'":1,'
                t.ask(path, name + json.dumps(row).encode()[1:])
                t.ask(STRICT, b'{"requests":[' + name + json.dumps(P).encode()[1:] + b"]}")


def junk(t: Target) -> None:
    for unit in UNITS.values():
        for size in (60_000, 250_000, 15 * MB):
            text = b"[" + (unit * (size // len(unit)))[:-1] + b"]"
            for body in (_row(P, text), b'{"requests":[' + _row(P, text) + b"]}",
                         b'{"x":' + text + b',"requests":[' + json.dumps(P).encode() + b"]}",
                         b'{"requests":' + text + b"}"):  # fmt: skip
                t.ask(STRICT, body)
            t.ask("/v1/predict", b'{"input_tokens":5,"x":' + text + b"}")
            t.ask("/v1/observe", b'{"observations":[' + _row({"input_tokens": 5}, text) + b"]}")


def echo(t: Target) -> None:
    text = b'"' + b"a" * (15 * MB) + b'"'
    for path in ("/predict", STRICT, "/v1/predict", "/v1/observe", ADD, "/flush"):
        for key in (b"rows", b"requests", b"entries", b"x"):
            t.ask(path, b'{"' + key + b'":' + text + b"}")
            t.ask(path, b'{"' + key + b'":[' + b'{"x":"' + b"a" * 16_000 + b'"},' * 900 + b"{}]}")


def bodies(t: Target) -> None:
    """Sixteen large bodies of honest rows at once, to predict and to observe."""
    good = rows(1, random.Random(1))[0]
    row = json.dumps({**good, "pod": "p" * 200}).encode()
    many = b"[" + b",".join([row] * (14 * MB // len(row))) + b"]"
    few = b"[" + b",".join([json.dumps(P).encode()] * 9900) + b"]"
    calls: list[Callable[[], object]] = []
    for _ in range(8):
        calls.append(lambda: t.ask(ADD, b'{"entries":' + many + b"}"))
        calls.append(lambda: t.ask(STRICT, b'{"requests":' + few + b"}"))
    t.together(calls)


def quantiles(t: Target) -> None:
    """Ten thousand rows with twenty quantiles each, eight times at once; then small ones."""
    asked = ",".join(f"0.{i}" for i in range(11, 31))
    path = "/v1/predict?quantiles=" + asked
    body = b'{"rows":[' + b",".join([b'{"input_tokens":1}'] * 10_000) + b"]}"
    t.together([lambda: t.ask(path, body)] * 8)
    small = b'{"rows":[' + b",".join([b'{"input_tokens":"1"}'] * 3000) + b"]}"
    for _ in range(5):
        t.ask(path, small)


def observed(t: Target) -> None:
    """Rows with junk, many rows, rows that are set aside, and the list of those."""
    text = b'"' + b"j" * (15 * MB) + b'"'
    for _ in range(8):
        t.ask(ADD, b'{"entries":[' + _row(SEEN, text) + b"]}")
        t.ask(ADD, b'{"entries":[' + _row(SEEN, b'"' + b"j" * 15_000 + b'"') + b"]}")
    bad = json.dumps({**SEEN, "actual_ttft_ms": 1e9, "pod_type": "q" * 250}).encode()
    for _ in range(6):
        t.ask(ADD, b'{"entries":[' + b",".join([bad] * (14 * MB // len(bad))) + b"]}")
    time.sleep(8)
    t.ask("/v1/quarantine?limit=1000")
    t.ask("/data/status")
    t.ask("/v1/status")


def laws(t: Target) -> None:
    for unit in UNITS.values():
        for size in (250_000, 3 * MB, 15 * MB):
            text = b"[" + (unit * (size // len(unit)))[:-1] + b"]"
            t.ask("/v1/laws/import", b'{"kind":"online","x":' + text + b"}")
            t.ask("/flush", b'{"reason":' + text + b"}")


def heads(t: Target) -> None:
    head = b"GET /healthz HTTP/1.1\r\n" + HOST
    chunked = b"POST /v1/predict HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n"
    block = b"a" * MB
    lines = b"".join(b"x%d: %s\r\n" % (i, b"b" * 1000) for i in range(1000))
    for first, unit in ((head + b"x: ", block), (head, lines), (b"GET /", block),
                        (b"GET /?", block), (chunked + b"0\r\nx: ", block),
                        (chunked + b"1;x=", block), (chunked + b"0\r\n", lines)):  # fmt: skip
        for _ in range(3):
            t.raw([first, *[unit] * 40])
    t.raw([(head + b"\r\n") * 5000] * 10)
    t.raw([b"FROB / HTTP/1.1\r\n\r\n"])


def slow(t: Target) -> None:
    """Dripping heads and bodies, three thousand idle connections, answers that nobody takes."""
    post = b"POST /v1/predict HTTP/1.1\r\n" + HOST + b"content-length: 1000\r\n\r\n{"
    links = []
    for i in range(200):
        link = socket.create_connection(("127.0.0.1", t.port))
        link.sendall(b"GET /healthz HTTP/1.1\r\nx: " if i % 2 else post)
        links.append(link)
    for _ in range(3000):
        with suppress(OSError):
            links.append(socket.create_connection(("127.0.0.1", t.port)))
    big = b'{"rows":[' + b",".join([b'{"input_tokens":1}'] * 9000) + b"]}"
    asked = b"POST /v1/predict?quantiles=0.1,0.2,0.3,0.4 HTTP/1.1\r\n" + HOST
    for _ in range(60):
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.connect(("127.0.0.1", t.port))
        with suppress(OSError):
            link.sendall(asked + b"content-length: %d\r\n\r\n" % len(big) + big)
            t.sent += len(big)
        links.append(link)
    for _ in range(18):
        for link in links[:200]:
            with suppress(OSError):
                link.sendall(b"a")
        time.sleep(2.0)
        t.ask("/readyz")
    for link in links:
        link.close()


def guesses(t: Target) -> None:
    for i in range(1000):
        t.ask("/v1/status", Authorization=f"Bearer guess{i}", Host="127.0.0.1")
        t.ask("/v1/observe", b'{"input_tokens":5,"ttft_ms":9}', Host="evil.example")


def nothing(t: Target) -> None:
    time.sleep(2.0)


def _old_state(state: Path) -> None:
    """Bodies as they were sent, which earlier releases kept: junk beside a row, and many rows."""
    store = SqliteStore(state)
    lists = b"[" + b"[]," * (20 * MB) + b"0]"
    for body, count in ((b'{"entries":[' + _row(SEEN, lists) + b"]}", 1),
                        (b'{"entries":[' + _row(SEEN, b'"' + b"j" * (60 * MB) + b'"') + b"]}", 1),
                        (body_of(rows(60_000, random.Random(3))), 60_000)):  # fmt: skip
        for _ in range(2):
            store.submit(Observed(body, count)).result()
    store.close()


@dataclass
class Case:
    """An attack."""

    what: str
    run: Callable[[Target], None]
    options: tuple[str, ...] = ()
    learns_s: float = 1.0
    before: Callable[[Path], None] | None = None
    place: Path | None = None

    def prepared(self) -> Path | None:
        """Make the state it begins with; None: a new one."""
        if self.before is None:
            return None
        self.place = Path(tempfile.mkdtemp(prefix="attack"))
        self.before(self.place / "state")
        return self.place / "state"

    def removed(self) -> None:
        """Remove that state."""
        if self.place is not None:
            shutil.rmtree(self.place, ignore_errors=True)


CASES = {
    "nothing": Case("no attack, for comparison", nothing),
    "keys": Case("names of fields of up to 15 MB, each another", keys),
    "junk": Case("lists, objects, numbers and texts where none belong", junk),
    "junk_64": Case("the same with --max-body of 64 MiB", junk, ("--max-body", str(64 * MB))),
    "echo": Case("long texts that an error might repeat", echo),
    "bodies": Case("sixteen large bodies of rows at once", bodies, learns_s=20.0),
    "quantiles": Case("200,000 quantiles wanted of a body, eight bodies at once", quantiles),
    "observed": Case("junk and impossible times among observations", observed, learns_s=15.0),
    "laws": Case("junk for a law", laws),
    "heads": Case("heads, trailers, extensions and pipelines without an end", heads),
    "slow": Case("3,200 slow or idle connections, answers that nobody takes", slow),
    "guesses": Case("wrong tokens and names of other hosts", guesses, ("--token", "w:write")),
    "old_state": Case("a state with bodies of 60 MB as they were sent", nothing, learns_s=25.0,
                      before=_old_state),
}  # fmt: skip
