"""Labels that say that attention is sparse or absent, and those that only sound like it."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.domain.attention_hint import attention_hint
from lengthwise.domain.catalog import MODELS

SPARSE = (
    "transformers A-Shape", "transformers InfLLM", "transformers MInference", "vLLM MInference",
    "MInference w/ SGLang", "transformers TriangleMix", "transformers TriangleMix+MInference",
    "StreamingLLM", "streaming-llm", "vLLM (sparse)", "NSA", "SGLang DSA", "block-sparse attention",
    "vLLM sparse attention", "MoBA", "FlexPrefill", "XAttention", "sglang --attention-backend nsa",
)  # fmt: skip
NONE = ("linear attention", "Linear-Attention", "RWKV-7", "rwkv.cpp", "mamba.py", "Mamba2")
SILENT = (
    "transformers FlashAttention-2", "vLLM", "SGLang", "vLLM FlashAttention-2",
    "transformers Dense", "llama.cpp", "ik_llama.cpp", "mainline llama.cpp", "TensorRT-LLM",
    "ds4 Metal", "openvino", "llama.cpp (turboquant)", "FlashInfer", "FlashMLA",
    "transformers sdpa", "transformers eager", "sparsity 2:4 weights", "vLLM marlin sparse-marlin",
    "xFormers", "PagedAttention", "linear",
)  # fmt: skip


@pytest.mark.parametrize("engine", SPARSE)
def test_sparse_attention_is_read(engine: str) -> None:
    assert attention_hint({"model": "Llama-3-8B", "engine": engine}) == "sparse"
    assert attention_hint({"engine": engine.upper()}) == "sparse"


@pytest.mark.parametrize("engine", NONE)
def test_states_are_read(engine: str) -> None:
    assert attention_hint({"engine": engine}) == "none"


@pytest.mark.parametrize("engine", SILENT)
def test_no_false_alarm(engine: str) -> None:
    assert attention_hint({"model": "Llama-3.1-8B-Instruct", "engine": engine}) is None


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("state-spaces/mamba-2.8b", "none"), ("tiiuae/falcon-mamba-7b", "none"),
        ("RWKV/v6-Finch-7B-HF", "none"), ("mistralai/Mamba-Codestral-7B-v0.1", "none"),
        ("neuralmagic/Sparse-Llama-3.1-8B-2of4", None), ("ai21labs/Jamba-v0.1", None),
        ("moonshotai/Kimi-Linear-48B-A3B", None), ("MInference/Llama-3-8B", "sparse"),
        ("Qwen3-30B-A3B sparse MoE", None),
    ],
)  # fmt: skip
def test_words_of_model_names(model: str, hint: str | None) -> None:
    assert attention_hint({"model": model, "engine": "vLLM"}) == hint


@given(st.dictionaries(st.sampled_from(["model", "engine", "hardware", "tp"]),
                       st.none() | st.floats() | st.integers() | st.text(max_size=8)))  # fmt: skip
def test_any_labels_have_an_answer(labels: dict[str, Any]) -> None:
    assert attention_hint(labels) in ("sparse", "none", None)


def test_names_of_known_models_say_nothing() -> None:
    assert all(attention_hint({"model": model.name}) is None for model in MODELS)


def test_other_columns_are_not_read() -> None:
    assert (
        attention_hint({"hardware": "MInference", "precision": "sparse", "source": "mamba"}) is None
    )


@pytest.mark.data
def test_published_curves_are_told_apart(needs_data: Path) -> None:
    frames = [pd.read_parquet(path) for path in sorted((needs_data / "curves").glob("a_*.parquet"))]
    table = pd.concat([frame[["model", "engine"]] for frame in frames]).drop_duplicates()
    said = {
        e for m, e in table.itertuples(index=False) if attention_hint({"model": m, "engine": e})
    }
    assert said == {
        "transformers A-Shape", "transformers InfLLM", "transformers MInference",
        "MInference w/ SGLang", "vLLM MInference", "transformers TriangleMix",
        "transformers TriangleMix+MInference",
    }  # fmt: skip
