"""Sound files of every kind that commands read, to be mutated: tables, results, laws, models."""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "data" / "formats"))

import exports  # noqa: E402
import request_exports  # noqa: E402
from printouts import PRINTOUTS  # noqa: E402
from test_chrome_trace import DECODE, PREFILL, trace  # noqa: E402
from test_forward_pass import MESSAGES, as_map  # noqa: E402
from test_llama_bench import as_csv, as_sql, record  # noqa: E402
from test_llmd_report import YAML  # noqa: E402
from test_means_json import CASES  # noqa: E402
from test_optimum_benchmark import CONFIG, REPORT  # noqa: E402
from test_otel_spans import USAGE, otlp, span  # noqa: E402
from test_prometheus import vllm  # noqa: E402
from test_static_batches import case  # noqa: E402
from versions_clients import CLIENTS  # noqa: E402
from versions_reports import REPORTS  # noqa: E402

from lengthwise.prediction.latency_law import LatencyLaw  # noqa: E402
from lengthwise.prediction.step_law import StepLaw  # noqa: E402

LAWS = ("hachiya-patias", "linear", "linear-plain", "quadratic", "quadratic-plain", "thesis-ridge",
        "distserve", "llumnix", "edgereasoning", "splitwise-interp", "power", "shifted-power",
        "blend", "cubic-ols", "bayesian-ridge")  # fmt: skip

Words = list[str]


@dataclass(frozen=True)
class Seed:
    """A sound file: its kind, name, suffix, content, and further words of the import."""

    kind: str
    name: str
    suffix: str
    content: bytes
    words: Words = field(default_factory=list)


def rows() -> pd.DataFrame:
    """Return a table of two models, 5 lengths and 2 batch sizes."""
    rng = random.Random(2)
    made = []
    for model, factor in (("a", 1.0), ("b", 2.2)):
        for length in (64, 256, 1024, 4096, 16384):
            for batch in (1, 4):
                work = length * batch
                point = {"model": model, "hardware": "h100", "engine": "vllm", "precision": "bf16"}
                ms = factor * (5 + 0.02 * work + 1e-6 * length * work) * rng.lognormvariate(0, 0.02)
                made.append({"phase": "prefill", **point, "isl": length, "batch_size": batch,
                             "latency_ms": round(ms, 5)})  # fmt: skip
                ms = factor * (6 + 0.05 * batch + 1e-5 * work) * rng.lognormvariate(0, 0.02)
                made.append({"phase": "decode", **point, "context_len": length, "batch_size": batch,
                             "latency_ms": round(ms, 5)})  # fmt: skip
    return pd.DataFrame(made)


def tables(folder: Path) -> list[Seed]:
    """Return the same table in each format, and one of other names."""
    table, found = rows(), []
    table.to_parquet(folder / "t.parquet")
    csv = table.to_csv(index=False)
    lines = "".join(
        json.dumps({k: v for k, v in row.items() if v == v}) + "\n"
        for row in table.to_dict("records")
    )
    timings = "prompt_tokens,seconds\n" + "".join(f"{n},{n / 1000}\n" for n in (8, 64, 512))
    given = ["--map", "isl=prompt_tokens", "--map", "latency_ms=seconds*1000", "--set",
             "phase=prefill"]  # fmt: skip
    for suffix, content in (
        ("csv", csv.encode()), ("tsv", csv.replace(",", "\t").encode()), ("jsonl", lines.encode()),
        ("csv.gz", gzip.compress(csv.encode(), mtime=0)),
        ("parquet", (folder / "t.parquet").read_bytes()),
    ):  # fmt: skip
        found.append(Seed("table", f"table.{suffix}", suffix, content))
    return [*found, Seed("table", "timings", "csv", timings.encode(), given)]


def results() -> list[Seed]:
    """Return files of every tool that is known, in every version of it."""
    requests = exports.run(6, failed=1)
    texts: dict[str, str] = {
        **{f"{name} requests": write(requests) for name, write in exports.PER_REQUEST.items()},
        **{f"{name} means": write(requests) for name, write in exports.MEANS.items()},
        **{f"{name} {i}": make(1.0)[0] for name, makes in PRINTOUTS.items()
           for i, make in enumerate(makes)},
        **{name: one.write(requests) for name, one in CASES.items()},
        "inferencex": json.dumps(request_exports.inferencex(requests, new=True)),
        "loadgen detail": request_exports.loadgen_detail(requests),
        "loadgen summary": request_exports.loadgen_summary(requests, "SingleStream"),
        "k6": request_exports.k6(requests, handled=True),
        "prometheus": vllm(), "llmd yaml": YAML, "otel": json.dumps(otlp(span(USAGE))),
        "vllm forward": json.dumps([case("prefill", 8000, (512, 512)),
                                    case("decode", 900, (1, 1000))]),
        "forward pass": "\n".join(json.dumps(as_map(m)) for m in MESSAGES),
        "optimum": json.dumps({"report": REPORT, "config": CONFIG}),
        "chrome trace": json.dumps(trace(PREFILL, DECODE)),
        "llama-bench csv": as_csv(BENCH), "llama-bench sql": as_sql(BENCH),
        "llama-bench json": json.dumps(BENCH),
    }  # fmt: skip
    for make in (*CLIENTS, *REPORTS):
        texts[f"version {make.__name__}"] = make(requests).text
    try:
        import yaml

        texts["guidellm yaml"] = yaml.safe_dump(exports.guidellm_report(requests))
    except ImportError:
        pass
    given = ["--set", "concurrency=4", "--set", "isl=512", "--set", "hardware=h100"]
    return [Seed("result", name, "txt", text.encode(), given if i % 3 else [])
            for i, (name, text) in enumerate(sorted(texts.items()))]  # fmt: skip


