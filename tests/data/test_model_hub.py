"""Models by their id on the hub, asked of a server that speaks as the hub does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")

SIZES = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
    "num_hidden_layers": 32, "vocab_size": 128256, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "max_position_embeddings": 8192,
}  # fmt: skip
QUANTISED = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}
FILES = {
    "/acme/plain/resolve/main/config.json": SIZES,
    "/acme/narrow/resolve/main/config.json": SIZES,
    "/acme/narrow/resolve/main/hf_quant_config.json": QUANTISED,
}
GATED = "/acme/gated/resolve/main/config.json"


class Hub(BaseHTTPRequestHandler):
    """Files of repositories with the headers the client looks at."""

    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        self.asked.append(self.path)
        content = FILES.get(self.path)
        data = b"" if content is None else json.dumps(content).encode()
        self.send_response(200 if content else 403 if self.path == GATED else 404)
        if content:
            self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        else:
            known = any(path.startswith(self.path.split("/resolve")[0]) for path in FILES)
            code = (
                "GatedRepo" if self.path == GATED else "EntryNotFound" if known else "RepoNotFound"
            )
            self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Stay quiet."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Environment of a process that asks this hub, and what it asked for."""
    handler = type("Asked", (Hub,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "hf"),
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    yield {**kept, **place, "HF_HUB_DISABLE_TELEMETRY": "1"}, handler.asked
    server.shutdown()
    server.server_close()


def predict(model: str, env: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    """Ask for a prediction as a user would."""
    command = [sys.executable, "-m", "lengthwise", "predict", "--model", model, "--hardware",
               "h100_sxm", "--isl", "1024", "--osl", "64", "--json", *more]  # fmt: skip
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def test_a_model_is_predicted_by_its_id(hub: tuple[dict[str, str], list[str]]) -> None:
    env, asked = hub
    plain, narrow = (predict(f"acme/{name}", env) for name in ("plain", "narrow"))
    assert (plain.returncode, narrow.returncode) == (0, 0), plain.stderr + narrow.stderr
    slow, fast = (json.loads(said.stdout)["tpot_ms"] for said in (plain, narrow))
    assert 4.0 < slow < 9.0
    assert fast < 0.8 * slow  # its second file says that weights have 8 bits
    assert not [path for path in asked if "config.json" not in path]


def test_what_was_fetched_is_kept(hub: tuple[dict[str, str], list[str]]) -> None:
    env, asked = hub
    first = predict("acme/plain", env)
    asked.clear()
    again = predict("acme/plain", env | {"HF_HUB_OFFLINE": "1"})
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert asked == []


@pytest.mark.parametrize("name", ["acme/gated", "nobody/nothing"])
def test_a_refusal_of_the_hub_is_told(name: str, hub: tuple[dict[str, str], list[str]]) -> None:
    said = predict(name, hub[0])
    assert said.returncode == 2
    assert name in said.stderr
    assert "the hub says" in said.stderr
    assert "config.json" in said.stderr
    assert "Traceback" not in said.stderr


def test_without_a_network_there_is_still_a_remedy(hub: tuple[dict[str, str], list[str]]) -> None:
    said = predict("acme/plain", hub[0] | {"HF_HUB_OFFLINE": "1"})
    assert said.returncode == 2
    assert "give the path of its config.json" in said.stderr


def test_a_hub_that_is_nowhere_is_not_waited_for(hub: tuple[dict[str, str], list[str]]) -> None:
    env, asked = hub
    first = predict("acme/plain", env)
    asked.clear()
    nowhere = env | {"HF_ENDPOINT": "http://hub.invalid"}
    began = time.monotonic()
    kept, new = predict("acme/plain", nowhere), predict("acme/narrow", nowhere)
    assert time.monotonic() - began < 15  # the client alone tries for 24 s each
    assert json.loads(kept.stdout) == json.loads(first.stdout)
    assert new.returncode == 2
    assert "http://hub.invalid cannot be found" in new.stderr
    assert "give the path of its config.json" in new.stderr
    assert asked == []
