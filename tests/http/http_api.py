"""A server in a process of its own, and a plain client to ask it."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READ = (
    "import json, sys; from pathlib import Path\n"
    "from lengthwise.interfaces.service.settings import ServiceSettings\n"
    "told = json.loads(sys.argv[1]); told['state'] = Path(told['state'])\n"
    "settings = ServiceSettings(**told)\n"
)
START = READ + (
    "from lengthwise.interfaces.service.supervisor import serve\nsys.exit(serve(settings))\n"
)
START_WITHOUT_TRAINER = READ + (
    "from lengthwise.interfaces.service.runtime import Runtime\n"
    "from lengthwise.interfaces.service.server import listen, make_server\n"
    "with listen(settings) as link:\n"
    "    settings = settings.with_options(port=link.getsockname()[1])\n"
    "    with Runtime(settings, keep_trainer=False) as runtime:\n"
    "        told = lambda: print(settings.url + ' answers', flush=True)\n"
    "        make_server(settings, runtime, told).run(sockets=[link])\n"
)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Api:
    """Asks one server; a connection per request, so that nothing of one stays for the next."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None) -> None:
        self.port, self.headers = port, dict(headers or {})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {k.replace("_", "-"): v for k, v in headers.items()}
            connection.request(method, path, body, {**self.headers, **named})
            response = connection.getresponse()
            told = {k.lower(): v for k, v in response.getheaders()}
            return Answer(response.status, told, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, content: Any = None, **headers: str) -> Answer:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.ask("POST", path, body, content_type="application/json", **headers)


class Server:
    """One `lengthwise serve`; `trainer=False` leaves out the process that learns."""

    def __init__(self, state: Path, *, trainer: bool = True, **settings: Any) -> None:
        told = {"state": str(state), "port": 0, "sync_s": 0.1, "train_every_s": 0.1, **settings}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", START if trainer else START_WITHOUT_TRAINER,
             json.dumps(told)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if "http://" not in line:
            raise AssertionError(f"no start: {line} {self.stop()}")
        self.api = Api(int(line.split("http://")[1].split(" ")[0].rsplit(":", 1)[1]))

    def stop(self) -> str:
        """End it; gives what it wrote to standard error."""
        self.process.terminate()
        _, errors = self.process.communicate(timeout=30)
        return errors


def wait_until(holds: Callable[[], bool], seconds: float = 40.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


def learnt(api: Api, sent: int) -> Callable[[], bool]:
    """Whether the law in use has learnt from (nearly) all rows sent; one in ten only judges it."""

    def holds() -> bool:
        law = api.get("/v1/status").json["law"]
        return bool(all(law["ready"].values()) and sum(law["rows_learnt"].values()) >= 0.85 * sent)

    return holds
