"""Workers follow the law: from the store, and from a trainer over HTTP."""

import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from lengthwise.errors import InputError
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.interfaces.service.current import CurrentLaw, follow, seed
from lengthwise.interfaces.service.law_source import HttpSource, StoreSource
from lengthwise.interfaces.service.settings import ServiceSettings


def law_text(version: int) -> str:
    return json.dumps({**OnlineLaw.cold().to_dict(), "version": version})


class Trainer:
    """A trainer's GET /v1/laws/active."""

    def __init__(self) -> None:
        self.body, self.tag, self.status = "", "", 200
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.headers.get("If-None-Match", "").strip('"')
                outer.asked.append((self.path, self.headers.get("Authorization", "")))
                body = outer.body.encode()
                tag = outer.tag or sha256(body).hexdigest()
                status = 304 if known == tag else outer.status
                self.send_response(status)
                self.send_header("ETag", f'"{tag}"')
                self.send_header("Content-Length", "0" if status == 304 else str(len(body)))
                self.end_headers()
                if status != 304:
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def trainer() -> Iterator[Trainer]:
    found = Trainer()
    yield found
    found.stop()


def test_follows_the_store_and_a_roll_back(store: Any) -> None:
    current = CurrentLaw(StoreSource(store))
    assert not current.refresh()
    assert (current.law.version, current.loaded_s, current.ready) == (0, None, False)
    store.publish(OnlineLaw.cold().to_dict(), "")
    store.publish(OnlineLaw.cold().to_dict(), "")
    assert current.refresh()
    assert current.law.version == 2
    assert not current.refresh()
    store.activate(1)
    assert current.refresh()
    assert current.law.version == 1


def test_a_law_that_is_none_does_not_replace_a_good_one(store: Any) -> None:
    current = CurrentLaw(StoreSource(store))
    store.publish(OnlineLaw.cold().to_dict(), "")
    current.refresh()
    store.publish({"schema_version": 99}, "")
    assert not current.refresh()
    assert current.law.version == 1
    assert current.problem


def test_follows_a_trainer_over_http(trainer: Trainer) -> None:
    trainer.body = law_text(5)
    current = CurrentLaw(HttpSource(trainer.url, "secret"))
    assert current.refresh()
    assert current.law.version == 5
    assert not current.refresh()
    assert trainer.asked == [("/v1/laws/active", "Bearer secret")] * 2
    trainer.body = law_text(6)
    assert current.refresh()
    assert current.law.version == 6


def test_a_damaged_answer_is_not_used(trainer: Trainer) -> None:
    trainer.body, trainer.tag = law_text(5), "0" * 64
    current = CurrentLaw(HttpSource(trainer.url))
    assert not current.refresh()
    assert current.law.version == 0
    assert "checksum" in current.problem


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_trainer_that_refuses_is_tolerated(trainer: Trainer, status: int) -> None:
    trainer.status = status
    current = CurrentLaw(HttpSource(trainer.url))
    assert not current.refresh()
    assert (str(status) in current.problem) == (status != 404)


def test_a_trainer_that_is_away_is_tolerated_and_the_kept_law_used(
    trainer: Trainer, tmp_path: Path
) -> None:
    trainer.body = law_text(5)
    settings = ServiceSettings(
        state=tmp_path / "state", role="prediction", trainer_url=trainer.url, sync_s=0.05
    )
    first = follow(settings, None)
    first.start()
    first.stop()
    trainer.stop()
    assert not first.refresh()
    assert first.law.version == 5
    assert "away" in first.problem
    second = follow(settings, None)
    second.start()
    second.stop()
    assert (second.law.version, second.loaded_s is None) == (5, False)


def test_a_kept_law_that_is_damaged_is_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "law.json").write_text("{")
    settings = ServiceSettings(
        state=tmp_path, role="prediction", trainer_url="http://127.0.0.1:9", sync_s=0.05
    )
    current = follow(settings, None)
    current.start()
    current.stop()
    assert current.law.version == 0
    assert "not used" in capsys.readouterr().err


def test_the_seed_is_the_first_law(tmp_path: Path) -> None:
    path = tmp_path / "seed.json"
    path.write_text(law_text(7))
    found = seed(ServiceSettings(state=tmp_path, seed_law=path))
    assert found is not None
    assert found.version == 7
    with pytest.raises(InputError, match="seed law"):
        seed(ServiceSettings(state=tmp_path, seed_law=tmp_path / "absent.json"))
    path.write_text("[]")
    with pytest.raises(InputError, match="JSON object"):
        seed(ServiceSettings(state=tmp_path, seed_law=path))