def laws(folder: Path) -> list[Seed]:
    """Return a law of each formulation that a file can hold, and a step law."""
    found = []
    table = rows()
    for name in LAWS:
        path = folder / f"{name}.json"
        LatencyLaw(name).fit(table).save(path)
        found.append(Seed("law", name, "json", path.read_bytes()))
    step = rows().assign(model="llama3.1-8b", hardware="h100_sxm")
    path = folder / "step.json"
    StepLaw().fit(step[step["latency_ms"] < 2000]).save(path)
    return [*found, Seed("step law", "step", "json", path.read_bytes())]


def models() -> list[Seed]:
    """Return configurations of models of several families."""
    dense = {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
             "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,
             "torch_dtype": "bfloat16"}  # fmt: skip
    experts = {"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768,
               "norm_topk_prob": True, "decoder_sparse_step": 1}  # fmt: skip
    latent = {"kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
              "qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": 256,
              "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 3,
              "moe_intermediate_size": 2048}  # fmt: skip
    hybrid = {"attn_layer_period": 8, "attn_layer_offset": 4, "mamba_d_state": 16,
              "mamba_d_conv": 4, "mamba_expand": 2, "mamba_dt_rank": 256}  # fmt: skip
    found: dict[str, dict[str, Any]] = {
        "llama": {"model_type": "llama", **dense},
        "qwen3_moe": {"model_type": "qwen3_moe", **dense, **experts},
        "deepseek_v3": {"model_type": "deepseek_v3", **dense, **latent, "quantization_config": {
            "quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}},
        "gemma3": {"model_type": "gemma3", "text_config": {
            **dense, "model_type": "gemma3_text", "head_dim": 256, "sliding_window": 1024,
            "sliding_window_pattern": 6, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}},
            "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}},
        "jamba": {"model_type": "jamba", **dense, **hybrid},
    }  # fmt: skip
    return [Seed("model", name, "json", json.dumps(config, indent=1).encode())
            for name, config in found.items()]  # fmt: skip


HARDWARE = """name = "my_gpu"
kind = "gpu"
memory_bandwidth_bytes_per_s = 1.008e12
memory_bytes = 24e9
tdp_w = 450
link_bytes_per_s = 3.2e10
gpus_per_node = 8
multiprocessors = 128
aliases = ["x", "y"]
[peak_flops]
bf16 = 165e12
fp8 = 330e12
[sources]
all = "measured"
"""

OPTIONS = """[deployment]
model = "llama3.1-8b"
hardware = "h100_sxm"
tp = 1
[predict]
isl = "8k"
osl = 64
json = true
"""


def seeds(folder: Path) -> list[Seed]:
    """Return all of them, made in a folder."""
    return [
        *tables(folder), *results(), *laws(folder), *models(),
        Seed("hardware", "hardware", "toml", HARDWARE.encode()),
        Seed("options", "options", "toml", OPTIONS.encode()),
    ]  # fmt: skip


def commands(seed: Seed, path: Path, target: Path, turn: int) -> list[Words]:
    """Return what is run on a mutated file."""
    return _COMMANDS[seed.kind](seed, str(path), str(target), turn)


def _of_table(seed: Seed, path: str, target: str, turn: int) -> list[Words]:
    if seed.kind == "table" and turn % 12 == 0 and not seed.words:
        law = f"{target}.law.json"
        return [["fit", path, "--formulation", "linear", "-o", law, "--force", "--json"]]
    return [["import", path, "-o", f"{target}.csv", "--force", "--json", *seed.words]]


def _of_law(seed: Seed, path: str, target: str, turn: int) -> list[Words]:
    end = ["--allow-extrapolation", "--json"]
    if seed.kind == "step law":
        return [["predict", path, "--isl", "64,1024,16384", "--osl", "64", "--model", "llama3.1-8b",
                 "--hardware", "h100_sxm", *end]]  # fmt: skip
    return [
        ["predict", path, "--isl", "64,1024,65536", "--batch-size", "4", "--model", "a", *end],
        ["predict", path, "--phase", "decode", "--context-len", "64,4096", "--model", "b", *end],
        ["predict", path, "--isl", "64,4096", "--osl", "100", "--model", "a", "--level", "0.5",
         *end],
    ]  # fmt: skip


def _of_model(seed: Seed, path: str, target: str, turn: int) -> list[Words]:
    named = (["--model", path, "--hardware", "h100_sxm"] if seed.kind == "model"
             else ["--model", "llama3.1-8b", "--hardware", path])  # fmt: skip
    if turn % 7 == 0:
        return [["explain", *named, "--isl", "1024", "--osl", "64", "--json"]]
    return [["predict", *named, "--isl", "64,1024,16384", "--osl", "64", "--json",
             "--allow-extrapolation"]]  # fmt: skip


def _of_options(seed: Seed, path: str, target: str, turn: int) -> list[Words]:
    return [["--config", path, "predict"]]


_COMMANDS: dict[str, Callable[[Seed, str, str, int], list[Words]]] = {
    "table": _of_table, "result": _of_table, "law": _of_law, "step law": _of_law,
    "model": _of_model, "hardware": _of_model, "options": _of_options,
}  # fmt: skip

BENCH = [record(512, 0, 0, [100_000_000, 110_000_000]), record(0, 128, 0, [900_000_000])]
