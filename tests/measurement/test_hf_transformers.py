"""The transformers engine on random-weight models; skips where torch is not installed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import pytest

from lengthwise.data.table import prepare
from lengthwise.errors import InputError
from lengthwise.measurement.engine import EngineOptions, Event, Shape
from lengthwise.measurement.engines import open_engine
from lengthwise.measurement.engines.hf_memory import footprint_of

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LLAMA, MAMBA, HYBRID = "random-llama-19m", "random-mamba-20m", "random-hybrid-20m"
MODELS = (LLAMA, MAMBA, HYBRID)


@contextmanager
def opened(model: str = LLAMA, max_tokens: int = 256, **given: Any) -> Iterator[Any]:
    precision, device = given.pop("precision", None), given.pop("device", "cpu")
    engine = open_engine("transformers", EngineOptions(
        model, precision=precision, device=device, max_tokens=max_tokens,
        settings={name: str(value) for name, value in given.items()},
    ))  # fmt: skip
    try:
        yield engine
    finally:
        engine.close()


def events_of(model: str = LLAMA, **given: Any) -> list[Event]:
    with opened(model, **given) as engine:
        return list(engine.run(Shape(48, 2, 3)))


def config_file(folder: Path, **config: Any) -> str:
    path = folder / "some-model" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps(config))
    return str(path)


SMALL_QWEN = {
    "model_type": "qwen3", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128, "vocab_size": 600,
    "max_position_embeddings": 32,
}  # fmt: skip


def test_steps_say_what_was_in_them() -> None:
    events = events_of()
    assert [e.phase for e in events] == ["prefill"] + 3 * ["decode"]
    assert [e.context_len for e in events] == [48, 49, 50, 51]
    assert [e.query_len for e in events] == [48, 1, 1, 1]
    assert [e.output_index for e in events] == [0, 1, 2, 3]
    assert {e.batch_size for e in events} == {2}
    assert {e.isl for e in events} == {48}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("given", [
    {}, {"cache": "static"}, {"cache": "none"}, {"precision": "bf16"}, {"precision": "f16"},
    {"precision": "int8"}, {"attention": "eager"}, {"loop": "thesis"}, {"beams": 2},
    {"decoding": "sample", "temperature": 0.7, "top_k": 5}, {"decoding": "sample"},
    {"temperature": 0.7, "beams": 2},
], ids=lambda given: "-".join(map(str, given.values())) or "default")  # fmt: skip
def test_every_way_to_run_gives_a_table(model: str, given: dict[str, Any]) -> None:
    with opened(model, **given) as engine:
        events = engine.run(Shape(24, 1, 2))
        table = prepare(pd.DataFrame([e.to_row() | dict(engine.labels) for e in events]))
    assert len(table) == 3
    assert (table["latency_ms"] > 0).all()
    assert (table["cpu_ms"] > 0).all()
    assert table["timestamp"].is_monotonic_increasing
    assert table["precision"].unique().tolist() == [given.get("precision", "f32")]


def tokens_of(engine: Any, steps: int, shape: Shape, ids: Any) -> list[list[int]]:
    """Tokens chosen after the prompts ``ids``, in the way the engine runs."""
    engine.tokens = lambda *_: ids
    chosen: list[list[int]] = []
    choice = engine._choice()

    def keep(logits: Any) -> Any:
        tokens, origin = choice(logits)
        chosen.append(tokens.tolist())
        return tokens, origin

    engine._choice = lambda: keep
    engine.run(shape)
    return chosen[:steps]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("given", [
    {"cache": "none"}, {"cache": "static"}, {"attention": "eager"}, {"loop": "thesis"},
], ids=str)  # fmt: skip
def test_all_ways_choose_the_same_tokens(model: str, given: dict[str, Any]) -> None:
    ids = torch.randint(32000, (2, 40), generator=torch.Generator().manual_seed(7))
    with opened(model) as engine:
        expected = tokens_of(engine, 4, Shape(40, 2, 3), ids)
    with opened(model, **given) as engine:
        assert tokens_of(engine, 4, Shape(40, 2, 3), ids) == expected


@pytest.mark.parametrize("model", [LLAMA, HYBRID])
def test_a_cached_prefix_changes_no_token(model: str) -> None:
    ids = torch.randint(32000, (2, 40), generator=torch.Generator().manual_seed(7))
    with opened(model) as engine:
        expected = tokens_of(engine, 4, Shape(40, 2, 3), ids)
        assert tokens_of(engine, 4, Shape(40, 2, 3, 30), ids) == expected


def test_a_static_cache_is_empty_at_the_start_of_a_run() -> None:
    ids = torch.randint(32000, (1, 40), generator=torch.Generator().manual_seed(7))
    with opened(cache="static") as engine:
        first = tokens_of(engine, 4, Shape(40, 1, 3), ids)
        engine.run(Shape(40, 1, 3))
        assert tokens_of(engine, 4, Shape(40, 1, 3), ids) == first


def test_a_static_cache_has_its_memory_before_the_clock_starts() -> None:
    with opened(cache="static") as engine:
        for batch_size in (2, 1, 2):
            cache = engine._caches.empty(batch_size)
            assert cache.is_initialized
            assert cache.layers[0].keys.shape[0] == batch_size
            assert int(cache.get_seq_length()) == 0


def test_feeding_everything_again_is_said_in_the_columns() -> None:
    events = events_of(cache="none")
    assert [e.query_len for e in events] == [48, 49, 50, 51]


def test_beams_are_sequences_of_the_decode_batch() -> None:
    events = events_of(beams=3)
    assert [e.batch_size for e in events] == [2, 6, 6, 6]
    assert {e.extra["beams"] for e in events} == {3.0}


def test_beam_search_finds_the_likeliest_sequence() -> None:
    from lengthwise.measurement.engines.hf_decoding import Beams

    table = torch.randn(6, 6, generator=torch.Generator().manual_seed(1))
    beams, start = Beams(6), torch.tensor([2, 4])
    tokens, origin = beams(table[start])
    assert origin.tolist() == [0] * 6 + [1] * 6
    paths = [[t] for t in tokens.tolist()]
    tokens, origin = beams(table[tokens])
    best = [[*paths[origin[i * 6]], int(tokens[i * 6])] for i in range(2)]
    chances = table.log_softmax(-1)
    for first, found in zip(start, best, strict=True):
        all_pairs = chances[first][:, None] + chances
        assert found == list(divmod(int(all_pairs.argmax()), 6))


def test_drawn_beams_follow_the_likelihood_and_never_repeat() -> None:
    from lengthwise.measurement.engines.hf_decoding import Beams

    logits = torch.tensor([[0.0, 3.0, 1.0, 2.0]]).expand(4000, 4)
    generator = torch.Generator().manual_seed(0)
    tokens, origin = Beams(2, 1.0, generator)(logits)
    assert origin.tolist() == [i // 2 for i in range(8000)]
    pairs = tokens.view(-1, 2)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    share = (pairs == 1).any(1).float().mean().item()
    chance = logits[0].softmax(-1)
    others = sum(float(chance[i] * chance[1] / (1 - chance[i])) for i in (0, 2, 3))
    assert share == pytest.approx(float(chance[1]) + others, abs=0.03)
    cold, _ = Beams(2, 1e-4, generator)(logits)
    assert {tuple(pair) for pair in cold.view(-1, 2).tolist()} == {(1, 3)}


def test_a_temperature_is_in_force_without_another_word() -> None:
    ids = torch.randint(32000, (1, 40), generator=torch.Generator().manual_seed(7))
    with opened() as engine:
        greedy = tokens_of(engine, 4, Shape(40, 1, 3), ids)
    for temperature, same in ((0, True), (5.0, False)):
        with opened(temperature=temperature) as engine:
            assert (tokens_of(engine, 4, Shape(40, 1, 3), ids) == greedy) is same


def test_settings_of_a_request_change_on_the_loaded_model() -> None:
    with opened() as engine:
        plain = engine.labels
        engine.adjust({"beams": "3", "temperature": "0.7"})
        events = engine.run(Shape(48, 2, 3))
        assert [e.batch_size for e in events] == [2, 6, 6, 6]
        assert {(e.extra["beams"], e.extra["temperature"]) for e in events} == {(3.0, 0.7)}
        assert engine.labels["engine_version"] == f"{transformers.__version__}+sample.beams3"
        with pytest.raises(InputError, match="beams at least 1"):
            engine.adjust({"beams": "0"})
        engine.adjust({"beams": "1", "temperature": "0"})
        assert engine.labels == plain
        assert [e.batch_size for e in engine.run(Shape(48, 2, 3))] == [2, 2, 2, 2]


def test_sampling_keeps_to_the_best_tokens() -> None:
    from lengthwise.measurement.engines.hf_decoding import Sample

    logits = torch.tensor([[0.0, 5.0, 1.0, 4.0]]).expand(500, 4)
    tokens, origin = Sample(1.0, 2, torch.Generator().manual_seed(0))(logits)
    assert origin is None
    assert set(tokens.tolist()) == {1, 3}
    tokens, _ = Sample(1e-3, 0, torch.Generator().manual_seed(0))(logits)
    assert set(tokens.tolist()) == {1}


def test_prompts_are_fresh_and_follow_the_seed() -> None:
    with opened(seed=3) as one, opened(seed=3) as same, opened(seed=4) as other:
        first = one.tokens(2, 50)
        assert torch.equal(first, same.tokens(2, 50))
        assert not torch.equal(first, other.tokens(2, 50))
        assert not torch.equal(first, one.tokens(2, 50))
        assert first.shape == (2, 50)
        assert 0 <= int(first.min()) <= int(first.max()) < 32000


def test_a_cached_prefix_makes_the_prefill_cheap() -> None:
    with opened(max_tokens=1100) as engine:
        engine.run(Shape(1024, 1, 0))
        whole = [engine.run(Shape(1024, 1, 0))[0] for _ in range(3)]
        rest = [engine.run(Shape(1024, 1, 0, 960))[0] for _ in range(3)]
    assert rest[0].query_len == 64
    assert (rest[0].cached_tokens, rest[0].context_len) == (960, 1024)
    assert 2 * median(e.cpu_ms for e in rest) < median(e.cpu_ms for e in whole)


def test_longer_prompts_cost_more() -> None:
    with opened(max_tokens=1100) as engine:
        engine.run(Shape(1024, 1, 0))
        cost = {n: median(engine.run(Shape(n, 1, 0))[0].cpu_ms for _ in range(3))
                for n in (64, 1024)}  # fmt: skip
    assert cost[1024] > 3 * cost[64]


def test_labels_tell_settings_apart() -> None:
    with opened() as engine:
        plain = engine.labels
        assert engine.notes["attention"] == "sdpa"
    with opened(attention="eager", cache="static") as engine:
        other = engine.labels
        assert engine.notes["static_cache_tokens"] == 256
    assert plain["engine"] == other["engine"] == "transformers"
    assert plain["engine_version"] == transformers.__version__
    assert other["engine_version"] == f"{transformers.__version__}+eager.static-cache"


def test_a_configuration_is_built_with_room_for_the_longest_sequence(tmp_path: Path) -> None:
    path = config_file(tmp_path, **SMALL_QWEN)
    for model in (path, str(Path(path).parent)):
        with opened(model, max_tokens=128) as engine:
            assert engine.labels["model"] == "random-some-model"
            assert len(engine.run(Shape(100, 1, 2))) == 3
            assert engine.notes["max_position_embeddings"] == 128


@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
def test_a_compiled_model_chooses_the_same_tokens(tmp_path: Path) -> None:
    path = config_file(tmp_path, **{**SMALL_QWEN, "num_hidden_layers": 1})
    ids = torch.randint(600, (1, 20), generator=torch.Generator().manual_seed(7))
    with opened(path) as engine:
        expected = tokens_of(engine, 4, Shape(20, 1, 3), ids)
    with opened(path, compile=1) as engine:
        assert tokens_of(engine, 4, Shape(20, 1, 3), ids) == expected
        assert engine.labels["engine_version"].endswith("+compile")


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with opened() as engine:
        engine.run(Shape(8, 1, 0))
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("given", "words"), [
    ({"speed": 1}, "settings of transformers are"),
    ({"attention": "linear"}, "attention of transformers must be one of"),
    ({"beams": 0}, "beams at least 1"),
    ({"decoding": "greedy", "temperature": 0.7}, "leave decoding out"),
    ({"decoding": "sample", "temperature": 0}, "decoding=sample one above"),
    ({"beams": 2, "cache": "static"}, "a cache that grows"),
    ({"temperature": "nan"}, "temperature and top_k must not be negative"),
    ({"precision": "q4_0"}, "must be one of f32, bf16"),
    ({"precision": "int8", "device": "cuda"}, "transformers on cuda must be one of bf16"),
    ({"device": "tpu"}, "device must be one of"),
    ({"attention": "flash_attention_2"}, "needs a GPU and the package flash-attn"),
    ({"model": MAMBA, "attention": "sdpa"}, "build the model with this attention"),
    ({"model": "gpt-5"}, "a config.json or one of"),
], ids=str)  # fmt: skip
def test_what_cannot_be_opened_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words), opened(**given):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="needs a GPU"), opened(device="cuda"):
        pass


@pytest.mark.parametrize(("config", "words"), [
    ({}, "one that transformers knows"),
    ({"model_type": "never-heard-of"}, "one that transformers knows"),
    ({"model_type": "llama", "hidden_size": "wide"}, "one that transformers knows"),
    ({"model_type": "t5"}, "decoder-only"),
    ({"model_type": "bert"}, "decoder-only"),
    ({"model_type": "vit"}, "decoder-only"),
    ({"model_type": "rwkv", "hidden_size": 64, "num_hidden_layers": 1}, "must take a cache"),
    ({**SMALL_QWEN, "num_hidden_layers": 0}, "keep keys and values"),
    ({"model_type": "llama", "hidden_size": 16384, "num_hidden_layers": 400,
      "intermediate_size": 65536}, "memory must hold"),
], ids=str)  # fmt: skip
def test_a_wrong_configuration_is_refused(
    tmp_path: Path, config: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words), opened(config_file(tmp_path, **config)):
        pass


def test_a_file_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{")
    with pytest.raises(InputError, match="one that transformers knows"), opened(str(path)):
        pass


@pytest.mark.parametrize(("shape", "words"), [
    (Shape(256, 1, 1), "opened for the longest sequence"),
    (Shape(0), "needs a sequence, a token"),
    (Shape(8, 0), "needs a sequence, a token"),
    (Shape(8, 1, 1, 8), "fewer cached tokens"),
    (Shape(8, 10**9), "memory must hold"),
    (Shape(8, 1, 1, running=2, running_context=8), "continuous batching"),
], ids=str)  # fmt: skip
def test_a_shape_that_cannot_be_run_is_refused(shape: Shape, words: str) -> None:
    with opened() as engine, pytest.raises(InputError, match=words):
        engine.run(shape)


@pytest.mark.parametrize("given", [{"cache": "none"}, {"model": MAMBA}], ids=str)
def test_cached_tokens_need_a_cache_to_go_on_from(given: dict[str, Any]) -> None:
    with opened(**given) as engine, pytest.raises(InputError, match="need a cache"):
        engine.run(Shape(8, 1, 1, 4))


def test_an_attention_matrix_counts_as_memory() -> None:
    with opened() as engine:
        config = engine._config
    shape = Shape(4096)
    fused = footprint_of(config, 4, fused=True, all_logits=False).step_bytes(shape)
    formed = footprint_of(config, 4, fused=False, all_logits=False).step_bytes(shape)
    assert fused < 200e6
    assert 0.8e9 < formed < 1.2e9  # 4 heads, two float32 matrices and a float32 softmax


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("given", [{}, {"cache": "static", "compile": 1}], ids=str)
def test_gpu_steps_are_timed_by_events(given: dict[str, Any]) -> None:
    with opened(device="cuda", **given) as engine:
        for _ in range(3):
            events = engine.run(Shape(48, 2, 3))
        assert engine.labels["precision"] == "bf16"
    for event in events:
        assert event.latency_ms == event.extra["gpu_ms"]
        assert 0 < float(event.extra["gpu_ms"]) <= float(event.extra["wall_ms"]) + 1
