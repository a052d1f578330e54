"""How the layers of a model see the past, and how much of its work grows with the length.

A prompt of n tokens costs 2 P n FLOP in weight products and, per layer, one pair for every query
and every entry it sees:

    full, latent        n^2 / 2          every query sees all that came before
    sliding             w n - w^2 / 2    beyond the window w, pairs stop growing faster than tokens
    sparse              the same with the chosen entries for w; the index that chooses them sees all
    recurrent           0                a state of fixed size
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lengthwise.domain.layers import Attention, LatentAttention, Recurrence
from lengthwise.domain.model import ModelSpec
from lengthwise.errors import InputError


@dataclass(frozen=True)
class LayerKinds:
    """Number of layers by what a query sees of the past; layers without a mixer are not counted.

    Attributes
    ----------
    full
        Softmax attention to every earlier token (MHA, GQA, MQA).
    latent
        The same, over a short vector per token for all heads (MLA).
    sliding
        Softmax attention to the last tokens only.
    sparse
        An index chooses what a query attends to, or the past is compressed.
    recurrent
        A state of fixed size: linear attention, Mamba, the gated delta rule.
    """

    full: int = 0
    latent: int = 0
    sliding: int = 0
    sparse: int = 0
    recurrent: int = 0


def layer_kinds(spec: ModelSpec) -> LayerKinds:
    """Count the layers of a model by kind.

    Parameters
    ----------
    spec
        The model.

    Returns
    -------
    LayerKinds
        Numbers of layers.

    Examples
    --------
    >>> from lengthwise.domain.model import find_model
    >>> layer_kinds(find_model("gemma-3-27b"))
    LayerKinds(full=10, latent=0, sliding=52, sparse=0, recurrent=0)
    >>> layer_kinds(find_model("qwen3.5-27b")).recurrent, layer_kinds(find_model("glm-5")).sparse
    (48, 78)
    """
    counts: dict[str, int] = {}
    for block in spec.blocks:
        if block.mixer is not None:
            kind = _kind(block.mixer)
            counts[kind] = counts.get(kind, 0) + block.count
    return LayerKinds(**counts)


def pairs_per_token_growth(spec: ModelSpec) -> float:
    """Return the FLOP of one query-key pair over the FLOP of one token.

    Parameters
    ----------
    spec
        The model.

    Returns
    -------
    float
        ``flops_per_pair / flops_per_token``, 1 / tokens. Its inverse is the context at which a new
        token costs as much in attention as in weight products. Only layers whose pairs grow with
        every token count: those of a sliding window stop growing beyond the window and count
        nothing, whatever the length; of sparse layers only the index counts, of compressed ones the
        kept fraction. 0 for a model without full attention, or without weights.

    Examples
    --------
    >>> from lengthwise.domain.model import find_model
    >>> round(1 / pairs_per_token_growth(find_model("llama3.1-8b")))
    26624
    >>> pairs_per_token_growth(find_model("mistral-7b-v0.1"))
    0.0
    """
    return spec.flops_per_pair / spec.flops_per_token if spec.flops_per_token else 0.0


def attention_share(spec: ModelSpec, tokens: float) -> float:
    """Return the share of a prompt's FLOP that is spent on query-key pairs.

    Parameters
    ----------
    spec
        The model.
    tokens
        Length of the prompt, tokens.

    Returns
    -------
    float
        Between 0 and 1. Pairs within a sliding window and those an index chooses are counted as
        far as they reach, pairs of the index itself over the whole past; updates of recurrent
        states count with the weight products.

    Raises
    ------
    InputError
        If the length is not a positive number.

    Examples
    --------
    >>> from lengthwise.domain.model import find_model
    >>> round(attention_share(find_model("llama3.1-8b"), 32768), 3)
    0.381
    >>> round(attention_share(find_model("mistral-7b-v0.1"), 32768), 3)
    0.126
    """
    if not 0 < tokens < math.inf:
        raise InputError("a prompt has a length", got=f"tokens={tokens!r}",
                         remedy="give a positive number of tokens")  # fmt: skip
    pairs, linear = 0.0, spec.flops_per_token * tokens
    for block in spec.blocks:
        if isinstance(block.mixer, Recurrence):
            linear += block.count * block.mixer.update_flops * tokens
        elif block.mixer is not None:
            pairs += block.count * _pair_flops(block.mixer, tokens)
    return pairs / (pairs + linear) if pairs else 0.0


def _kind(mixer: Attention | LatentAttention | Recurrence) -> str:
    """Name the kind of a mixer, as :class:`LayerKinds` does."""
    if isinstance(mixer, Recurrence):
        return "recurrent"
    if mixer.selected is not None or (isinstance(mixer, Attention) and mixer.compress):
        return "sparse"
    if isinstance(mixer, LatentAttention):
        return "latent"
    return "full" if mixer.is_full else "sliding"


def _pair_flops(mixer: Attention | LatentAttention, tokens: float) -> float:
    """Return the FLOP of all pairs of a prompt in one layer, and of its index."""
    chosen = math.inf if mixer.selected is None else float(mixer.selected)
    window = (mixer.window if isinstance(mixer, Attention) else None) or math.inf
    ratio = (mixer.compress if isinstance(mixer, Attention) else 0) or 1
    if isinstance(mixer, Attention) and mixer.compress:
        seen = _seen(tokens, window) + ratio * _seen(tokens / ratio, chosen)
    else:
        seen = _seen(tokens, min(window, chosen))
    return mixer.pair_flops * seen + mixer.index_flops * ratio * _seen(tokens / ratio, math.inf)


def _seen(tokens: float, limit: float) -> float:
    """Return the pairs of a prompt whose queries see at most ``limit`` entries.

    >>> _seen(100, float("inf")), _seen(100, 10)
    (5000.0, 950.0)
    """
    near = min(tokens, limit)
    return near * tokens - near * near / 2
