"""How long a service leaves a caller waiting, measured by a process of its own.

On a busy machine a caller waits for a processor too; the time that its process and the threads of
the service spent in the queue of the scheduler is known (schedstat) and is told apart.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

PROGRAM = """
import glob, http.client, json, sys, threading, time
port, pid = int(sys.argv[1]), sys.argv[2]
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()

def queued(path):
    try:
        with open(path) as file:
            return int(file.read().split()[1]) * 1e-9
    except (OSError, IndexError, ValueError):
        return 0.0

def all_queued():
    found = {p: queued(p) for p in glob.glob(f"/proc/{pid}/task/*/schedstat")}
    return queued("/proc/thread-self/schedstat"), found

connection, found, failed = None, [], 0
while not ended.wait(0.02):
    own, theirs = all_queued()
    began = time.perf_counter()
    try:
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/healthz")
        failed += connection.getresponse().read() == b""
    except Exception:
        connection = None
        failed += 1
        continue
    took = time.perf_counter() - began
    own_after, theirs_after = all_queued()
    waits = {p: theirs_after[p] - theirs.get(p, 0.0) for p in theirs_after if p in theirs}
    main = waits.pop(f"/proc/{pid}/task/{pid}/schedstat", 0.0)
    other = max(waits.values(), default=0.0)
    found.append((took, max(0.0, took - (own_after - own) - main - other)))
print(json.dumps({"pings": len(found), "failed": failed,
                  "worst_ms": round(1e3 * max(f[0] for f in found), 1),
                  "worst_beside_scheduler_ms": round(1e3 * max(f[1] for f in found), 1)}))
"""


class Pulse:
    """Asks ``/healthz`` all the time, from a process of its own; ``found`` at the end."""

    def __init__(self, port: int, pid: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(port), str(pid)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.found: dict[str, Any] = {}

    def __enter__(self) -> Pulse:
        return self

    def __exit__(self, *_: object) -> None:
        self.found = json.loads(self._process.communicate("")[0])
