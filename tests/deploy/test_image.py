"""The image: what the Dockerfile says of users, commands and health."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

pytest.importorskip("yaml")

from reading import DEPLOY, MANIFESTS, PATCH, containers, instructions, of, predictor

from lengthwise.interfaces.service import environment as service_environment
from lengthwise.interfaces.service.settings import ServiceSettings


def image_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for line in of("ENV") for pair in line.split())


def test_it_runs_as_any_user_of_group_0() -> None:
    user, _, group = of("USER")[-1].partition(":")
    assert int(user) > 0
    assert group == "0"
    prepared = " ".join(of("RUN"))
    for folder in ("/state", "/models", "/server_models"):
        assert re.search(rf"chgrp -R 0 [^&]*{folder}\b", prepared)
        assert re.search(rf"chmod -R g=u [^&]*{folder}\b", prepared)
    last_run = max(i for i, (name, _) in enumerate(instructions()) if name == "RUN")
    assert last_run < max(i for i, (name, _) in enumerate(instructions()) if name == "USER")


def test_bases_are_slim_and_of_one_version() -> None:
    bases = {rest.split()[0] for name, rest in instructions() if name == "FROM"}
    assert bases == {"python:${PYTHON}-slim-bookworm"}
    (version,) = [rest for name, rest in instructions() if name == "ARG" and "PYTHON" in rest]
    assert version in {f"PYTHON=3.{minor}" for minor in (11, 12, 13, 14)}
    assert not [rest for name, rest in instructions() if name == "ADD"]


def test_the_wheel_brings_the_extras_of_the_service() -> None:
    assert of("ARG") == ["EXTRAS=serve,postgres"]
    assert any("[${EXTRAS}]" in run and "pip install" in run for run in of("RUN"))


def test_commands_of_chart_and_ours_can_both_be_given() -> None:
    assert not of("ENTRYPOINT")  # `uvicorn module:app` must not become an argument of ours
    (command,) = of("CMD")
    assert json.loads(command) == ["lengthwise", "serve", "--llm-d"]


def test_its_command_is_one_the_program_knows() -> None:
    commands = [json.loads(of("CMD")[0]), predictor()["trainingServer"]["command"],
                predictor()["predictionServers"]["command"]]  # fmt: skip
    commands += [c["command"] for path in (*MANIFESTS, PATCH) for c, _ in containers(path)]
    help_text = subprocess.run(
        [sys.executable, "-m", "lengthwise", "serve", "--help"],
        capture_output=True, text=True, timeout=120, check=True, env={"COLUMNS": "200"},
    ).stdout  # fmt: skip
    for command in commands:
        for option in (part for part in command if part.startswith("--")):
            assert option in help_text


def test_a_container_listens_where_it_can_be_reached() -> None:
    env = image_environment()
    known = {name: value for name, value in env.items() if name in service_environment._READERS}
    settings = ServiceSettings.from_environment({**env, **known})
    assert settings.host == "0.0.0.0"
    assert str(settings.port) in of("EXPOSE")[0].split()
    assert str(settings.state).startswith(of("VOLUME")[0])


def test_only_what_is_built_is_sent_to_the_builder() -> None:
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignore[0] == "*"
    copied = {path for name, rest in instructions() if name == "COPY" and "--from" not in rest
              for path in rest.split()[:-1]}  # fmt: skip
    assert copied == {line[1:] for line in ignore if line.startswith("!")}
    for path in copied:
        assert (DEPLOY.parent / path).exists(), path


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("needs hadolint")
    done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True,
                          timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


@contextmanager
def health(status: int) -> Iterator[int]:
    """A service whose ``/healthz`` answers with a status; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def check(port: int) -> int:
    """Exit code of the command that the image checks its health with."""
    _, _, command = of("HEALTHCHECK")[0].partition("CMD ")
    python, script = json.loads(command)
    assert python == "python"
    (copied,) = [rest.split()[0] for rest in of("COPY") if rest.endswith(script)]
    env = {"PREDICT_PORT": str(port)}
    return subprocess.run([sys.executable, DEPLOY.parent / copied], env=env, timeout=60,
                          capture_output=True, check=False).returncode  # fmt: skip


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (404, 1)])
def test_health_is_what_the_service_says(status: int, code: int) -> None:
    with health(status) as port:
        assert check(port) == code


def test_nobody_there_is_unhealthy() -> None:
    with health(200) as port:
        pass
    assert check(port) == 1
