"""The trainer learns every row once, sets poison aside, and survives."""

import dataclasses
import json
import resource
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from service_rows import ROW

from lengthwise.interfaces.service.current import CurrentLaw
from lengthwise.interfaces.service.law_source import StoreSource
from lengthwise.interfaces.service.settings import ServiceSettings
from lengthwise.interfaces.service.sqlite_store import SqliteStore
from lengthwise.interfaces.service.store import Observed, ServiceUnavailable
from lengthwise.interfaces.service.trainer import Trainer

Row = dict[str, Any]


def traffic(count: int, seed: int = 0) -> list[Row]:
    """Requests whose TTFT is 20 ms and 0.1 ms per token, give or take 5 %."""
    rng = np.random.default_rng(seed)
    lengths = np.exp2(rng.uniform(6, 12, count)).astype(int)
    noise = rng.lognormal(0.0, 0.05, count)
    return [
        {**ROW, "input_token_length": int(n), "prefix_cache_score": 0.0, "num_request_waiting": 0,
         "prefill_tokens_in_flight": 0, "actual_ttft_ms": float((20 + 0.1 * n) * e)}
        for n, e in zip(lengths, noise, strict=True)
    ]  # fmt: skip


def send(store: Any, rows: list[Row], received_s: float = 0.0) -> None:
    text = json.dumps({"entries": rows}).encode()
    store.submit(Observed(text, len(rows), ttft=len(rows), received_s=received_s)).result()


def learnt(trainer: Trainer) -> int:
    assert trainer._learner is not None
    return int(trainer._learner.status()["targets"]["ttft"]["seen"])


def test_times_that_are_reported_in_turn_are_both_shown(
    store: Any, settings: ServiceSettings
) -> None:
    trainer = Trainer(settings, store)
    trainer.round()
    rows = traffic(1000)
    for row in rows[1::2]:
        row |= {"actual_ttft_ms": 0.0, "actual_tpot_ms": 12.0}
    send(store, rows)
    trainer.round()
    live = store.get("live")
    assert live is not None
    assert [len(live["recent"][t]["time_s"]) > 100 for t in ("ttft", "tpot")] == [True, True]


def test_learns_what_was_observed(store: Any, settings: ServiceSettings) -> None:
    trainer = Trainer(settings, store)
    trainer.round()
    first = store.active()
    assert first is not None
    for part in range(10):
        send(store, traffic(200, part))
        trainer.round()
    current = CurrentLaw(StoreSource(store))
    current.refresh()
    assert current.law.version > first[0]
    assert current.ready
    assert store.counts()["waiting"] == 2000 - store.progress()[0]
    live = store.get("live")
    assert live["error"]["ttft"]["median_percent"][-1] < 15
    recent = live["recent"]["ttft"]
    assert len(recent["time_s"]) == len(recent["observed_ms"]) == len(recent["hi_ms"]) > 100
    status = store.get("trainer")
    assert status["rows"] == status["cursor"] == 2000


def test_a_killed_trainer_loses_nothing_and_learns_nothing_twice(
    store: Any, settings: ServiceSettings
) -> None:
    first = Trainer(settings, store)
    first.round()
    send(store, traffic(300))
    first._save_s = 60.0  # a learner that takes long to save: not in every round
    first.round()  # published, the state of the learner not yet saved
    assert store.progress()[0] == 0
    send(store, traffic(300, 1))
    del first  # as if killed
    second = Trainer(settings, store)
    second.round()
    assert learnt(second) == 600
    second._commit(save=True)
    third = Trainer(settings, store)
    third.round()
    assert learnt(third) == 600
    assert store.progress()[0] == 600
    assert store.get("trainer")["clock"]["jumps"] == 0


def test_starting_again_publishes_no_law_without_need(
    store: Any, settings: ServiceSettings
) -> None:
    first = Trainer(settings, store)
    send(store, traffic(300))
    first.round()
    first._commit(save=True)
    versions = [info.version for info in store.laws()]
    for _ in range(3):
        Trainer(settings, store).round()
    assert [info.version for info in store.laws()] == versions


def test_poison_is_set_aside_with_reasons_and_kept(store: Any, settings: ServiceSettings) -> None:
    rows = traffic(50)
    text = json.dumps({"entries": rows}).replace('"actual_ttft_ms": ', '"actual_ttft_ms":', 1)
    poison = [
        '{"input_token_length": 100, "actual_ttft_ms": 1e999, "actual_tpot_ms": 0}',
        '{"input_token_length": ' + "9" * 400 + ', "actual_ttft_ms": 5, "actual_tpot_ms": 0}',
        '{"input_token_length": ' + "9" * 5000 + ', "actual_ttft_ms": 5, "actual_tpot_ms": 0}',
        '{"input_token_length": 1000000, "actual_ttft_ms": 0.001, "actual_tpot_ms": 0}',
        '{"input_token_length": 100, "actual_ttft_ms": "soon", "actual_tpot_ms": 0}',
        '{"input_token_length": 100, "actual_ttft_ms": -5, "actual_tpot_ms": 0}',
        '"no object"',
    ]
    whole = text[:-2] + "," + ",".join(poison) + "]}"
    store.append(whole.encode(), 57)
    trainer = Trainer(settings, store)
    trainer.round()
    kept = store.quarantined()
    assert learnt(trainer) + len(kept) >= 56
    assert {r.sequence for r in kept} >= {51, 52, 53, 54, 56}
    assert all(r.reason for r in kept)
    assert sum(store.counts()["quarantined"].values()) == len(kept)
    assert kept[0].row["actual_ttft_ms"] == float("inf")


