"""CPU seconds of commands in fresh processes, and the packages whose import dominates them.

    OMP_NUM_THREADS=1 python benchmarks/cold.py

Writes ``benchmarks/results/cold.json``: for each command the least and the median of user plus
system seconds over runs, its limit, and the share of importing by package (``-X importtime``, which
itself adds to them). A busy neighbour on the same core makes CPU seconds longer; the least of the
runs is nearest to the command alone, and the load of the machine is written beside.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

OUT = Path(__file__).parent / "results" / "cold.json"
RUNS = 7
SHOWN = 6
IMPORTED = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")
HERE = ("--model", "llama3.1-8b", "--hardware", "h100_sxm", "--isl", "8192", "--osl", "512")
COMMANDS: dict[str, tuple[tuple[str, ...], float]] = {
    "--help": (("--help",), 0.1),
    "predict, no law": (("predict", *HERE), 0.7),
    "predict, law": (("predict", "law.json", "--isl", "8192", "--osl", "512"), 0.7),
    "predict, step law": (("predict", "step.json", *HERE), 0.7),
    "import": (("import", "table.csv", "-o", "imported.csv", "--force"), 0.7),
    "fit, 18 rows": (("fit", "table.csv", "-o", "again.json"), 2.0),
    "report, 18 rows": (("report", "table.csv", "-o", "page.html"), 5.0),
}
"""Words and limit of each command, CPU seconds."""


def write_inputs(folder: Path) -> None:
    rows = [f"prefill,{n},,{5 + n / 10 + n * n / 1e6 + 0.1 * r:.3f}"
            for n in (128, 256, 512, 1024, 2048, 4096) for r in range(2)]  # fmt: skip
    rows += [f"decode,,{n},{9 + n / 5000:.3f}" for n in (128, 512, 1024, 2048, 4096, 8192)]
    (folder / "table.csv").write_text("phase,isl,context_len,latency_ms\n" + "\n".join(rows) + "\n")
    runs = [
        f"request,llama3.1-8b,h100_sxm,vllm,{n},128,1,{20 + n / 40:.2f},7.1" for n in (512, 4096)
    ]
    head = "phase,model,hardware,engine,isl,osl,concurrency,ttft_ms,tpot_ms\n"
    (folder / "runs.csv").write_text(head + "\n".join(runs) + "\n")
    for words in (("fit", "table.csv", "-o", "law.json"),
                  ("fit", "runs.csv", "--formulation", "step", "-o", "step.json")):  # fmt: skip
        subprocess.run(command(words), cwd=folder, check=True, capture_output=True)


def command(words: tuple[str, ...], *options: str) -> list[str]:
    return [sys.executable, *options, "-m", "lengthwise", *words]


def cpu_s(words: tuple[str, ...], folder: Path) -> float:
    quiet = subprocess.DEVNULL
    child = subprocess.Popen(command(words), cwd=folder, stdout=quiet, stderr=quiet)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(words)} failed")
    return used.ru_utime + used.ru_stime


def import_s(words: tuple[str, ...], folder: Path) -> dict[str, float]:
    done = subprocess.run(command(words, "-X", "importtime"), cwd=folder, capture_output=True,
                          text=True, check=True)  # fmt: skip
    by_package: Counter[str] = Counter()
    for us, module in IMPORTED.findall(done.stderr):
        by_package[module.split(".")[0]] += int(us)
    return {name: round(us / 1e6, 3) for name, us in by_package.most_common(SHOWN)}


def measured(words: tuple[str, ...], limit: float, folder: Path) -> dict[str, Any]:
    runs = [cpu_s(words, folder) for _ in range(RUNS)]
    return {"limit_s": limit, "least_s": round(min(runs), 3), "median_s": round(median(runs), 3),
            "import_wall_s": import_s(words, folder)}  # fmt: skip


def main() -> int:
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        found = {what: measured(words, limit, folder) for what, (words, limit) in COMMANDS.items()}
    machine = {"machine": platform.machine(), "cpus": os.cpu_count(),
               "load_average": round(os.getloadavg()[0], 1), "python": platform.python_version(),
               "runs": RUNS}  # fmt: skip
    OUT.write_text(json.dumps({**machine, "commands": found}, indent=1) + "\n")
    for what, row in found.items():
        print(f"{what:<20}{row['least_s']:.2f} s of {row['limit_s']:g}")
    return int(any(row["least_s"] > row["limit_s"] for row in found.values()))


if __name__ == "__main__":
    raise SystemExit(main())
