"""Measure how fast lengthwise itself is, and write ``benchmarks/results/speed.json``.

    LENGTHWISE_DATA=... OMP_NUM_THREADS=1 python benchmarks/speed.py

CPU time on one thread, medians of repetitions; about two CPU minutes. Limits: fit of one deployment
1 CPU s, one scalar prediction 20 us, 10 million points per CPU second (of arrays, and of rows of a
DataFrame of one deployment), import and --help 0.3 CPU s, ``predict`` with a law file 0.7 CPU s.
"""

from __future__ import annotations

import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import lengthwise
from lengthwise import LatencyLaw, dataset
from lengthwise.data.identity import deployment_of
from lengthwise.errors import LengthwiseError

OUT = Path(__file__).parent / "results" / "speed.json"
REPEATS = 3
CALLS = 20_000
POINTS = 4_000_000
STREAM_ROWS = (1_000_000, 10_000_000, 100_000_000)
PIECE = 500_000

STREAM = """
import json, resource, sys, time
from lengthwise import LatencyLaw
from lengthwise.prediction.streaming import predict_file
law = LatencyLaw.load(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
start = time.process_time()
report = predict_file(law, sys.argv[2], sys.argv[3])
print(json.dumps({
    "rows": report.rows, "predicted": report.predicted,
    "cpu_s": round(time.process_time() - start, 2), "rss_before_mib": round(before),
    "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
}))
"""


def cpu_s(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median CPU time of ``work``, seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return median(times)


def deployments(name: str) -> dict[str, pd.DataFrame]:
    """Tables of the deployments of a dataset; none when it is not on this machine."""
    try:
        table = dataset(name)
    except LengthwiseError as error:
        print(f"left out: {error}", file=sys.stderr)
        return {}
    keys = deployment_of(table)
    return {str(key): rows for key, rows in table.groupby(keys, observed=True)}


def fit_times(name: str) -> tuple[dict[str, Any], list[LatencyLaw]]:
    """CPU time of fitting each deployment alone, prefill and decode together."""
    times, laws = {}, []
    for key, rows in deployments(name).items():
        times[key] = round(cpu_s(lambda rows=rows: LatencyLaw().fit(rows)), 3)
        laws.append(LatencyLaw(max_extrapolation=None).fit(rows))
    if not times:
        return {}, []
    summary = {"median_cpu_s": median(times.values()), "worst_cpu_s": max(times.values())}
    return summary | {"deployments": times}, laws


def scalar_us(law: LatencyLaw, phase: str) -> float:
    """CPU time of one compiled prediction, microseconds."""
    rng = np.random.default_rng(0)
    length = np.geomspace(16, 100_000, CALLS).round().tolist()
    batch = rng.integers(1, 64, CALLS).tolist()
    at = law.at(phase=phase)
    third = rng.integers(0, 16, CALLS).tolist()  # cached tokens of a prefill

    def prefill() -> None:
        for n, b, k in zip(length, batch, third, strict=True):
            at(n, b, k)

    def decode() -> None:
        for n, b in zip(length, batch, strict=True):
            at(n, b)

    def request() -> None:
        for n, b, k in zip(length, batch, third, strict=True):
            at(n, 100, b, k)

    return cpu_s({"prefill": prefill, "decode": decode, "request": request}[phase]) / CALLS * 1e6


def points_per_cpu_s(law: LatencyLaw, phase: str) -> float:
    """Points per CPU second of the array path, lengths and batches all different."""
    rng = np.random.default_rng(0)
    length = np.exp(rng.uniform(np.log(16), np.log(100_000), POINTS)).round()
    batch = rng.integers(1, 64, POINTS).astype(float)
    name = "isl" if phase == "prefill" else "context_len"
    return POINTS / cpu_s(lambda: law.predict_arrays(phase, **{name: length}, batch_size=batch))


def rows_per_cpu_s(law: LatencyLaw, phase: str, kind: str) -> float:
    """Rows per CPU second of ``predict`` on a DataFrame whose column ``phase`` is of a kind."""
    rng = np.random.default_rng(0)
    length = np.exp(rng.uniform(np.log(16), np.log(100_000), POINTS)).astype(int)
    name = "isl" if phase == "prefill" else "context_len"
    frame = pd.DataFrame({
        "phase": pd.Series([phase] * POINTS, dtype=kind), name: length,
        "batch_size": rng.integers(1, 64, POINTS),
    })  # fmt: skip
    return POINTS / cpu_s(lambda: law.predict(frame))


def predict_cold_cpu_s(law: LatencyLaw) -> float:
    """CPU time of ``lengthwise predict`` on a law file, the start of Python included, seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/law.json"
        law.save(path)
        return child_cpu_s(
            ["-m", "lengthwise", "predict", path, "--phase", "prefill", "--isl", "65536"]
        )


def child_cpu_s(words: list[str], repeats: int = 9) -> float:
    """Median CPU time of a process, user and system, seconds."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    times = []
    for _ in range(repeats):
        start = used()
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
        times.append(used() - start)
    return round(median(times), 3)


def stream(law: LatencyLaw, rows: int) -> dict[str, Any]:
    """Predict a generated Parquet table of requests' prefills from file to file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        law.save(folder / "law.json")
        _generate(folder / "in.parquet", rows)
        files = [str(folder / n) for n in ("law.json", "in.parquet", "out.parquet")]
        done = subprocess.run([sys.executable, "-c", STREAM, *files], check=True,
                              stdout=subprocess.PIPE, text=True)  # fmt: skip
        return dict(json.loads(done.stdout))


def _generate(path: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    schema = pa.schema([("phase", pa.string()), ("isl", pa.int64()), ("batch_size", pa.int64())])
    with pq.ParquetWriter(path, schema) as writer:
        for _ in range(rows // PIECE):
            writer.write_table(pa.table({
                "phase": pa.array(["prefill"] * PIECE),
                "isl": rng.integers(1, 100_000, PIECE),
                "batch_size": rng.integers(1, 9, PIECE),
            }, schema=schema))  # fmt: skip


def spread(values: list[float], digits: int) -> dict[str, float]:
    """Median, least and greatest."""
    found = {"median": median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) for name, value in found.items()}


def main() -> None:
    result: dict[str, Any] = {
        "lengthwise": lengthwise.__version__, "python": platform.python_version(),
        "numpy": np.__version__, "machine": platform.machine(), "threads": 1,
    }  # fmt: skip
    laws: list[LatencyLaw] = []
    for name in ("own-openvino-cpu", "splitwise"):
        result[f"fit {name}"], fitted = fit_times(name)
        laws += fitted
    result["scalar_us"] = {
        phase: spread([scalar_us(law, phase) for law in laws], 2)
        for phase in ("prefill", "decode", "request")
    }
    result["million_points_per_cpu_s"] = {
        phase: spread([points_per_cpu_s(law, phase) / 1e6 for law in laws], 1)
        for phase in ("prefill", "decode")
    }
    result["million_rows_per_cpu_s_dataframe"] = {
        f"{phase}, {kind}": spread([rows_per_cpu_s(law, phase, kind) / 1e6 for law in laws], 1)
        for phase in ("prefill", "decode") for kind in ("category", "object")
    }  # fmt: skip
    result["import_cpu_s"] = child_cpu_s(["-c", "import lengthwise"])
    result["help_cpu_s"] = child_cpu_s(["-m", "lengthwise", "--help"])
    result["predict_cold_cpu_s"] = predict_cold_cpu_s(laws[0])
    result["bare_python_cpu_s"] = child_cpu_s(["-c", "pass"])
    result["stream"] = [stream(laws[0], rows) for rows in STREAM_ROWS]
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
