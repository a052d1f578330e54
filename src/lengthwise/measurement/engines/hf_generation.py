"""One run of a model: prompts in, one step after the other, with or without a cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lengthwise.measurement.engines.hf_decoding import Choice

if TYPE_CHECKING:
    import torch

Forward = Callable[..., Any]


class Generation:
    """Sequences in the making.

    Parameters
    ----------
    prefill, decode
        Forward passes of the model; they may be compiled differently.
    arguments
        Further arguments of every pass, the cache among them.
    cache
        Cache of transformers, or None to feed the whole sequence again at every step.
    choice
        Chooses the next tokens.
    ids
        Prompts, shape (n_prompts, isl).
    cached
        Tokens of each prompt put into the cache at once, before any step.
    """

    def __init__(
        self, prefill: Forward, decode: Forward, arguments: dict[str, Any], cache: Any,
        choice: Choice, ids: torch.Tensor, cached: int = 0,
    ) -> None:  # fmt: skip
        self._forward, self._decode, self._arguments = prefill, decode, arguments
        self._cache, self._choice = cache, choice
        if cached:
            prefill(input_ids=ids[:, :cached], **arguments)
        self._feed = ids[:, cached:]

    def step(self) -> torch.Tensor:
        """Run one step and give the chosen tokens, shape (n_sequences,)."""
        import torch

        logits = self._forward(input_ids=self._feed, **self._arguments).logits[:, -1]
        self._forward = self._decode
        tokens, origin = self._choice(logits)
        if self._cache is None:
            kept = self._feed if origin is None else self._feed[origin]
            self._feed = torch.cat([kept, tokens[:, None]], dim=1)
        else:
            if origin is not None:
                self._cache.reorder_cache(origin)
            self._feed = tokens[:, None]
        return tokens