def test_a_body_that_cannot_be_read_does_not_stop_learning(
    store: Any, settings: ServiceSettings
) -> None:
    store.append(b'{"entries": [', 1)
    store.append(b"[" * 100_000, 1)
    send(store, traffic(100))
    trainer = Trainer(settings, store)
    trainer.round()
    assert learnt(trainer) == 100
    assert len(store.quarantined()) == 2


class BrittleLearner:
    """Fails on one row, half way through its work."""

    def __init__(self, learner: Any, bad: float) -> None:
        self._learner, self._bad = learner, bad

    def observe(self, rows: Any, *targets: Any) -> Any:
        if (rows.input_tokens == self._bad).any():
            half = len(rows) // 2
            self._learner.observe(rows.take(slice(0, half)), *(t[:half] for t in targets))
            raise ZeroDivisionError("float division by zero")
        return self._learner.observe(rows, *targets)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)


@pytest.fixture
def brittle(monkeypatch: pytest.MonkeyPatch) -> None:
    from lengthwise.interfaces.service import trainer as module

    begin, resume = module.begin, module.resume
    monkeypatch.setattr(module, "begin", lambda *a: BrittleLearner(begin(*a), 777.0))
    monkeypatch.setattr(module, "resume", lambda text: BrittleLearner(resume(text), 777.0))


@pytest.mark.usefixtures("brittle")
def test_a_batch_that_breaks_learning_is_found_and_set_aside(
    store: Any, settings: ServiceSettings
) -> None:
    for part in range(3):
        send(store, traffic(50, part))
    send(store, [{**ROW, "input_token_length": 777}] * 20)
    for part in range(3):
        send(store, traffic(50, part))
    trainer = Trainer(dataclasses.replace(settings, train_every_s=20.0), store)
    trainer.round()
    assert learnt(trainer) == 300
    assert store.counts()["quarantined"] == {"learning failed": 20}
    assert store.counts()["waiting"] == 0
    assert "batch_set_aside" in {event["kind"] for event in store.get("live")["events"]}


@pytest.mark.usefixtures("brittle")
def test_when_nothing_can_be_learnt_everything_is_kept(
    store: Any, settings: ServiceSettings
) -> None:
    from lengthwise.interfaces.service.trainer import LearningFailedError

    for _ in range(6):
        send(store, [{**ROW, "input_token_length": 777}] * 20)
    trainer = Trainer(dataclasses.replace(settings, train_every_s=20.0), store)
    with pytest.raises(LearningFailedError):
        trainer.round()
    assert store.counts()["quarantined"] == {}
    assert store.counts()["waiting"] == 120


def test_state_of_a_learner_that_cannot_be_read_is_learnt_again(
    store: Any, settings: ServiceSettings
) -> None:
    from lengthwise.interfaces.service.store import Round

    send(store, traffic(200))
    trainer = Trainer(settings, store)
    trainer.round()
    trainer._commit(save=True)
    store.commit(Round(learner='{"schema_version": 99}'))
    again = Trainer(settings, store)
    again.round()
    assert learnt(again) == 200
    assert "learner_reset" in {event["kind"] for event in store.get("live")["events"]}


def test_a_clock_that_jumps_back_is_bridged(store: Any, settings: ServiceSettings) -> None:
    trainer = Trainer(settings, store)
    for at in (1e9, 1e9 + 5, 1e9 - 86400, 1e9 - 86395):
        send(store, traffic(40), received_s=at)
        trainer.round()
    assert learnt(trainer) == 160
    status = store.get("trainer")
    assert status["clock"]["jumps"] == 1
    assert status["clock"]["offset_s"] == 86405


def test_poison_read_while_the_disk_is_full_is_kept_later(
    settings: ServiceSettings,
) -> None:
    store = SqliteStore(settings.state)
    trainer = Trainer(settings, store)
    trainer.round()
    send(store, [*traffic(20), {**ROW, "actual_ttft_ms": -1}])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(ServiceUnavailable):
            trainer.round()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    time.sleep(0.6)
    trainer.round()
    assert [row.sequence for row in store.quarantined()] == [21]
    assert learnt(trainer) == 20
    store.close()


def test_flush_clears_the_record_of_errors(store: Any, settings: ServiceSettings) -> None:
    trainer = Trainer(settings, store)
    send(store, traffic(200))
    trainer.round()
    assert store.flush(False, True, True)["ttft_test"] > 0
    trainer.round()
    live = store.get("live")
    assert live["recent"]["ttft"]["time_s"] == live["error"]["ttft"]["time_s"] == []


def test_a_second_trainer_stands_by(tmp_path: Path) -> None:
    settings = ServiceSettings(state=tmp_path, train_every_s=0.1)
    leading, other = SqliteStore(tmp_path), SqliteStore(tmp_path)
    assert leading.lead()
    stop = threading.Event()
    trainer = Trainer(settings, other)
    thread = threading.Thread(target=trainer.run, args=(stop,))
    thread.start()
    try:
        send(leading, traffic(50))
        thread.join(0.5)
        assert leading.active() is None
        leading._trainer.release()
        for _ in range(100):
            if leading.active() is not None:
                break
            thread.join(0.1)
        assert leading.active() is not None
    finally:
        stop.set()
        thread.join()
        leading.close()
        other.close()
    assert learnt(trainer) == 50
