"""Real engines on random-weight models; they skip where they are not installed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lengthwise.data.table import prepare
from lengthwise.data.work import work_of
from lengthwise.errors import InputError, LengthwiseError
from lengthwise.measurement.engine import Engine, EngineOptions, Shape
from lengthwise.measurement.engines import open_engine
from lengthwise.measurement.random_model import PRESETS, shape_of, write_gguf

NEEDS = {"openvino": "openvino_genai", "llamacpp": "xllamacpp"}
SMALL = EngineOptions(max_tokens=1100, max_batch=2)


@pytest.fixture(scope="module", params=list(NEEDS))
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    pytest.importorskip(NEEDS[request.param])
    opened = open_engine(request.param, SMALL)
    yield opened
    opened.close()


def test_steps_say_what_was_in_them(engine: Engine) -> None:
    events = engine.run(Shape(200, 2, decode_steps=4))
    assert [e.phase for e in events] == ["prefill"] + 4 * ["decode"]
    assert [e.context_len for e in events] == [200, 201, 202, 203, 204]
    assert [e.output_index for e in events] == [0, 1, 2, 3, 4]
    assert events[0].query_len == 200
    assert all(e.query_len == 1 for e in events[1:])
    assert all(e.batch_size == 2 for e in events)
    assert all(e.latency_ms > 0 and e.cpu_ms > 0 for e in events)
    labels = pd.DataFrame([e.to_row() | dict(engine.labels) for e in events])
    assert len(prepare(labels)) == 5


def test_longer_prompts_cost_more(engine: Engine) -> None:
    def cpu_ms(n: int) -> float:
        return float(np.median([engine.run(Shape(n, 1, 0))[0].cpu_ms for _ in range(4)]))

    assert cpu_ms(1024) > 3 * cpu_ms(64)


def test_llamacpp_keeps_prefixes_and_says_how_much() -> None:
    pytest.importorskip("xllamacpp")
    opened = open_engine("llamacpp", SMALL)
    try:
        whole, chunk = (opened.run(Shape(1024, 1, 0, cached_tokens=k))[0] for k in (0, 768))
    finally:
        opened.close()
    assert (whole.cached_tokens, whole.query_len) == (0, 1024)
    assert chunk.cached_tokens == pytest.approx(768, abs=2)
    assert chunk.query_len + chunk.cached_tokens == 1024
    assert chunk.latency_ms < whole.latency_ms


def test_a_server_that_dies_ends_with_a_message() -> None:
    pytest.importorskip("xllamacpp")
    from lengthwise.measurement.engines.llamacpp import LlamaCppEngine

    opened = LlamaCppEngine(SMALL)
    try:
        opened.run(Shape(64, 1, 1))
        os.kill(opened.pid, signal.SIGKILL)
        with pytest.raises(LengthwiseError, match=r"must answer every request.*--resume"):
            opened.run(Shape(64, 1, 1))
    finally:
        opened.close()


def test_mixed_steps_hold_a_chunk_and_the_running_decodes() -> None:
    pytest.importorskip("openvino_genai")
    opened = open_engine("openvino", EngineOptions(
        max_tokens=2000, max_batch=4, settings={"chunk": "256"}
    ))  # fmt: skip
    try:
        events = opened.run(Shape(900, 4, 0, running=3, running_context=64))
    finally:
        opened.close()
    assert [e.phase for e in events] == 4 * ["mixed"]
    assert [e.sum_query_len for e in events] == [256, 256, 256, 900 - 3 * 253 + 3]
    assert len(prepare(pd.DataFrame([e.to_row() for e in events]))) == 4


@pytest.mark.parametrize("name", list(NEEDS))
def test_a_prompt_in_chunks_has_a_row_per_step(name: str) -> None:
    pytest.importorskip(NEEDS[name])
    opened = open_engine(name, EngineOptions(max_tokens=1100, settings={"chunk": "256"}))
    try:
        opened.run(Shape(900, 1, 2))
        events = opened.run(Shape(900, 1, 2))
        with pytest.raises(InputError, match="goes alone"):
            opened.run(Shape(64, 2))
    finally:
        opened.close()
    assert [e.phase for e in events] == 4 * ["prefill"] + 2 * ["decode"]
    assert [e.query_len for e in events[:4]] == [256, 256, 256, 132]
    assert [e.cached_tokens for e in events[:4]] == [0, 256, 512, 768]
    assert [e.output_index for e in events] == [0, 0, 0, 0, 1, 2]
    assert [e.context_len for e in events[4:]] == [901, 902]
    assert all(e.latency_ms > 0 for e in events)
    assert {e.extra["request_isl"] for e in events[:4]} == {900}
    table = prepare(pd.DataFrame([e.to_row() | dict(opened.labels) for e in events]))
    assert work_of(table[table["phase"] == "prefill"]).kv_tokens.tolist() == [256, 512, 768, 900]


@pytest.mark.parametrize("quantisation", ["f16", "q8_0", "q4_0"])
def test_random_models_have_the_size_of_their_shape(quantisation: str, tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    shape = PRESETS["random-llama-19m"]
    path = write_gguf(shape, tmp_path / "m.gguf", quantisation)
    reader = gguf.GGUFReader(path)
    assert sum(t.n_elements for t in reader.tensors) == pytest.approx(shape.parameters, rel=1e-3)
    bits = {"f16": 16, "q8_0": 8.5, "q4_0": 4.5}[quantisation]
    assert path.stat().st_size == pytest.approx(shape.parameters * bits / 8, rel=0.08)


def test_a_config_gives_a_shape(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8, "head_dim": 128,'
        '"num_key_value_heads": 2, "intermediate_size": 1024, "vocab_size": 1000}'
    )
    shape = shape_of(str(tmp_path), 99_000)
    assert (shape.layers, shape.head_dim, shape.kv_heads, shape.context) == (6, 128, 2, 99_000)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tgi", EngineOptions(), "the engine must be one of"),
        ("openvino", EngineOptions(model="nothing.gguf"), "GGUF file that exists"),
        ("openvino", EngineOptions(model="llama-900b"), "GGUF file, a config.json or one of"),
        ("openvino", EngineOptions(precision="fp3"), "precision of openvino must be one of"),
        ("openvino", EngineOptions(settings={"speed": "9"}), "settings of openvino are"),
        ("llamacpp", EngineOptions(device="cuda"), "runs on the CPU here"),
        ("llamacpp", EngineOptions(settings={"flash": "maybe"}), "flash of llamacpp must be one"),
        ("llamacpp", EngineOptions(precision="q1"), "precision of a random GGUF must be one of"),
    ],
)
def test_engines_refuse_what_they_cannot_do(
    name: str, options: EngineOptions, message: str
) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    with pytest.raises(InputError, match=message):
        open_engine(name, options)
