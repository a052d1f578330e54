import json
import threading
from typing import Any

import pytest
from service_rows import ROW, body

from lengthwise.errors import InputError
from lengthwise.interfaces.service.store import Entry, OvertakenError, Rejected, Round


def test_rows_come_back_in_order(store: Any) -> None:
    assert store.append(body(3), 3, ttft=3).last_sequence == 3
    assert store.append(body(40), 40).last_sequence == 43
    found = store.read(0, 100)
    assert [s for s, _ in found] == list(range(1, 44))
    assert [e.fields["n"] for _, e in found] == [0, 1, 2, *range(40)]
    assert [s for s, _ in store.read(2, 3)] == [3, 4, 5]
    assert store.read(43, 10) == []
    counts = store.counts()
    assert (counts["accepted"], counts["ttft"], counts["waiting"]) == (43, 3, 43)


def test_many_batches_are_read_beyond_one_page(store: Any) -> None:
    for _ in range(40):
        store.append(body(2), 2)
    assert [b.last for b in store.batches(3, 1000)] == list(range(4, 81, 2))
    assert len(store.batches(0, 1)) == 1


def test_a_row_with_a_known_id_is_kept_once(store: Any) -> None:
    assert store.append(body(3), 3, ids=["a", "", "b"], ttft=3).accepted == 3
    again = store.append(body(4), 4, ids=["b", "c", "c", ""], ttft=4)
    assert (again.accepted, again.duplicates, again.last_sequence) == (2, 2, 5)
    assert [e.fields["n"] for _, e in store.read(3, 10)] == [1, 3]
    whole = store.append(body(1), 1, ids=["a"], ttft=1)
    assert (whole.accepted, whole.duplicates) == (0, 1)
    counts = store.counts()
    assert (counts["accepted"], counts["duplicates"], counts["ttft"]) == (5, 3, 5)


def test_ids_may_be_any_text(store: Any) -> None:
    ids = ["\x00", "\ud800", "'; DROP TABLE ids; --", "x" * 10_000]
    assert store.append(body(4), 4, ids=ids).accepted == 4
    assert store.append(body(4), 4, ids=ids).duplicates == 4


def test_entries_one_by_one(store: Any) -> None:
    entries = [Entry("a", 1.0, ROW), Entry(None, 1.0, {**ROW, "actual_ttft_ms": 0})]
    assert store.append_entries(entries).accepted == 2
    assert [e.id for _, e in store.read(0, 5)] == ["a", None]
    assert store.counts()["ttft"] == 1


def test_writers_at_the_same_time_lose_nothing(store: Any) -> None:
    def write(name: int) -> None:
        for i in range(20):
            store.append(body(5), 5, ids=[f"{name}-{i}-{k}" for k in range(5)])

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [s for s, _ in store.read(0, 10_000)] == list(range(1, 601))


def test_a_law_is_published_pinned_and_released(store: Any) -> None:
    assert store.active() is None
    assert store.publish({"a": 1}, "first") == 1
    assert store.publish('{"a": 2}', "second") == 2
    version, sha, text = store.active()
    assert (version, json.loads(text)) == (2, {"a": 2, "version": 2})
    assert store.active(sha) == (2, sha, None)
    store.activate(1)
    store.publish({"a": 3}, "third")
    assert (store.active()[0], store.pinned()) == (1, 1)
    assert [(i.version, i.active) for i in store.laws()] == [(3, False), (2, False), (1, True)]
    store.activate(None)
    assert (store.active()[0], store.pinned()) == (3, None)
    with pytest.raises(InputError, match="99"):
        store.activate(99)
    assert json.loads(store.law(1))["a"] == 1
    assert store.law(10**30) is None
    assert [(c, d["version"]) for _, c, d in store.asked(0)] == [
        ("activate", 1),
        ("activate", None),
    ]


def test_old_versions_go_but_not_the_pinned_one(store: Any) -> None:
    store.publish({}, "")
    store.activate(1)
    for _ in range(60):
        store.publish({}, "")
    versions = [info.version for info in store.laws()]
    assert versions[:20] == list(range(61, 41, -1))
    assert versions[-1] == 1
    assert len(versions) < 25


def test_a_round_of_training_is_written_whole_or_not(store: Any) -> None:
    store.append(body(4), 4)
    done = Round(before=0, cursor=4, learner="{}", law={"x": 1}, documents={"live": {"n": 1}},
                 rejected=[Rejected(2, "negative", 5.0, {"n": 1})])  # fmt: skip
    assert store.commit(done) == 1
    assert store.progress() == (4, "{}")
    assert (store.get("live"), store.get("other")) == ({"n": 1}, None)
    with pytest.raises(OvertakenError):
        store.commit(Round(before=0, cursor=9, law={"x": 2}, documents={"live": {"n": 2}}))
    assert (store.progress()[0], store.get("live"), len(store.laws())) == (4, {"n": 1}, 1)


def test_quarantined_rows_are_kept_once_with_their_numbers(store: Any) -> None:
    row = Rejected(7, "infinite", 5.0, {"actual_ttft_ms": float("inf"), "big": 10**400})
    store.quarantine([row, row, Rejected(8, "negative", 5.0, {})])
    store.quarantine([row])
    assert store.counts()["quarantined"] == {"infinite": 1, "negative": 1}
    assert store.quarantined()[0] == row
    assert [r.sequence for r in store.quarantined(after=7)] == [8]


def test_only_learnt_rows_are_pruned(store: Any) -> None:
    for i in range(10):
        store.append(body(10), 10, ids=[f"{i}-{k}" for k in range(10)])
    assert store.prune(keep_rows=20) == 0
    store.commit(Round(cursor=60))
    assert store.prune(keep_rows=20) == 60
    assert store.read(0, 1)[0][0] == 61
    assert store.counts()["stored"] == 40
    store.commit(Round(cursor=100))
    assert store.prune(keep_rows=20) == 20
    assert store.prune(keep_rows=20, old=100) == 20
    assert store.append(body(1), 1, ids=["9-9"]).last_sequence == 101


def test_flush_drops_rows_and_tells_the_trainer(store: Any) -> None:
    store.append(body(10), 10, ttft=10, tpot=4)
    assert store.flush(False, False, False)["ttft_training"] == 0
    assert store.counts()["stored"] == 10
    gone = store.flush(True, True, True)
    assert (gone["ttft_training"], gone["tpot_training"]) == (10, 4)
    counts = store.counts()
    assert (counts["stored"], counts["ttft"], counts["waiting"]) == (0, 0, 0)
    assert store.append(body(2), 2, ttft=2).last_sequence == 12
    assert store.counts()["waiting"] == 2
    assert store.asked(1)[0][1:] == ("flush", {"training": True, "test": True, "metrics": True})


def test_requests_are_numbered(store: Any) -> None:
    first = store.ask("train", {"a": 1})
    assert store.asked(first - 1) == [(first, "train", {"a": 1})]
    assert store.asked(first) == []


def test_one_trainer_leads(store: Any) -> None:
    assert store.lead()
    assert store.lead()


def test_check_passes_when_all_is_well(store: Any) -> None:
    store.append(body(1), 1)
    store.check()
