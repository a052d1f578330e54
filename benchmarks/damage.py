"""Damaged states of the service: it starts, serves, learns again and says what was lost.

    python benchmarks/damage.py [CASE ...] [--trials 200] [--served 24] [--seed 1]

Cases (all by default): any (single bytes and cut files, in this process), served (the same with
the real ``lengthwise serve``), million (a million stored observations). A state is made by the
service's own store and trainer, stopped in order or killed (its log left behind); one file of it is
damaged, then it is opened again. Of every trial the observations that can no longer be read are
compared with those that are said to be lost. Writes benchmarks/results/damage.json.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "service"))

from serve_faults_common import Case, P, Result, body_of, cpu_s, rows, run_cases, waiting
from service_process import Service, until

from lengthwise.interfaces.service.current import CurrentLaw
from lengthwise.interfaces.service.law_source import StoreSource
from lengthwise.interfaces.service.settings import ServiceSettings
from lengthwise.interfaces.service.sqlite_store import SqliteStore
from lengthwise.interfaces.service.store import Observed, Round
from lengthwise.interfaces.service.trainer import Trainer

RESULTS = Path(__file__).parent / "results" / "damage.json"
BATCHES, ROWS = 60, 50
STORED, NEW = BATCHES * ROWS, 100
LEARN_S, READY_S = 60.0, 3.0


def make(folder: Path) -> dict[str, Path]:
    """Make one state that was stopped in order and one that was killed."""
    live, rng = folder / "live", random.Random(1)
    store = SqliteStore(live)
    trainer = Trainer(ServiceSettings(state=live), store)
    law = CurrentLaw(StoreSource(store), keep=live / "law.json")
    for part in range(BATCHES):
        ids = [f"{part}-{i}" for i in range(ROWS)]
        store.append(body_of(rows(ROWS, rng)), ROWS, ids=ids, ttft=ROWS)
        if part in (20, BATCHES - 10):
            trainer.round()
            trainer._commit(save=True)
            law.refresh()
    shutil.copytree(live, folder / "killed")
    trainer.round()
    trainer._commit(save=True)
    store.close()
    live.rename(folder / "stopped")
    return {name: folder / name for name in ("killed", "stopped")}


def damage(state: Path, rng: random.Random) -> str:
    """Change one byte of one file, or cut it; says what was done."""
    files = {path.name: path for path in state.iterdir() if path.stat().st_size}
    files.pop("service.db-shm", None)  # made anew by the database whenever it is opened
    database = [name for name in files if name.startswith("service.db")]
    path = files[rng.choice(database if rng.random() < 0.85 else sorted(files))]
    data = bytearray(path.read_bytes())
    place = rng.randrange(len(data))
    if rng.random() < 0.25:
        path.write_bytes(data[:place])
        return f"{path.name} cut"
    data[place] ^= rng.randrange(1, 256)
    path.write_bytes(data)
    return f"{path.name} byte"


def readable(store: Any) -> int:
    """Count the observations that can still be read, without those that came after the damage."""
    return len(store.read(0, 10**7)) - NEW


def told(found: list[dict[str, Any]]) -> int:
    return sum(int(one["rows_lost"]) for one in found)


def trial(state: Path) -> Result:
    """Open a damaged state as the service does, and let it learn."""
    began = time.monotonic()
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        store = SqliteStore(state)
        trainer = Trainer(ServiceSettings(state=state, train_every_s=5.0), store)
        law = CurrentLaw(StoreSource(store))
        law.refresh()
        trainer.round()
        taken = store.append(body_of(rows(NEW, random.Random(5))), NEW, ttft=NEW).accepted
        while store.counts()["waiting"] and time.monotonic() - began < LEARN_S:
            trainer.round()
            trainer._commit(save=True)
        law.refresh()
        store.check()
        store.quarantined()
        store.laws()
        lost = STORED - readable(store)
        kept = store.damage()
        store.close()
    learns = taken == NEW and not store_waits(state)
    return {"lost": lost, "told": told(kept), "seconds": time.monotonic() - began,
            "said": bool(said.getvalue()) or not kept, "learns": learns,
            "law": law.problem == ""}  # fmt: skip


def store_waits(state: Path) -> int:
    store = SqliteStore(state)
    try:
        return int(store.counts()["waiting"])
    finally:
        store.close()


def many(options: argparse.Namespace, count: int, run: Callable[[Path], Result]) -> Result:
    """Damage, open and look, many times."""
    rng = random.Random(options.seed)
    kinds: Counter[str] = Counter()
    bad: list[str] = []
    inexact: list[str] = []
    seconds: list[float] = []
    lossy = exact = lost = 0
    with tempfile.TemporaryDirectory(prefix="damage") as place:
        states = make(Path(place))
        for number in range(count):
            state = Path(place) / "state"
            shutil.rmtree(state, ignore_errors=True)
            name = rng.choice(sorted(states))
            shutil.copytree(states[name], state)
            kind = damage(state, rng)
            kinds[kind] += 1
            try:
                found = run(state)
            except Exception as error:  # a trial that fails is what is looked for
                bad.append(f"{number} {name} {kind}: {type(error).__name__}: {error}"[:200])
                continue
            seconds.append(found["seconds"])
            if found["lost"] != found["told"]:
                inexact.append(f"{number} {name} {kind}: {found['lost']}, told {found['told']}")
            lost += found["lost"]
            lossy += found["lost"] > 0
            exact += found["lost"] > 0 and found["lost"] == found["told"]
            if not (found["learns"] and found["law"] and found["said"]) or (
                found["lost"] and not found["told"]
            ):
                bad.append(f"{number} {name} {kind}: {found}")
    return {
        "trials": count, "damages": dict(sorted(kinds.items())), "failed": bad,
        "started_served_and_learnt": count - len(bad), "with_losses": lossy,
        "losses_told_exactly": exact, "told_otherwise": inexact, "observations_lost": lost,
        "slowest_s": round(max(seconds, default=0.0), 2), "limit_s": LEARN_S,
        "holds": not bad and max(seconds, default=0.0) <= LEARN_S,
    }  # fmt: skip


def served_trial(state: Path) -> Result:
    """Open a damaged state with the real service."""
    began = time.monotonic()
    service = Service(state)
    try:
        assert service.url, service.errors[-500:]
        codes = {path: service.ask(path)[0] for path in ("/v1/status", "/v1/live", "/v1/laws",
                                                        "/v1/metrics", "/metrics", "/readyz",
                                                        "/v1/quarantine")}  # fmt: skip
        assert set(codes.values()) == {200}, codes
        assert service.ask("/predict", P)[0] == 200
        data = body_of(rows(NEW, random.Random(5)))
        assert service.ask("/add_training_data_bulk", raw=data)[0] == 202
        learns = until(lambda: waiting(service) == 0, LEARN_S)
        seconds = time.monotonic() - began
        status = service.ask("/v1/status")[1]
        said = "warning" in service.errors
    finally:
        service.end()
    store = SqliteStore(state)
    try:
        lost = STORED - readable(store)
    finally:
        store.close()
    has_law = status["law"]["problem"] == ""
    return {"lost": lost, "told": told(status["damage"]), "seconds": seconds, "learns": learns,
            "said": said or not status["damage"], "law": has_law}  # fmt: skip


def any_byte(options: argparse.Namespace) -> Result:
    return many(options, options.trials, trial)


def served(options: argparse.Namespace) -> Result:
    return many(options, options.served, served_trial)


def million(options: argparse.Namespace) -> Result:
    """Open a million observations that were learnt: how long until the service answers."""
    with tempfile.TemporaryDirectory(prefix="damage") as place:
        state = Path(place) / "state"
        store = SqliteStore(state)
        table = rows(100, random.Random(1))
        for first in range(0, 10_000, 250):
            futures = [
                store.submit(_observed(table, [f"{part}-{i}" for i in range(100)]))
                for part in range(first, first + 250)
            ]
            for future in futures:
                future.result()
        learner = Trainer(ServiceSettings(state=state), SqliteStore(Path(place) / "other"))
        learner.round()
        assert learner._learner is not None
        store.commit(Round(cursor=1_000_000, learner=json.dumps(learner._learner.to_dict()),
                           law=learner._learner.law.to_dict()))  # fmt: skip
        store.close()
        size = (state / "service.db").stat().st_size
        opening = []
        for _ in range(3):
            began, cpu = time.monotonic(), time.process_time()
            store = SqliteStore(state)
            stored = store.counts()["stored"]
            opening.append((time.monotonic() - began, time.process_time() - cpu))
            store.close()
        ready, used = [], []
        for folder in (Path(place) / "empty", state, state, state):
            began = time.monotonic()
            service = Service(folder)
            assert until(lambda s=service: s.ask("/readyz")[0] == 200, 60)
            ready.append(round(time.monotonic() - began, 2))
            used.append(round(cpu_s(service.process.pid), 2))
            service.end()
    wall, cpu = (min(values) for values in zip(*opening, strict=True))
    return {"stored": stored, "file_mb": round(size / 1e6), "opening_s": round(wall, 2),
            "opening_cpu_s": round(cpu, 2), "ready_s": ready[1:], "ready_without_state_s": ready[0],
            "ready_cpu_s": used[1:], "ready_without_state_cpu_s": used[0],
            "limit_s": READY_S, "load_average": round(os.getloadavg()[0], 1),
            "holds": sorted(ready[1:])[1] <= READY_S}  # fmt: skip


def _observed(table: list[dict[str, Any]], ids: list[str]) -> Observed:
    """Return a batch as the service keeps it."""
    names = [name for name in table[0] if any(row[name] for row in table)]
    columns: dict[str, Any] = {name: [row[name] for row in table] for name in names}
    data = json.dumps({"n": len(table), "columns": {**columns, "id": ids}}, separators=(",", ":"))
    return Observed(data.encode(), len(ids), ids, ttft=len(ids), received_s=time.time())


CASES: dict[str, Case] = {
    "any": any_byte, "served": served, "million": million,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], default=[], metavar="CASE")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--served", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    run_cases(CASES, options, RESULTS)


if __name__ == "__main__":
    main()
