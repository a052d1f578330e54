"""Time prefill and decode steps of openvino-genai on this machine: the package's own first table.

Every ``step()`` of a ContinuousBatchingPipeline is timed by wall clock and by process CPU time (on
one thread the latter is the uncontended latency). Repeats are the outer loop and the points of a
repeat are shuffled, so that slow drift of the machine spreads over all lengths.

    python measure_openvino.py OUT_DIR [--repeats 7] [--models a,b] [--lengths 1,2,4]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
import openvino as ov
import openvino_genai as og
import pandas as pd

from lengthwise.measurement.random_model import PRESETS, write_gguf

LENGTHS = [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384]
BATCHES = [1, 2, 4, 8]
DECODE_STEPS = 8
PROPERTIES = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "bf16"}
MAX_BATCH_TOKENS = {"random-llama-19m": 65536, "random-llama-56m": 32768}


SHAPES = {name: PRESETS[name] for name in MAX_BATCH_TOKENS}


def pipeline(path: Path) -> og.ContinuousBatchingPipeline:
    scheduler = og.SchedulerConfig()
    scheduler.cache_size = 4
    scheduler.max_num_batched_tokens = 131072
    scheduler.max_num_seqs = 64
    scheduler.enable_prefix_caching = False
    scheduler.dynamic_split_fuse = False
    return og.ContinuousBatchingPipeline(str(path), scheduler, "CPU", PROPERTIES)


def run_point(pipe, rng: random.Random, isl: int, batch_size: int, ids: list[int]) -> list[dict]:
    """Prefill ``batch_size`` random prompts of ``isl`` tokens together, then decode a few steps."""
    config = og.GenerationConfig()
    config.max_new_tokens = DECODE_STEPS + 1
    config.ignore_eos = True
    config.do_sample = False
    handles = []
    for _ in range(batch_size):
        prompt = np.array([[rng.randrange(5, 32000) for _ in range(isl)]], dtype=np.int64)
        handles.append(pipe.add_request(ids[0], ov.Tensor(prompt), config))
        ids[0] += 1
    events = []
    while pipe.has_non_finished_requests():
        cpu, wall = time.process_time(), time.perf_counter()
        pipe.step()
        wall_ms = (time.perf_counter() - wall) * 1e3
        cpu_ms = (time.process_time() - cpu) * 1e3
        index = len(events)
        events.append({
            "phase": "decode" if index else "prefill", "isl": isl, "batch_size": batch_size,
            "context_len": isl + index, "query_len": 1 if index else isl, "cached_tokens": 0,
            "latency_ms": round(wall_ms, 4), "cpu_ms": round(cpu_ms, 4), "output_index": index,
            "load1": round(os.getloadavg()[0], 2), "timestamp": round(time.time(), 3),
        })  # fmt: skip
    for handle in handles:
        handle.read_all()
    return events


def is_warmup(event: dict, repeat: int) -> bool:
    """Mark what is not a steady step.

    The first visit of a point compiles its shapes; the first two decode steps after a prefill still
    change shapes and caches; the last one also takes the finished sequences down.
    """
    return repeat == 0 or event["output_index"] in (1, 2, DECODE_STEPS)


def measure(model: str, folder: Path, repeats: int, lengths: list[int]) -> pd.DataFrame:
    pipe = pipeline(write_gguf(SHAPES[model], folder / f"{model}.gguf"))
    rng, ids, rows = random.Random(0), [0], []
    points = [p for p in product(lengths, BATCHES) if p[0] * p[1] <= MAX_BATCH_TOKENS[model]]
    for isl, batch_size in [(32, 1), (512, 1), (512, 4)]:
        rows += [
            e | {"repeat": -1, "warmup": True} for e in run_point(pipe, rng, isl, batch_size, ids)
        ]
    for repeat in range(repeats):
        rng.shuffle(points)
        for isl, batch_size in points:
            events = run_point(pipe, rng, isl, batch_size, ids)
            rows += [e | {"repeat": repeat, "warmup": is_warmup(e, repeat)} for e in events]
        print(f"{model}: repeat {repeat + 1} of {repeats} done", flush=True)
    table = pd.DataFrame(rows)
    return table.assign(
        model=model, hardware="cpu-epyc-1thread", engine="openvino-genai",
        engine_version=version("openvino-genai"), precision="bf16", tp=1,
        clock="server", source="lengthwise/own-openvino-cpu",
    )  # fmt: skip


def manifest(args: argparse.Namespace, seconds: float, table: pd.DataFrame) -> dict:
    cpu = subprocess.run(["lscpu", "--json"], capture_output=True, text=True, check=True).stdout
    fields = {f["field"].rstrip(":"): f["data"] for f in json.loads(cpu)["lscpu"]}
    keep = ["Architecture", "Model name", "CPU(s)", "L2", "L2 cache", "L3", "L3 cache"]
    return {
        "schema_version": 1,
        "what": "step times of openvino-genai ContinuousBatchingPipeline, one thread",
        "date": datetime.now(UTC).date().isoformat(),
        "command": f"python measure_openvino.py OUT_DIR --repeats {args.repeats} --models {args.models} --lengths {args.lengths}",
        "machine": {k: fields[k] for k in keep if k in fields}
        | {"memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)},
        "bf16_in_hardware": "avx512_bf16" in fields.get("Flags", ""),
        "system": f"{platform.system()} {platform.release()}",
        "versions": {p: version(p) for p in ("openvino", "openvino-genai", "numpy", "gguf")}
        | {"python": platform.python_version()},
        "properties": PROPERTIES,
        "scheduler": "no prefix cache, no split-fuse: one prefill is one step",
        "models": {n: SHAPES[n].__dict__ | {"parameters": SHAPES[n].parameters} for n in args.models.split(",")},
        "protocol": "repeats interleaved, points shuffled in each; marked warmup: 3 first points, "
        "repeat 0, and the first two and the last decode step of each request (set-up and "
        "tear-down of shapes, caches and sequences: up to 2.3, 1.2 and 1.2 times a steady step)",
        "seed": 0, "repeats": args.repeats, "rows": len(table), "seconds": round(seconds, 1),
        "median_wall_over_cpu": round(float((table.latency_ms / table.cpu_ms).median()), 4),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--models", default=",".join(SHAPES))
    parser.add_argument("--lengths", default=",".join(map(str, LENGTHS)))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    lengths = [int(n) for n in args.lengths.split(",")]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        parts = [measure(m, Path(folder), args.repeats, lengths) for m in args.models.split(",")]
    table = pd.concat(parts, ignore_index=True)
    table.to_parquet(args.out / "openvino_cpu.parquet", index=False)
    text = json.dumps(manifest(args, time.perf_counter() - start, table), indent=2)
    (args.out / "openvino_cpu.manifest.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
