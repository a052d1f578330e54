"""Servers that real tools can measure, and how real tools are started.

Each tool needs an environment of its own; it is named by a variable, or found on the path:

==========================  ====================================================================
LENGTHWISE_AIPERF           program ``aiperf``
LENGTHWISE_GUIDELLM         program ``guidellm``
LENGTHWISE_VLLM_BENCH       command, by default ``vllm bench serve``
LENGTHWISE_SGLANG_BENCH     command such as ``/opt/sglang/bin/python -m sglang.bench_serving``
LENGTHWISE_GENAI_PERF       program ``genai-perf``, with ``perf_analyzer`` beside it
LENGTHWISE_OPTIMUM          Python that has ``optimum-benchmark`` and torch
==========================  ====================================================================
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

TTFT_MS, ITL_MS = 30.0, 8.0
ISL, OSL, REQUESTS, CONCURRENCY = 100, 16, 12, 2
TIMEOUT_S = 240

BYTES = sorted({*range(33, 127), *range(161, 173), *range(174, 256)})


@dataclass(frozen=True)
class Server:
    """A server: ``known`` when every one of its times is."""

    url: str
    model: str
    known: bool


def tool(variable: str, *default: str) -> list[str]:
    """Words that start a tool; skips where it is absent."""
    named = os.environ.get(variable)
    if named:
        return shlex.split(named)
    if default and shutil.which(default[0]):
        return list(default)
    pytest.skip(f"needs {default[0] if default else 'a tool'}: install it, or set {variable}")


def run(*words: object, **environment: str) -> str:
    """Run a tool to its end without reaching for a model hub, and give what it said.

    A variable of the environment that is given empty is not set.
    """
    quiet = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1"}
    variables = {**os.environ, **quiet, **environment}
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=TIMEOUT_S,
        check=False, env={name: text for name, text in variables.items() if text},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@contextmanager
def mock_server() -> Iterator[Server]:
    """The server that waits as long as it is told."""
    pytest.importorskip("aiohttp")
    words = ["--port", "0", "--ttft-ms", TTFT_MS, "--ttft-ms-per-token", 0, "--itl-ms", ITL_MS]
    command = [sys.executable, "-m", "lengthwise.measurement.http.mock", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(process.stdout.readline().split()[-1], "mock-llm", known=True)
        finally:
            process.terminate()


@contextmanager
def llama_server() -> Iterator[Server]:
    """llama.cpp with random weights: a real server, whose vocabulary is the tokenizer's below."""
    pytest.importorskip("xllamacpp")
    pytest.importorskip("gguf")
    from lengthwise.measurement.engine import EngineOptions
    from lengthwise.measurement.engines import open_engine

    engine = open_engine("llamacpp", EngineOptions(max_tokens=2048, max_batch=CONCURRENCY))
    try:
        yield Server(engine.url, str(engine.labels["model"]), known=False)
    finally:
        engine.close()


def write_tokenizer(folder: Path) -> Path:
    """Write a byte-level tokenizer without merges: it counts letters, far more than a server."""
    folder.mkdir()
    letters = [chr(b) for b in BYTES] + [chr(256 + i) for i in range(256 - len(BYTES))]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    vocabulary = {letter: index for index, letter in enumerate(["<s>", "</s>", *letters])}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": None, "pre_tokenizer": level, "post_processor": None, "decoder": level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }))  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
    }))  # fmt: skip
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return folder
