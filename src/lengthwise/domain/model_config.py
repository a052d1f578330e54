"""A model from its Hugging Face ``config.json``.

The configuration names an architecture by its keys rather than by its class: ``kv_lora_rank`` means
latent attention, ``n_routed_experts`` a mixture of experts, ``layer_types`` a mix of layers. Each
kind of layer is read by a file of its own; here they are put together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lengthwise.domain import model_config_attention as attentions
from lengthwise.domain import model_config_extras as extras
from lengthwise.domain import model_config_ffn as ffns
from lengthwise.domain.blocks import grouped
from lengthwise.domain.layers import Experts, FeedForward, Mixer
from lengthwise.domain.model import ModelSpec
from lengthwise.domain.model_config_defaults import defaults_of
from lengthwise.domain.model_config_formats import formats
from lengthwise.domain.model_config_recurrent import recurrence
from lengthwise.domain.model_config_values import Values
from lengthwise.errors import InputError

SOURCE = "config.json of the model"
_TEXT = ("text_config", "llm_config", "language_config", "language_model_config")
_NOT_DECODERS = ("ForMaskedLM", "ForSequenceClassification", "ForTokenClassification",
                 "ForImageClassification", "ForQuestionAnswering", "EncoderModel")  # fmt: skip
_ENCODERS = frozenset({
    "bert", "roberta", "xlm-roberta", "distilbert", "electra", "deberta", "deberta-v2", "albert",
    "mpnet", "modernbert", "vit", "clip", "siglip", "t5", "mt5", "umt5", "bart", "mbart", "pegasus",
    "marian", "whisper", "wav2vec2", "nomic_bert", "longt5",
})  # fmt: skip
_ONLY_MAMBA = frozenset({"mamba", "mamba2", "falcon_mamba"})
_PATTERN = {"M": "mamba", "*": "attention", "E": "moe", "-": "mlp"}

Pair = tuple[Mixer | None, FeedForward | Experts | None]


def parse_config(config: Mapping[str, Any], name: str = "model") -> ModelSpec:
    """Read a Hugging Face configuration.

    Parameters
    ----------
    config
        Content of ``config.json``.
    name
        Name for messages and the result. A suffix such as ``-FP8`` or ``-NVFP4`` gives the weight
        format when the configuration has no quantisation section.

    Returns
    -------
    ModelSpec
        Layers, sizes, formats; see its methods for parameters and bytes.

    Raises
    ------
    InputError
        If the configuration is of no decoder, lacks a size, or holds one that cannot be.

    Examples
    --------
    >>> spec = parse_config({"hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 128256,
    ...     "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336})
    >>> round(spec.total_parameters / 1e9, 2), spec.kv_bytes_per_token
    (8.03, 131072)
    """
    if not isinstance(config, Mapping):
        raise InputError("a config.json holds one object", got=type(config).__name__)
    outer = Values(config, name)
    text = _text_part(outer)
    _refuse_encoders(outer, text)
    hidden = text.size("hidden_size", "n_embd", "d_model")
    pairs = _pairs(text, hidden)
    blocks = grouped(pairs)
    tied = text.get("tie_word_embeddings")
    tied = tied if tied is not None else outer.get("tie_word_embeddings")
    fmt, parts = formats(text, outer, pairs)
    other = extras.norms_and_biases(text, hidden, blocks) + extras.vision(outer, hidden)
    return ModelSpec(
        name, hidden, text.size("vocab_size", "padded_vocab_size"), blocks, bool(tied),
        _max_context(text), fmt, parts,
        float(other + extras.per_layer_tables(text, hidden, len(pairs))),
        draft_parameters=float(extras.draft(text, hidden, blocks)), source=SOURCE,
    )  # fmt: skip


def _text_part(outer: Values) -> Values:
    """Give the configuration of the language model inside a multimodal one, defaults filled in."""
    found = outer.mapping(*_TEXT)
    thinker = outer.mapping("thinker_config")
    if found is None and thinker is not None:
        found = thinker.mapping("text_config")
    data = outer.data if found is None else found.data
    kind = data.get("model_type") or outer.data.get("model_type")
    defaults = defaults_of(kind) if isinstance(kind, str) else {}
    return Values(data, outer.name, defaults)


def _refuse_encoders(outer: Values, text: Values) -> None:
    """Raise if this is no decoder-only language model."""
    listed = outer.get("architectures")
    names = [str(entry) for entry in listed] if isinstance(listed, list) else []
    kind = str(text.get("model_type") or "")
    encoder = any(name.endswith(end) for name in names for end in _NOT_DECODERS)
    if encoder or kind in _ENCODERS or outer.get("is_encoder_decoder") is True:
        raise InputError(
            "latency is predicted for decoder-only language models",
            got=f"{outer.name} of architecture {(names or [kind])[0]}",
            remedy="give the config.json of a causal language model",
        )


def _pairs(config: Values, hidden: int) -> list[Pair]:
    """Give mixer and feed-forward part of every layer, in order."""
    alternating = _alternating(config)
    if alternating is not None:
        return _one_part_each(config, hidden, alternating)
    layers = config.size("num_hidden_layers", "n_layer", "n_layers", "num_layers")
    if layers > 10_000:
        raise config.error("must have a believable number of layers", str(layers))
    if config.text("model_type") in _ONLY_MAMBA:
        return [(recurrence(config, hidden), None)] * layers
    mixers = attentions.mixers(config, hidden, layers)
    linear = recurrence(config, hidden) if any(mixer is None for mixer in mixers) else None
    moe = ffns.experts(config)
    mixed = ffns.has_experts(config, layers) if moe is not None else [False] * layers
    plain = ffns.dense(config, hidden) if not all(mixed) else None
    return [
        (linear if mixer is None else mixer, moe if has else plain)
        for mixer, has in zip(mixers, mixed, strict=True)
    ]


def _alternating(config: Values) -> list[str] | None:
    """Give the kinds of layers where each is a mixer or a feed-forward part, None if not so."""
    pattern = config.text("hybrid_override_pattern")
    if pattern:
        unknown = set(pattern) - set(_PATTERN)
        if unknown:
            raise config.error(f"must write its layers as {' '.join(_PATTERN)}", f"{unknown}")
        return [_PATTERN[mark] for mark in pattern]
    listed = config.listing("layers_block_type")
    if listed is None or not set(map(str, listed)) & {"moe", "mlp"}:
        return None
    return [str(kind) for kind in listed]


def _one_part_each(config: Values, hidden: int, kinds: list[str]) -> list[Pair]:
    makers: dict[str, Pair] = {}
    for kind in dict.fromkeys(kinds):
        if kind == "mamba":
            makers[kind] = (recurrence(config, hidden), None)
        elif kind == "attention":
            made = attentions.mixers(config, hidden, 1)[0]
            makers[kind] = (made, None)
        elif kind == "moe":
            makers[kind] = (None, ffns.experts(config))
        elif kind == "mlp":
            makers[kind] = (None, ffns.dense(config, hidden))
        else:
            raise config.error("must use layers of a known kind", repr(kind))
    return [makers[kind] for kind in kinds]


def _max_context(config: Values) -> int | None:
    keys = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
    return config.size(*keys) if config.get(*keys) is not None else None
