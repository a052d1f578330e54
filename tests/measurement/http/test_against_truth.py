"""What the client says of a server whose latencies are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lengthwise.measurement.http.aio import AiohttpTransport
from lengthwise.measurement.http.client import Client, Target
from lengthwise.measurement.http.discover import find_target
from lengthwise.measurement.http.exchange import Transport
from lengthwise.measurement.http.load import closed_loop
from lengthwise.measurement.http.loop import run
from lengthwise.measurement.http.record import Job, Record
from lengthwise.measurement.http.wire import LeanTransport


def measure(
    url: str, *, transport: Callable[[str], Transport] = LeanTransport, endpoint: str = "auto",
    requests: int = 8, concurrency: int = 2, isl: int = 64, osl: int = 8, timeout_s: float = 10.0,
) -> tuple[Client, list[Record]]:  # fmt: skip
    async def go() -> tuple[Client, list[Record]]:
        carrier = transport(url)
        try:
            target = await find_target(carrier, url, endpoint=endpoint)
            client, records = Client(target, carrier, timeout_s=timeout_s), []
            jobs = (Job(f"r{i}", isl, osl) for i in range(requests))
            await closed_loop(client, jobs, concurrency, records.append)
            return client, records
        finally:
            await carrier.close()

    return run(go())


@pytest.mark.parametrize("transport", [LeanTransport, AiohttpTransport])
@pytest.mark.parametrize("endpoint", ["completions", "chat"])
def test_times_are_those_of_the_server(
    mock: Any, transport: Callable[[str], Transport], endpoint: str
) -> None:
    server = mock("--ttft-ms", "40", "--itl-ms", "10")
    _, records = measure(server.url, transport=transport, endpoint=endpoint)
    truth = server.truth()
    assert [r.error for r in records] == [""] * 8
    for record in records:
        true = truth[record.job.request_id]
        gaps_ms = np.diff(true["sent_ns"]) / 1e6
        assert len(record.gaps_ms) == len(gaps_ms) == 7
        assert record.tpot_ms == pytest.approx(record.gaps_ms.mean())
        assert record.ttft_ms is not None
        assert record.ttft_ms >= (true["sent_ns"][0] - true["received_ns"]) / 1e6
        assert record.e2e_ms is not None
        assert record.e2e_ms >= record.ttft_ms + record.gaps_ms.sum() - 1e-6
    errors = [r.gaps_ms - np.diff(truth[r.job.request_id]["sent_ns"]) / 1e6 for r in records]
    assert np.median(np.abs(np.concatenate(errors))) < 3.0
    assert 40 < np.median([r.ttft_ms for r in records]) < 80


def test_lengths_and_counts_of_token_ids(mock: Any) -> None:
    client, records = measure(mock().url, isl=200, osl=5)
    assert client.target.ids
    assert client.target.model == "mock-llm"
    assert {(r.isl_server, r.osl_server, r.osl_client) for r in records} == {(200, 5, 5)}


def test_words_are_calibrated_where_ids_are_refused(mock: Any) -> None:
    client, records = measure(mock("--refuse-ids", "--words-per-token", "0.5").url, isl=200)
    assert not client.target.ids
    assert client.target.tokens_per_word == pytest.approx(2.0)
    assert {r.isl_server for r in records} == {200}


def test_the_template_of_a_chat_is_calibrated(mock: Any) -> None:
    client, records = measure(mock().url, endpoint="chat", isl=200)
    assert client.target.template_tokens == pytest.approx(7.0)
    assert {r.isl_server for r in records} == {200}


def test_no_two_prompts_are_alike(mock: Any) -> None:
    client, _ = measure(mock().url, requests=1)
    bodies = {client.exchange(Job("a", 64, 8)).payload[:120] for _ in range(50)}
    assert len(bodies) == 50


def test_a_server_that_refuses_extras_is_asked_without(mock: Any) -> None:
    client, records = measure(mock("--refuse-extras").url)
    assert set(client.target.extras) == {"stream_options"}
    assert "ignore_eos" in client.target.notes[0]
    assert all(r.ok for r in records)


def test_bundled_tokens_are_counted_by_the_server(mock: Any) -> None:
    _, records = measure(mock("--tokens-per-chunk", "4", "--itl-ms", "5").url, osl=16)
    assert {(r.osl, r.osl_server, r.osl_client) for r in records} == {(16, 16, 4)}
    assert all(r.token_mismatch for r in records)
    tpot = np.median([r.tpot_ms for r in records])  # three gaps of 20 ms over 12 tokens
    assert tpot == pytest.approx(5.0, rel=0.2)
    assert not any(len(r.itl_ms) for r in records)


def test_without_counts_of_the_server_chunks_count(mock: Any) -> None:
    _, records = measure(mock("--no-usage").url)
    assert {(r.osl_server, r.osl, r.isl_server) for r in records} == {(None, 8, None)}


def test_a_single_token_has_no_tpot(mock: Any) -> None:
    _, records = measure(mock().url, osl=1)
    assert {r.tpot_ms for r in records} == {None}
    assert all(r.ttft_ms and r.e2e_ms and not len(r.gaps_ms) for r in records)


def test_cached_tokens_are_kept(mock: Any) -> None:
    _, records = measure(mock("--cached-tokens", "32").url)
    assert {r.cached_tokens for r in records} == {32}


def failing(url: str, timeout_s: float, transport: Callable[[str], Transport]) -> list[Record]:
    """Send to a server that fails, past the probe, which would meet the failure first."""

    async def go() -> list[Record]:
        carrier = transport(url)
        client = Client(Target(url, "/v1/completions", "mock-llm"), carrier, timeout_s=timeout_s)
        records: list[Record] = []
        try:
            jobs = (Job(f"r{i}", 16, 8) for i in range(4))
            await closed_loop(client, jobs, 2, records.append)
        finally:
            await carrier.close()
        return records

    return run(go())


@pytest.mark.parametrize("transport", [LeanTransport, AiohttpTransport])
@pytest.mark.parametrize(
    ("options", "label", "words"),
    [
        (("--error-share", "1"), "http_500", "injected error"),
        (("--error-share", "1", "--error-status", "429"), "http_429", "injected error"),
        (("--disconnect-share", "1"), "disconnect", ""),
        (("--stall-share", "1"), "timeout", "0.3 s"),
        (("--malformed-share", "1"), "malformed", "not JSON"),
    ],
)
def test_failures_are_labelled(
    mock: Any, transport: Callable[[str], Transport], options: tuple[str, ...], label: str,
    words: str,
) -> None:  # fmt: skip
    patience_s = 0.3 if label == "timeout" else 30.0  # a busy machine may stall the other answers
    records = failing(mock(*options).url, patience_s, transport)
    assert [r.error for r in records] == [label] * 4
    assert all(words in r.detail for r in records)
    assert all(r.ttft_ms is None and r.e2e_ms is None for r in records)


@pytest.mark.parametrize("transport", [LeanTransport, AiohttpTransport])
def test_a_closed_port_is_labelled(mock: Any, transport: Callable[[str], Transport]) -> None:
    server = mock()
    server.process.terminate()
    server.process.wait(10)
    assert [r.error for r in failing(server.url, 5.0, transport)] == ["connect"] * 4


def test_a_closed_loop_keeps_its_number_in_flight(mock: Any) -> None:
    _, records = measure(mock().url, requests=12, concurrency=4)
    seen = [r.in_flight for r in records]
    assert max(seen) == 4
    edges = sorted((t, step) for r in records for t, step in ((r.sent_ns, 1), (r.last_ns, -1)))
    running = np.cumsum([step for _, step in edges])
    assert running.max() == 4
