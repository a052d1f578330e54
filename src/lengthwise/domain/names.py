"""One key for the many spellings of a model name."""

from __future__ import annotations

import re

_QUANT = re.compile(
    r"[-_. ](?:i?q\d(?:_[a-z0-9]+)*|bf16|f16|f32|fp\d+|mxfp4|nvfp4|int[48]|w\da\d+|awq|gptq|gguf"
    r"|bnb|[48]bit)(?=$|[-_. ])"
)
_NOISE = re.compile(
    r"hf|instruct\d*|chat|it|base|meta|qat|thinking|coder|preview|static|pertensor|\d+k|\d{4}"
    r"|v0\.\d|json"
)
_SEPARATOR = re.compile(r"[^a-z0-9.]+")


def model_key(name: str) -> str:
    """Reduce a model name to letters and digits without organisation, tuning or quantisation.

    >>> model_key("meta-llama/Llama-2-70b-hf"), model_key("llama2-70b")
    ('llama270b', 'llama270b')
    >>> model_key("ggml-org/Qwen3-Coder-30B-A3B-Instruct-Q8_0-GGUF")
    'qwen330ba3b'
    """
    text = name.lower().replace("__", "/").replace(":", "-").rstrip("/").rsplit("/", 1)[-1]
    while (shorter := _QUANT.sub("", text)) != text:
        text = shorter
    parts = [part for part in _SEPARATOR.split(text) if part and not _NOISE.fullmatch(part)]
    return re.sub(r"[^a-z0-9]", "", "".join(parts))
