"""Attacks on the service: memory of worker and trainer, stalls of ``/healthz``, answers.

    python benchmarks/attack.py [CASE ...]

The real ``lengthwise serve --llm-d`` runs on loopback with default limits, one for each case; it
is stopped by process id. Writes benchmarks/results/attack.json: by case the peak memory, the worst
wait for ``/healthz`` (with and without waiting for a processor), the statuses that came back, and
whether all holds: a worker below 300 MB, a trainer below 600 MB, no wait above 100 ms beside the
scheduler's, no 5xx but 503.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attack_cases import CASES, Target
from attack_pulse import Pulse
from serve_faults_common import served

RESULTS = Path(__file__).parent / "results" / "attack.json"
WORKER_MB, TRAINER_MB, STALL_MS = 300.0, 600.0, 100.0


def peak_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return int(text.split("VmHWM:")[1].split()[0]) / 1024 if "VmHWM:" in text else 0.0


def tried(name: str) -> dict[str, Any]:
    case = CASES[name]
    with served(*case.options, state=case.prepared()) as service:
        port, pid = urlsplit(service.url).port or 0, service.process.pid
        target = Target(port, pid, service.children)
        time.sleep(2.0)
        with Pulse(port, pid) as pulse:
            time.sleep(0.5)
            case.run(target)
            until = time.monotonic() + case.learns_s
            while time.monotonic() < until:
                target.note()
                time.sleep(0.2)
        found = {
            "sent_mb": round(target.sent / 2**20, 1), "statuses": dict(target.statuses),
            "worker_mb": round(peak_mb(pid), 1), "trainer_mb": round(target.trainer_mb, 1),
            "trainers": len(target.trainers), **pulse.found,
        }  # fmt: skip
        alive = service.ask("/healthz")[0] == 200
        errors = "Traceback" in service.errors
    case.removed()
    wrong = [s for s in found["statuses"] if s.startswith("5") and s != "503"]
    found["holds"] = (
        alive and not errors and not wrong and found["failed"] == 0 and found["trainers"] <= 1
        and found["worker_mb"] <= WORKER_MB and found["trainer_mb"] <= TRAINER_MB
        and found["worst_beside_scheduler_ms"] <= STALL_MS
    )  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("case", nargs="*", help=", ".join(CASES))
    names = parser.parse_args().case or list(CASES)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cases": {}}
    for name in names:
        found["cases"][name] = {"what": CASES[name].what, **tried(name)}
        print(name, json.dumps(found["cases"][name]), flush=True)
        cases = [found["cases"][n] for n in CASES if n in found["cases"]]
        found |= {
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(), "load": round(os.getloadavg()[0], 1),
            "worker_mb": max(c["worker_mb"] for c in cases),
            "trainer_mb": max(c["trainer_mb"] for c in cases),
            "worst_beside_scheduler_ms": max(c["worst_beside_scheduler_ms"] for c in cases),
            "holds": all(c["holds"] for c in cases),
        }  # fmt: skip
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
