"""Remarks on questions that can be answered but are unlikely to be what was meant.

A remark changes no answer: a name that stands for a usual variant, a length beyond the model's
context, a degree of parallelism that engines refuse, an engine nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lengthwise.units import format_tokens

ENGINES = (
    "vllm", "sglang", "trtllm", "tensorrt-llm", "tgi", "lmdeploy", "llamacpp", "llama.cpp",
    "ik_llama.cpp", "ollama", "mlx", "mlx-lm", "openvino", "openvino-genai", "transformers",
    "exllamav2", "mlc-llm", "deepspeed", "deepspeed-mii", "dynamo", "distserve", "onnxruntime",
)  # fmt: skip
"""Engines that publish measurements; others are answered with the kernels of vLLM."""


def remarks(
    labels: Mapping[str, Any], phase: str, sizes: Mapping[str, float], *, by_engine: bool = True
) -> list[str]:
    """Say what is unlikely about a question.

    Parameters
    ----------
    labels
        Deployment: ``model``, ``hardware``, ``engine``, ``tp`` as far as given.
    phase
        ``prefill``, ``decode`` or ``request``.
    sizes
        The largest value of each size that was given, tokens or sequences.
    by_engine
        Whether the engine is looked up; a law of measured lengths knows its own.

    Returns
    -------
    list of str
        One sentence each, without a full stop.

    Examples
    --------
    >>> remarks({"model": "llama2-7b", "tp": 3}, "prefill", {"isl": 8192})
    ['8,192 tokens are beyond the context of llama2-7b, 4,096 tokens',
     'tp 3 does not divide the 32 attention heads of llama2-7b: engines refuse that']
    """
    found = [*_of_hardware(labels.get("hardware")), *_of_model(labels, phase, sizes)]
    if by_engine:
        found += _of_engine(labels.get("engine"))
    return found


def _of_hardware(name: Any) -> Iterator[str]:
    from lengthwise.data.hardware_catalog import variants_of

    usual, *others = (variants_of(str(name)) if name is not None else []) or [""]
    if others:
        yield f"{name} is taken as {usual}; there is also {' and '.join(others)}"


def _of_model(labels: Mapping[str, Any], phase: str, sizes: Mapping[str, float]) -> Iterator[str]:
    from lengthwise.domain.model import find_model
    from lengthwise.domain.names import model_key

    name = str(labels.get("model"))
    model = None if labels.get("model") is None else find_model(name)
    if model is None:
        return
    if model_key(name) != model_key(model.name):
        yield f"{name} is taken as its base, {model.name}"
    length = _longest(phase, sizes)
    if model.max_context is not None and length > model.max_context:
        yield (f"{format_tokens(length)} tokens are beyond the context of {model.name}, "
               f"{format_tokens(model.max_context)} tokens")  # fmt: skip
    tp = int(labels.get("tp") or 1)
    if model.heads and model.heads % tp:
        yield (f"tp {tp} does not divide the {model.heads} attention heads of {model.name}: "
               "engines refuse that")  # fmt: skip


def _longest(phase: str, sizes: Mapping[str, float]) -> float:
    if phase == "decode":
        return sizes.get("context_len", 0.0)
    return sizes.get("isl", 0.0) + (sizes.get("osl", 0.0) if phase == "request" else 0.0)


def _of_engine(name: Any) -> Iterator[str]:
    from difflib import get_close_matches

    if not name or str(name).lower() in ENGINES:
        return
    near = get_close_matches(str(name).lower(), ENGINES, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    yield f"engine {name} is not known{hint}: the kernels of vllm stand for it"
