"""Servers the tests share: each is started once and ended at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from http_api import Api, Server, learnt, wait_until
from http_truth import rows

pytest.importorskip("uvicorn")
pytest.importorskip("orjson")

os.environ.setdefault("OMP_NUM_THREADS", "1")
OBJECTIVES = ("mean", "quantile")
ROWS = 1000
"""Requests learnt from; each is two rows."""


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start servers of any settings; a second one of the same settings is the first."""
    running: dict[str, Server] = {}

    def started(*, state: Path | None = None, fresh: bool = False, **settings: Any) -> Server:
        key = f"{state} {sorted(settings.items())} {len(running) if fresh else ''}"
        if key not in running:
            folder = state or tmp_path_factory.mktemp("state")
            running[key] = Server(folder, **settings)
        return running[key]

    yield started
    for server in running.values():
        server.process.terminate()
    told = [server.stop() for server in running.values()]
    assert not [text for text in told if "Traceback" in text], told


@pytest.fixture(scope="session", params=OBJECTIVES)
def objective(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def llm_d(start: Callable[..., Server], objective: str) -> Api:
    """A server in llm-d mode, both roles on one port."""
    return start(llm_d=True, objective=objective).api


@pytest.fixture(scope="session")
def taught(start: Callable[..., Server], objective: str) -> Api:
    """Another one, which has learnt from traffic of a known law and from nothing else."""
    api = start(llm_d=True, objective=objective, max_rows=9_000).api
    sent = rows(ROWS, 1, observed=True)
    for i in range(0, len(sent), 1000):
        part = sent[i : i + 1000]
        answer = api.post("/add_training_data_bulk", {"entries": part})
        assert answer.status == 202
        assert answer.json == {"message": f"Accepted {len(part)} training samples."}
    wait_until(learnt(api, len(sent)))
    api.post("/reload", None)
    return api


@pytest.fixture(scope="session")
def native(start: Callable[..., Server]) -> Api:
    """A server in native mode."""
    return start().api
