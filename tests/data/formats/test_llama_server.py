"""A real llama-server answers, and its own times agree with those of the client that waited."""

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import real

from lengthwise.data.importing import import_table

TOKENS = 16


def _post(url: str, body: dict[str, Any]) -> tuple[str, float]:
    head = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), head)
    start = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read().decode()
    return text, 1e3 * (time.perf_counter() - start)


def test_times_of_the_server_fit_into_those_of_the_client(tmp_path: Path) -> None:
    asked = {"max_tokens": TOKENS, "n_predict": TOKENS, "ignore_eos": True}
    with real.llama_server() as server:
        chat = {"model": server.model, "messages": [{"role": "user", "content": "hello " * 40}]}
        plain = {"prompt": "hello " * 60}
        done = [
            _post(f"{server.url}/v1/chat/completions", chat | asked),
            _post(f"{server.url}/v1/chat/completions", chat | asked),
            _post(f"{server.url}/completion", plain | asked),
        ]
        events, _ = _post(
            f"{server.url}/v1/chat/completions",
            chat | asked | {"stream": True, "timings_per_token": True},
        )
    path = tmp_path / "responses.jsonl"
    path.write_text("".join(text + "\n" for text, _ in done))
    table, report = import_table(path)
    assert report.format == "llama-server"
    assert not [flag for flag in report.flags if flag.rule == "file disagrees with itself"]
    assert (table["osl"] == TOKENS).all()
    told = json.loads(done[0][0])["usage"]["prompt_tokens"]
    assert table["isl"].tolist()[:2] == [told, told]
    assert table["cached_tokens"].iloc[1] > table["cached_tokens"].iloc[0] == 0
    assert (table["e2e_ms"] < [waited for _, waited in done]).all()
    parts = table["ttft_ms"] + (TOKENS - 1) * table["tpot_ms"]
    assert (parts - table["e2e_ms"]).abs().max() < 1e-6
    stream = tmp_path / "stream.txt"
    stream.write_text(events)
    table, _ = import_table(stream)
    assert table["osl"].tolist() == [TOKENS]
