"""Which architecture to build: a built-in one, or that of a Hugging Face ``config.json``.

Nothing is downloaded. Weights are always random, as latency does not depend on their values; one
exception is a mixture of experts, whose routing is then close to uniform.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lengthwise.errors import InputError
from lengthwise.measurement.engine import EngineOptions
from lengthwise.measurement.random_model.shape import PRESETS, DecoderShape

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def config_of(options: EngineOptions) -> tuple[str, PretrainedConfig]:
    """Give the name of the model and its configuration, long enough for ``max_tokens``.

    Raises
    ------
    InputError
        If there is no such model, its file cannot be read, or it is not a causal language model.
    """
    if options.model in PRESETS:
        name, config = options.model, _llama(PRESETS[options.model])
    elif options.model in STATE_SPACE:
        name, config = options.model, STATE_SPACE[options.model]()
    else:
        name, config = _from_file(Path(options.model))
    longest = getattr(config, "max_position_embeddings", None)
    if isinstance(longest, int) and longest < options.max_tokens:
        config.max_position_embeddings = options.max_tokens
    return name, config


def _llama(shape: DecoderShape) -> PretrainedConfig:
    from transformers import LlamaConfig

    return LlamaConfig(
        num_hidden_layers=shape.layers, hidden_size=shape.hidden, num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads, head_dim=shape.head_dim, vocab_size=shape.vocab,
        intermediate_size=shape.ffn, max_position_embeddings=shape.context,
    )  # fmt: skip


def _mamba() -> PretrainedConfig:
    from transformers import MambaConfig

    return MambaConfig(
        vocab_size=32000, hidden_size=256, num_hidden_layers=8, state_size=16,
        tie_word_embeddings=False,
    )  # fmt: skip


def _hybrid() -> PretrainedConfig:
    """Mamba-2 layers and attention layers in turn."""
    from transformers import BambaConfig

    return BambaConfig(
        vocab_size=32000, hidden_size=256, intermediate_size=704, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, attn_layer_indices=[1, 3],
        mamba_n_heads=8, mamba_d_head=64, mamba_n_groups=1, mamba_d_state=64, mamba_expand=2,
        mamba_chunk_size=128, max_position_embeddings=65536,
    )  # fmt: skip


STATE_SPACE: dict[str, Callable[[], PretrainedConfig]] = {
    "random-mamba-20m": _mamba,
    "random-hybrid-20m": _hybrid,
}
"""Built-in models that no GGUF engine here loads."""


def _from_file(path: Path) -> tuple[str, PretrainedConfig]:
    path = path / "config.json" if path.is_dir() else path
    if not path.is_file() or path.suffix != ".json":
        raise InputError(
            f"the model must be a config.json or one of {', '.join([*PRESETS, *STATE_SPACE])}",
            got=repr(str(path)), remedy="name a file that exists; nothing is downloaded",
        )  # fmt: skip
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(path), local_files_only=True)
    except Exception as error:  # its validators raise all sorts
        raise InputError(
            "config.json must be one that transformers knows", got=f"{path} ({short(error)})",
            remedy="copy the file of the model again, or update transformers",
        ) from None  # fmt: skip
    _check_causal(config, path)
    return f"random-{path.parent.resolve().name or config.model_type}", config


def _check_causal(config: PretrainedConfig, path: Path) -> None:
    from transformers import AutoModelForCausalLM

    decoder = not config.is_encoder_decoder and getattr(config, "is_decoder", None) is not False
    if decoder and type(config) in AutoModelForCausalLM._model_mapping:
        return
    raise InputError(
        "the model must be a decoder-only language model",
        got=f"{config.model_type} in {path}", remedy="give the config of a causal language model",
    )  # fmt: skip


def short(error: BaseException) -> str:
    r"""Give the message of a library's error in one line.

    >>> short(ValueError("two\nlines"))
    'two lines'
    """
    return " ".join(str(error).split())[:200]
