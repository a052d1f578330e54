"""Architecture facts of a model: what a step has to compute, read and keep.

The forward pass of a dense decoder costs, for n prompt tokens (Kaplan et al. 2020,
arXiv 2001.08361, and the causal half of the attention matrix),

    linear     2 P n                    P: parameters that multiply every token
    quadratic  4 L H d * n^2 / 2        L layers, H query heads of d dimensions

so one attention pair costs 4 L H d FLOP and one token 2 P FLOP. Their ratio is the prior mean of
the quadratic to linear coefficient of a prefill law.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property

from lengthwise.domain import blocks as build
from lengthwise.domain.known import known_as
from lengthwise.domain.layers import (
    Attention,
    Experts,
    FeedForward,
    LatentAttention,
    Layer,
    Recurrence,
)
from lengthwise.domain.names import candidate_keys, model_key
from lengthwise.domain.weights import UNQUANTISED, format_of_name, weight_bits
from lengthwise.errors import InputError


@dataclass(frozen=True)
class ModelSpec:
    """Shape of a decoder-only model, layer by layer.

    Attributes
    ----------
    name
        Name as written in a measurement table.
    hidden, vocab
        Width of a token in the model, and rows of the vocabulary tables.
    blocks
        Kinds of layers and how many there are of each.
    tied_embeddings
        One table serves as input and output.
    max_context
        Longest sequence the model was made for, tokens, when known.
    weight_format
        Format of the quantised matrices, ``bf16`` if none is.
    part_formats
        Parts of the weights in another format, as pairs of part and format; parts are those of
        :data:`lengthwise.domain.weights.PARTS`.
    other_parameters
        Norms, biases, vision tower: in the total, not in a step.
    draft_parameters
        Multi-token-prediction modules. Publishers give them beside the total, and engines load them
        to speculate only, so they are not in ``total_parameters``.
    counted_parameters
        Parameters that act on every token, where a published figure is kept in place of the sum
        over matrices.
    source
        Where the numbers come from.

    Examples
    --------
    >>> llama = find_model("llama2-70b")
    >>> round(llama.flops_per_token / 1e9, 1), llama.flops_per_pair
    (138.0, 2621440)
    >>> f"{find_model('mixtral-8x7b').total_parameters:.4g}"
    '4.67e+10'
    """

    name: str
    hidden: int
    vocab: int
    blocks: tuple[Layer, ...]
    tied_embeddings: bool = False
    max_context: int | None = None
    weight_format: str = "bf16"
    part_formats: tuple[tuple[str, str], ...] = ()
    other_parameters: float = 0.0
    counted_parameters: float | None = None
    draft_parameters: float = 0.0
    source: str = ""

    @classmethod
    def dense(
        cls, name: str, *, layers: int, hidden: int, heads: int, kv_heads: int, head_dim: int,
        inner: int, vocab: int, gated: bool = True, tied_embeddings: bool = False,
        max_context: int | None = None, source: str = "",
    ) -> ModelSpec:  # fmt: skip
        """Write a dense decoder whose layers are all alike.

        Examples
        --------
        >>> llama = ModelSpec.dense("8b", layers=32, hidden=4096, heads=32, kv_heads=8,
        ...                         head_dim=128, inner=14336, vocab=128256)
        >>> llama.parameters, llama.kv_bytes_per_token
        (6979321856.0, 131072)
        """
        mixer = build.attention(hidden, heads, kv_heads, head_dim)
        block = Layer(layers, mixer, FeedForward(inner, gated))
        return cls(
            name, hidden, vocab, (block,), tied_embeddings, max_context, source=source
        )  # fmt: skip

    @property
    def layer_count(self) -> int:
        """Layers of all kinds; layers without a mixer or without a feed-forward part count too."""
        return sum(layer.count for layer in self.blocks)

    @property
    def table_parameters(self) -> int:
        """Weights of the vocabulary tables, input and output."""
        return self.vocab * self.hidden * (1 if self.tied_embeddings else 2)

    @cached_property
    def parameters(self) -> float:
        """Parameters that act on every token: matrices of the blocks, active experts only."""
        if self.counted_parameters is not None:
            return self.counted_parameters
        return float(sum(b.count * b.active_weights(self.hidden) for b in self.blocks))

    @cached_property
    def total_parameters(self) -> float:
        """All parameters: blocks with all experts, vocabulary tables, and the rest."""
        blocks = sum(b.count * b.all_weights(self.hidden) for b in self.blocks)
        return float(blocks + self.table_parameters + self.other_parameters)

    @cached_property
    def active_parameters(self) -> float:
        """Parameters one token uses, vocabulary tables included, as published counts do."""
        blocks = sum(b.count * b.active_weights(self.hidden) for b in self.blocks)
        return float(blocks + self.table_parameters)

    @cached_property
    def _full(self) -> tuple[tuple[int, Attention | LatentAttention], ...]:
        """Layers whose cache grows with the sequence, with their number."""
        found = [
            (b.count, b.mixer)
            for b in self.blocks
            if b.mixer is not None and not isinstance(b.mixer, Recurrence) and b.mixer.is_full
        ]
        return tuple(found)

    @property
    def layers(self) -> int:
        """Layers with full attention."""
        return sum(count for count, _ in self._full)

    @property
    def heads(self) -> int:
        """Query heads of the layers with full attention; 0 without such layers."""
        return self._full[0][1].heads if self._full else 0

    @property
    def kv_heads(self) -> int:
        """Key and value heads of the layers with full attention."""
        return self._full[0][1].kv_heads if self._full else 0

    @property
    def head_dim(self) -> int:
        """Size of a head of the layers with full attention (latent: mean of query and value)."""
        return self._full[0][1].head_dim if self._full else 0

    @property
    def flops_per_token(self) -> float:
        """FLOP of the weight products of one token, 2 P."""
        return 2.0 * self.parameters

    @cached_property
    def flops_per_pair(self) -> int:
        """FLOP of one query-key pair over the layers with full attention, 4 L H d.

        Where an index chooses what a query attends to, only its scores grow with the length.
        """
        return sum(count * mixer.pair_growth for count, mixer in self._full)

    @cached_property
    def kv_bytes_per_token(self) -> int:
        """Bytes that one more token adds to a long cache in 16 bits, 4 L H_kv d.

        Latent caches are counted in whole heads; :meth:`kv_bytes` is exact.
        """
        return sum(2 * count * mixer.cache_growth for count, mixer in self._full)

    @cached_property
    def weights_by_part(self) -> dict[str, float]:
        """Weights of each part, keyed as :data:`lengthwise.domain.weights.PARTS`."""
        parts: dict[str, float] = {"tables": self.table_parameters, "other": self.other_parameters}
        for block in self.blocks:
            for part, weights in _parts(block, self.hidden):
                parts[part] = parts.get(part, 0.0) + float(block.count * weights)
        return parts

    def format_of(self, part: str) -> str:
        """Give the format the weights of a part are published in.

        >>> find_model("gpt-oss-20b").format_of("tables")
        'bf16'
        """
        default = "bf16" if part in UNQUANTISED else self.weight_format
        return dict(self.part_formats).get(part, default)

    def weight_bytes(self, precision: str | None = None) -> float:
        """Give the bytes of all weights.

        Parameters
        ----------
        precision
            Format of the matrices of the blocks; None: as published. Router, vocabulary tables and
            the rest stay in 16 bits, as engines keep them.

        Returns
        -------
        float
            Bytes, scales of quantised formats included.

        Examples
        --------
        >>> qwen = find_model("qwen3-8b")
        >>> round(qwen.weight_bytes() / 1e9, 1), round(qwen.weight_bytes("fp8") / 1e9, 1)
        (16.4, 9.4)
        """
        total = 0.0
        for part, weights in self.weights_by_part.items():
            asked = precision if precision is not None and part not in UNQUANTISED else None
            fmt = asked or ("bf16" if precision is not None else self.format_of(part))
            total += weights * weight_bits(fmt) / 8
        return total

    def kv_bytes(self, tokens: float, kv_bits: float = 16) -> float:
        """Give the bytes of cache and states of one sequence.

        Parameters
        ----------
        tokens
            Length of the sequence, tokens.
        kv_bits
            Bits of one cached value; recurrent states keep the precision of the model.

        Returns
        -------
        float
            Bytes; layers with a window hold at most that window, recurrent layers their state.

        Examples
        --------
        >>> find_model("llama3.1-8b").kv_bytes(1000)
        131072000.0
        """
        if not tokens >= 0 or not kv_bits > 0:
            got = f"tokens={tokens!r}, kv_bits={kv_bits!r}"
            remedy = "give a length of 0 or more and bits such as 16, 8 or 4"
            raise InputError("a cache has a length and bits per value", got=got, remedy=remedy)
        total = 0.0
        for block in self.blocks:
            if isinstance(block.mixer, Recurrence):
                total += block.count * block.mixer.state_values * block.mixer.state_bits / 8
            elif block.mixer is not None:
                total += block.count * block.mixer.cache_values(tokens) * kv_bits / 8
        return total


def _parts(block: Layer, hidden: int) -> list[tuple[str, int]]:
    """Give the weights of one layer by part."""
    found = []
    if block.mixer is not None:
        part = "recurrence" if isinstance(block.mixer, Recurrence) else "attention"
        found.append((part, sum(gemm.weights for gemm in block.mixer.projections)))
    if isinstance(block.ffn, FeedForward):
        found.append(("dense", sum(gemm.weights for gemm in block.ffn.gemms(hidden))))
    elif isinstance(block.ffn, Experts):
        shared = sum(gemm.weights for gemm in block.ffn.shared.gemms(hidden))
        every = sum(gemm.weights for gemm in block.ffn.gemms(hidden))
        found.append(("shared", shared))
        found.append(("router", every - shared))
        found.append(("experts", block.ffn.routed_weights(hidden)))
    return found


def find_model(name: str) -> ModelSpec | None:
    """Look a model up by any usual spelling of its name; None if it is not known.

    Case, path, organisation (``meta-llama/``), tuning (``-hf``, ``-Instruct``), date, context
    length and quantisation (``-Q8_0-GGUF``, ``-FP8``) do not matter; a quantisation in the name
    sets ``weight_format``. Family, version and size must match exactly: nothing is guessed. A
    finetune is known by its base, where the name says it (:mod:`lengthwise.domain.names`).

    >>> find_model("deepseek_r1_distill_qwen_14b").layers
    48
    >>> find_model("qwen3moe 30B.A3B Q8_0").name, find_model("Qwen3-30B") is None
    ('qwen3-30b-a3b', True)
    """
    if (given := known_as(name)) is not None:
        return given
    known, families = _by_key()
    keys = (key for key in candidate_keys(name, families) if key in known)
    found, fmt = next((known[key] for key in keys), None), format_of_name(name)
    return found if found is None or fmt is None else _in_format(found, fmt)


@cache
def _in_format(spec: ModelSpec, fmt: str) -> ModelSpec:
    """Give a model in another weight format, as publishers of quantised versions leave it.

    Parts in 16 bits stay so. nvfp4 leaves latent attention in 16 bits, and compressed attention
    and shared experts in the format they had.
    """
    if (fmt, spec.weight_format) == ("fp8", "fp8_block"):
        fmt = "fp8_block"
    plain = {"bf16", "fp16"}
    parts = tuple(part for part in spec.part_formats if part[1] in plain and fmt not in plain)
    mixers = [block.mixer for block in spec.blocks]
    if fmt == "nvfp4" and not parts:
        if any(isinstance(mixer, LatentAttention) for mixer in mixers):
            parts = (("attention", "bf16"),)
        elif any(isinstance(mixer, Attention) and mixer.compress for mixer in mixers):
            parts = (("attention", spec.weight_format), ("shared", spec.weight_format))
    if (fmt, parts) == (spec.weight_format, spec.part_formats):
        return spec
    return replace(spec, weight_format=fmt, part_formats=parts)


@cache
def _by_key() -> tuple[dict[str, ModelSpec], frozenset[str]]:
    """Gather the known models by their keys, and the words these consist of."""
    from lengthwise.domain.catalog import ALIASES, MODELS

    known = {model_key(model.name): model for model in MODELS}
    known |= {model_key(key): known[model_key(name)] for key, name in ALIASES.items()}
    return known, frozenset(word for key in known for word in key.split("-") if word.isalpha())
