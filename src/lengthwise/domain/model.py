"""Architecture facts of a model, as far as a length law needs them.

The forward pass of a dense decoder costs, for n prompt tokens (Kaplan et al. 2020,
arXiv 2001.08361, and the causal half of the attention matrix),

    linear     2 P n                    P: parameters that multiply every token
    quadratic  4 L H d * n^2 / 2        L layers, H query heads of d dimensions

so one attention pair costs 4 L H d FLOP and one token 2 P FLOP. Their ratio is the prior mean of
the quadratic to linear coefficient of a prefill law.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from lengthwise.domain.names import model_key


@dataclass(frozen=True)
class ModelSpec:
    """Shape of a decoder-only transformer.

    Attributes
    ----------
    name
        Name as written in a measurement table.
    parameters
        Parameters that act on every token (active ones for mixtures of experts).
    layers, heads, kv_heads, head_dim
        Attention shape; ``layers`` counts layers with full attention.
    source
        Where the numbers come from.

    Examples
    --------
    >>> llama = find_model("llama2-70b")
    >>> round(llama.flops_per_token / 1e9, 1), llama.flops_per_pair
    (138.0, 2621440)
    """

    name: str
    parameters: float
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    source: str = ""

    @property
    def flops_per_token(self) -> float:
        """FLOP of the weight products of one token, 2 P."""
        return 2.0 * self.parameters

    @property
    def flops_per_pair(self) -> int:
        """FLOP of one query-key pair over all layers: scores and weighted sum, 4 L H d."""
        return 4 * self.layers * self.heads * self.head_dim

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of keys and values of one token in 16 bits, 4 L H_kv d."""
        return 4 * self.layers * self.kv_heads * self.head_dim


def find_model(name: str) -> ModelSpec | None:
    """Look a model up by any usual spelling of its name; None if it is not known.

    Case, organisation (``meta-llama/``), tuning (``-hf``, ``-Instruct``) and quantisation
    (``-Q8_0-GGUF``, ``-FP8``) do not matter.

    >>> find_model("deepseek_r1_distill_qwen_14b").layers
    48
    >>> find_model("my-own-model") is None
    True
    """
    return _by_key().get(model_key(name))


@cache
def _by_key() -> dict[str, ModelSpec]:
    from lengthwise.domain.catalog import ALIASES, MODELS

    found = {model_key(model.name): model for model in MODELS}
    return found | {key: found[model_key(name)] for key, name in ALIASES.items()}
