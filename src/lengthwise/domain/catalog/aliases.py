"""Other names of known models that no rule of spelling connects.

Among them are the names that llama-bench prints, which give the architecture of the file and a size
only, and those of ollama. Names that more than one model answers to are left out: ``llama 1B`` is
printed for TinyLlama and Llama 3.2, ``deepseek-r1:8b`` has had a Llama and a Qwen3 behind it.
"""

from __future__ import annotations

_DISTILLED = (
    ("1.5b", "qwen-1.5b"), ("7b", "qwen-7b"), ("14b", "qwen-14b"), ("32b", "qwen-32b"),
    ("70b", "llama-70b"),
)  # fmt: skip

ALIASES: dict[str, str] = {
    "bloom": "bloom-176b",
    "bloomz": "bloom-176b",
    "bloom-7b": "bloom-7b1",
    "bloomz-7b1": "bloom-7b1",
    "opt-iml-max-30b": "opt-30b",
    "opt-iml-30b": "opt-30b",
    "llama1-7b": "llama-7b",
    "llama1-13b": "llama-13b",
    "llama-8b": "llama3.1-8b",
    "llama-70b": "llama3.1-70b",
    "llama-405b": "llama3.1-405b",
    "llama-8x7b": "mixtral-8x7b",
    "llama-8x22b": "mixtral-8x22b",
    "llama4-17bx16e-scout": "llama-4-scout-17b-16e",
    "llama4-17bx128e-maverick": "llama-4-maverick-17b-128e",
    "llama-4-scout": "llama-4-scout-17b-16e",
    "llama-4-maverick": "llama-4-maverick-17b-128e",
    "llama-4-scout-17b": "llama-4-scout-17b-16e",
    "llama-4-maverick-17b": "llama-4-maverick-17b-128e",
    "codellama-7b": "llama2-7b",
    "codellama-13b": "llama2-13b",
    "vicuna-7b": "llama2-7b",
    "vicuna-7b-v1.5": "llama2-7b",
    "vicuna-13b": "llama2-13b",
    "vicuna-13b-v1.5": "llama2-13b",
    "mistral-nemo": "mistral-nemo-12b",
    "mistral-small-3-24b": "mistral-small-24b",
    "mistral-small-3.1-24b": "mistral-small-24b",
    "mistral-small-3.2-24b": "mistral-small-24b",
    **{f"qwen2-{size}": f"qwen2.5-{size}" for size in ("3b", "14b", "32b")},
    "qwq-32b": "qwen2.5-32b",
    **{f"r1-distill-{name}": f"deepseek-r1-distill-{name}" for _, name in _DISTILLED},
    "r1-distill-llama-8b": "deepseek-r1-distill-llama-8b",
    **{f"deepseek-r1-{size}": f"deepseek-r1-distill-{name}" for size, name in _DISTILLED},
    "deepseek-r1-671b": "deepseek-r1",
    "deepseek-v3-671b": "deepseek-v3",
    "deepseek-v3.1-671b": "deepseek-v3.1",
    "deepseek2-671b": "deepseek-v3",
    "deepseek-v2-16b": "deepseek-v2-lite",
    "deepseek-v2-236b": "deepseek-v2",
    "deepseek2-236b": "deepseek-v2",
    "deepseek2-16b": "deepseek-v2-lite",
    "deepseek2-30b-a3b": "glm-4.7-flash",
    "glm-z1-32b": "glm-4-32b",
    "glm4moe-106b-a12b": "glm-4.5-air",
    "glm4moe-355b-a32b": "glm-4.5",
    "phi-3.5-mini": "phi-3-mini",
    "deepseek-r1-zero": "deepseek-r1",
    "deepseek-r1t-chimera": "deepseek-r1",
    "deepseek-tng-r1t2-chimera": "deepseek-r1",
    "kimi-k2.7-code": "kimi-k2.7",
    "deepseek-v3.2-exp": "deepseek-v3.2",
    "qwen3-480b-a35b": "qwen3-coder-480b-a35b",
    "gptoss-20b": "gpt-oss-20b",
    "gptoss-120b": "gpt-oss-120b",
    "gptneox-20b": "gpt-neox-20b",
}
