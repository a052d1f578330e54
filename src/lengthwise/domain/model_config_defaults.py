"""What an architecture takes for keys that its ``config.json`` may leave out.

Published configurations list what differs from the defaults of the reference implementation, so
these are facts about the architecture, taken from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_GEMMA3 = {
    "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262208,
    "sliding_window": 4096, "sliding_window_pattern": 6, "tie_word_embeddings": True,
}  # fmt: skip
_STEP = {
    "use_head_wise_attn_gate": True,
    "attention_other_setting": {
        "attention_type": "sliding_attention", "num_attention_heads": 96, "num_attention_groups": 8,
    },
}  # fmt: skip
_TIED = {"tie_word_embeddings": True}

DEFAULTS: dict[str, Mapping[str, Any]] = {
    "bloom": _TIED, "opt": _TIED, "mpt": _TIED, "gpt2": _TIED, "gpt_bigcode": _TIED,
    "starcoder2": _TIED, "cohere": _TIED, "cohere2": _TIED, "gemma": _TIED,
    "mamba": _TIED, "mamba2": _TIED,
    "falcon": _TIED | {"alibi": False},
    "gemma2": _TIED | {"sliding_window_pattern": 2, "sliding_window": 4096},
    "gemma3": _GEMMA3, "gemma3_text": _GEMMA3,
    "gemma3n_text": _TIED | {"sliding_window": 512}, "gemma4_text": _TIED,
    "llama4_text": {"no_rope_layer_interval": 4},
    "qwen3_next": {"attn_output_gate": True, "full_attention_interval": 4},
    "qwen3_5_text": {"attn_output_gate": True, "full_attention_interval": 4},
    "qwen3_5_moe_text": {"attn_output_gate": True, "full_attention_interval": 4},
    "step3p5": _STEP, "step3p7": _STEP, "step3p7_text": _STEP,
    "gpt_oss": {"attention_bias": True},
    "qwen2": {"attention_bias": True}, "qwen2_moe": {"attention_bias": True},
}  # fmt: skip


def defaults_of(model_type: str) -> Mapping[str, Any]:
    """Give the defaults of an architecture; none for an unknown one.

    >>> defaults_of("gemma2")["sliding_window"]
    4096
    """
    return DEFAULTS.get(model_type, {})
