"""Mutated files through every reader: no traceback, no hang, no flood of memory.

    python benchmarks/mutated_files.py [--files 15000] [--jobs 2] [--seed 1] [--only KIND]

Sound files of every kind that commands read (tables in each format, results of every tool and
version, laws of every formulation, configurations, TOML) are changed at random, and the real
commands run on them in a process that holds each to 20 s of CPU time. Predictions from laws and
models that are accepted must be finite, not negative and within their intervals. Writes
benchmarks/results/mutated_files.json.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mutated_files_bombs import bombs
from mutated_files_mutate import mutated
from mutated_files_seeds import ROOT, Seed, commands, seeds

OUT = ROOT / "benchmarks" / "results" / "mutated_files.json"
WORKER = Path(__file__).with_name("mutated_files_worker.py")
MOST_S, MOST_MB, LARGEST_MS = 20.0, 1000, 1e15
SHARES = {"result": 40, "table": 20, "law": 15, "step law": 5, "model": 10, "hardware": 7,
          "options": 3}  # fmt: skip
"""Of a hundred files, how many are of a kind."""
NAMES = ("latency_ms", "ttft_ms", "tpot_ms", "e2e_ms")


class Worker:
    """A process that runs one command after the other; a new one when it dies or has grown."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, cwd=self._folder,
        )  # fmt: skip

    def run(self, words: list[str]) -> dict[str, Any]:
        """Run a command; returns what the worker tells of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            self._start()
            return {"code": "died", "what": f"exit {code}", "cpu_s": 0.0, "peak_mb": 0, "out": ""}
        found: dict[str, Any] = json.loads(line)
        if found["peak_mb"] > 600:
            self.close()
            self._start()
        return found

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def nonsense(text: str) -> str:
    """Name what is wrong with predictions; empty when nothing is."""
    try:
        rows = json.loads(text)
    except ValueError:
        return "no JSON"
    for row in rows if isinstance(rows, list) else []:
        for name in NAMES:
            value = row.get(name)
            if value is None:
                continue
            low, high = ((row.get("lo_ms"), row.get("hi_ms")) if name == "latency_ms" else
                         (row.get(name.replace("_ms", "_lo_ms")),
                          row.get(name.replace("_ms", "_hi_ms"))))  # fmt: skip
            known = [x for x in (low, value, high) if x is not None]
            if not all(math.isfinite(x) for x in known):
                return f"{name} not finite"
            if min(known) < 0:
                return f"{name} negative"
            if known != sorted(known):
                return f"{name} outside its interval"
            if value > LARGEST_MS:
                return f"{name} huge"
    return ""


def worked(seed_number: int, count: int, found: list[Seed], keep: Path | None) -> dict[str, Any]:
    """Mutate and run ``count`` files in one worker."""
    rng = random.Random(seed_number)
    codes: dict[str, Counter[str]] = defaultdict(Counter)
    faults: list[dict[str, Any]] = []
    most = {"cpu_s": 0.0, "peak_mb": 0}
    weights = {kind: SHARES[kind] for kind in sorted({seed.kind for seed in found})}
    with tempfile.TemporaryDirectory() as place:
        worker = Worker(Path(place))
        for turn in range(count):
            kind = rng.choices(list(weights), list(weights.values()))[0]
            seed = rng.choice([s for s in found if s.kind == kind])
            content = mutated(seed.content, seed.suffix, rng)
            path = Path(place) / f"f.{seed.suffix}"
            path.write_bytes(content)
            for words in commands(seed, path, Path(place) / "out", turn):
                answer = worker.run(words)
                codes[seed.kind][str(answer["code"])] += 1
                for name in most:
                    most[name] = max(most[name], answer[name])
                fault = _fault(answer, words)
                if fault:
                    faults.append({"file": seed.name, "turn": turn, "fault": fault})
                    if keep is not None:
                        name = f"{seed.kind}-{seed.name}-{seed_number}-{turn}.{seed.suffix}"
                        (keep / name.replace("/", "_").replace(" ", "_")).write_bytes(content)
        worker.close()
    return {"codes": codes, "faults": faults, **most}


def exploded(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run files of at most 2 MB that are made to take memory or time; returns costs and faults."""
    worker, costs, faults = Worker(folder), {}, []
    for name, suffix, content, words in bombs():
        path = folder / f"bomb.{suffix}"
        path.write_bytes(content)
        answer = worker.run([str(path) if word == "FILE" else word for word in words])
        costs[name] = {
            "file_kb": len(content) >> 10, "exit": answer["code"],
            "cpu_s": round(answer["cpu_s"], 2), "peak_mb": answer["peak_mb"],
        }  # fmt: skip
        if fault := _fault(answer, words):
            faults.append({"file": name, "turn": 0, "fault": fault})
    worker.close()
    return costs, faults


def _fault(answer: dict[str, Any], words: list[str]) -> str:
    if not isinstance(answer["code"], int):
        return f"{answer['code']}: {answer['what']}"
    if answer["cpu_s"] > MOST_S:
        return f"{answer['cpu_s']:.0f} s"
    if answer["peak_mb"] > MOST_MB:
        return f"{answer['peak_mb']} MB"
    return nonsense(answer["out"]) if answer["code"] == 0 and "predict" in words else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=15_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one kind of file; nothing is written")
    parser.add_argument("--keep", type=Path, help="folder for files that show a fault")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found = [s for s in seeds(Path(place)) if options.only in (None, s.kind)]
    share = options.files // options.jobs
    with ThreadPoolExecutor(options.jobs) as pool:
        parts = list(pool.map(
            lambda job: worked(options.seed * 1000 + job, share, found, options.keep),
            range(options.jobs),
        ))  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        costs, faults = exploded(Path(place))
    codes: dict[str, Counter[str]] = defaultdict(Counter)
    for part in parts:
        for kind, counts in part["codes"].items():
            codes[kind] += counts
    faults += [fault for part in parts for fault in part["faults"]]
    kinds = Counter(fault["fault"] for fault in faults)
    result = {
        "files": share * options.jobs, "sound_files": len(found),
        "commands": sum(sum(c.values()) for c in codes.values()),
        "exit_codes": {kind: dict(sorted(c.items())) for kind, c in sorted(codes.items())},
        "faults": len(faults), "faults_by_kind": dict(kinds.most_common(40)),
        "longest_cpu_s": round(max(part["cpu_s"] for part in parts), 2),
        "largest_peak_mb": max(part["peak_mb"] for part in parts),
        "bombs": costs, "limits": {"cpu_s": MOST_S, "peak_mb": MOST_MB}, "holds": not faults,
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    for fault in faults[:40]:
        print(fault)
    if options.only is None:
        OUT.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
