"""Dimensions of a Llama-like decoder, from a preset or a Hugging Face ``config.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lengthwise.errors import InputError

MIN_VOCABULARY = 512


@dataclass(frozen=True)
class DecoderShape:
    """A dense decoder with grouped-query attention and a gated FFN.

    Attributes
    ----------
    layers, hidden, heads, kv_heads, head_dim, ffn, vocab
        Dimensions.
    context
        Longest sequence, tokens.
    rope_base
        Base of the rotary embedding.
    """

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int = 32000
    context: int = 65536
    head_dim: int = 0
    rope_base: float = 10000.0

    def __post_init__(self) -> None:
        if not self.head_dim:
            object.__setattr__(self, "head_dim", self.hidden // max(self.heads, 1))
        for name in ("layers", "hidden", "heads", "kv_heads", "ffn", "context"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} of a model must be positive",
                    got=str(getattr(self, name)),
                    remedy="mend the configuration",
                )
        if self.heads % self.kv_heads:
            raise InputError("heads must be a multiple of kv_heads",
                             got=f"{self.heads} and {self.kv_heads}",
                             remedy="mend the configuration")  # fmt: skip
        if self.vocab < MIN_VOCABULARY:
            raise InputError(
                f"the vocabulary must have at least {MIN_VOCABULARY} entries",
                got=str(self.vocab),
                remedy="the tokenizer needs 256 bytes",
            )

    @property
    def parameters(self) -> int:
        """Parameters, embeddings in and out counted.

        >>> PRESETS["random-llama-19m"].parameters
        19333120
        """
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        per_layer = 2 * self.hidden * (q + kv) + 3 * self.hidden * self.ffn
        return self.layers * per_layer + 2 * self.vocab * self.hidden


PRESETS = {
    "random-llama-19m": DecoderShape("random-llama-19m", 4, 256, 4, 2, 704),
    "random-llama-56m": DecoderShape("random-llama-56m", 8, 512, 8, 4, 1408),
    "random-llama-160m": DecoderShape("random-llama-160m", 12, 768, 12, 4, 3072),
}


def shape_of(model: str, context: int) -> DecoderShape:
    """Find the shape of a preset or a ``config.json`` (or the folder it is in).

    Parameters
    ----------
    model
        Name of a preset, or a path.
    context
        Longest sequence wanted, tokens; the shape has at least that.

    Raises
    ------
    InputError
        If there is no such preset or file, or the file does not describe a decoder.

    Examples
    --------
    >>> shape_of("random-llama-56m", 131072).context
    131072
    """
    shape = PRESETS.get(model)
    if shape is None:
        path = Path(model)
        shape = _from_config(path / "config.json" if path.is_dir() else path)
    return replace(shape, context=max(shape.context, context))


def _from_config(path: Path) -> DecoderShape:
    if not path.is_file() or path.suffix != ".json":
        raise InputError(
            f"the model must be a GGUF file, a config.json or one of {', '.join(PRESETS)}",
            got=repr(str(path)), remedy="name a file that exists; nothing is downloaded",
        )  # fmt: skip
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise InputError("config.json must be JSON", got=f"{path} ({error})",
                         remedy="copy the file of the model again") from None  # fmt: skip
    config = config.get("text_config", config) if isinstance(config, dict) else {}
    return DecoderShape(
        name=f"random-{path.parent.resolve().name or config.get('model_type', 'model')}",
        layers=_need(config, path, "num_hidden_layers", "n_layer"),
        hidden=_need(config, path, "hidden_size", "n_embd"),
        heads=_need(config, path, "num_attention_heads", "n_head"),
        kv_heads=int(config.get("num_key_value_heads") or _need(config, path, "num_attention_heads",
                                                                "n_head")),
        ffn=_need(config, path, "intermediate_size", "n_inner"),
        vocab=_need(config, path, "vocab_size"),
        context=int(config.get("max_position_embeddings") or 4096),
        head_dim=int(config.get("head_dim") or 0),
        rope_base=float(config.get("rope_theta") or 10000.0),
    )  # fmt: skip


def _need(config: dict[str, Any], path: Path, *names: str) -> int:
    for name in names:
        if isinstance(config.get(name), int):
            return int(config[name])
    raise InputError(f"config.json must give {' or '.join(names)}", got=f"none in {path}",
                     remedy="give the config of a decoder-only language model")  # fmt: skip
