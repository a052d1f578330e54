"""A real tool measures a server of known latency, and its real files are imported.

Skipped where the tool is not installed: put ``aiperf`` on the path, or its program in
``LENGTHWISE_AIPERF`` (it needs an environment of its own).
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lengthwise.data.importing import import_table

AIPERF = os.environ.get("LENGTHWISE_AIPERF") or shutil.which("aiperf")
TTFT_MS, ITL_MS, OSL, REQUESTS, WARM_UP = 30.0, 8.0, 16, 24, 3

BYTES = sorted({*range(33, 127), *range(161, 173), *range(174, 256)})


def write_tokenizer(folder: Path) -> Path:
    """Write a byte-level tokenizer without merges: it counts letters, far more than the server."""
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


@pytest.fixture
def server() -> Iterator[str]:
    pytest.importorskip("aiohttp")
    words = ["--port", "0", "--ttft-ms", TTFT_MS, "--ttft-ms-per-token", 0, "--itl-ms", ITL_MS]
    process = subprocess.Popen(
        [sys.executable, "-m", "lengthwise.measurement.http.mock", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.readline()
    try:
        yield said.split()[-1]
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.skipif(AIPERF is None, reason="needs aiperf on the path or in LENGTHWISE_AIPERF")
def test_aiperf(server: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = [
        "--model", "mock-llm", "--url", server, "--endpoint-type", "chat", "--streaming",
        "--concurrency", 4, "--request-count", REQUESTS, "--warmup-request-count", WARM_UP,
        "--isl", 200, "--osl", OSL, "--ui", "none", "--artifact-dir", out,
        "--tokenizer", write_tokenizer(tmp_path / "tokenizer"),
    ]  # fmt: skip
    done = subprocess.run(
        [str(AIPERF), "profile", *map(str, words)], capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    table, report = import_table(out, constants={"hardware": "this machine"})
    assert report.rows_kept == len(table) == REQUESTS
    assert report.skipped["warmup request (left out)"] == WARM_UP
    assert (table["osl"] == OSL).all()
    assert (table["osl_client"] > OSL).all()
    assert table["tpot_ms"].median() == pytest.approx(ITL_MS, rel=0.15)
    assert TTFT_MS < table["ttft_ms"].median() < TTFT_MS + 30
    assert "token counts differ" in [flag.rule for flag in report.flags]
    printed = json.loads((out / "profile_export_aiperf.json").read_text())
    assert printed["inter_token_latency"]["avg"] < 0.6 * ITL_MS  # what the client's count makes
