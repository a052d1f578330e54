"""The page of the real service: what was reported is what is drawn."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import Page

TOKEN = "page-test"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    """Address of a service of its own that asks for a token."""
    pytest.importorskip("uvicorn")
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "lengthwise", "serve", "--port", "0", "--state",
             tmp_path / "state", "--token", f"{TOKEN}:write"],
            stdout=out, stderr=out,
        )  # fmt: skip
        try:
            yield address(log, process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def address(log: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text()):
            return found.group() + "/"
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise TimeoutError(log.read_text())


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=20) as answer:
        return json.load(answer)


def observations(n: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    tokens = rng.integers(100, 4000, n)
    running = rng.integers(1, 40, n)
    noise = np.exp(rng.normal(0.0, 0.05, n))
    return [
        {"request_id": f"r{i}", "input_tokens": int(tokens[i]), "running": int(running[i]),
         "ttft_ms": float((15 + 0.05 * tokens[i]) * noise[i]),
         "tpot_ms": float((8 + 0.2 * running[i]) * noise[i])}
        for i in range(n)
    ]  # fmt: skip


def test_reported_requests_appear_with_a_law_that_is_ready(browser: Page, service: str) -> None:
    browser.events.clear()
    rows = observations(260)
    for start in range(0, 260, 20):
        ask(service + "v1/observe", {"observations": rows[start : start + 20]})
    ask(service + "v1/observe", {"request_id": "bad", "input_tokens": 9, "ttft_ms": 1e11})
    browser.open(service)
    browser.wait("!document.getElementById('login').hidden")
    browser.evaluate(f"document.getElementById('token').value = {TOKEN!r}")
    browser.evaluate("document.querySelector('#login button').click()")
    browser.wait("document.getElementById('state').className === 'ready'", 60)
    browser.wait("document.getElementById('tiles').textContent.includes('261')", 60)
    recent = ask(service + "v1/live")["recent"]["ttft"]
    assert len(recent["time_s"]) > 5  # of many requests at once the service shows some
    assert max(recent["observed_ms"]) < 1e6  # the poisoned one is counted, not drawn
    marks = "[...document.querySelectorAll('#ttft svg[tabindex] path:is(.in,.out)')]"
    moves = f"{marks}.map(p => p.getAttribute('d').split('M').length - 1).reduce((a, b) => a + b)"
    browser.wait(f"{moves} === 2 * {len(recent['time_s'])}")
    browser.wait("document.getElementById('tiles').textContent.includes('quarantined1')", 60)
    for text in ("prefill", "start", "step"):
        assert text in browser.text("#law")
    assert "prompt length" in browser.text("#domain")
    assert browser.errors() == []
    browser.evaluate("sessionStorage.clear()")
    browser.call("Page.navigate", url="about:blank")
