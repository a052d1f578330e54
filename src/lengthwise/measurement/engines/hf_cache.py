"""Empty caches of keys, values and states for the runs of one model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Caches:
    """Gives an empty cache for every run.

    Parameters
    ----------
    kind
        ``dynamic``, ``static`` or ``none``.
    config
        Configuration of the model.
    max_tokens
        Tokens per sequence of a static cache.
    fill
        Put one token of so many sequences into a cache. A new static cache takes its memory then:
        hundreds of milliseconds that no step of a serving engine has.
    """

    def __init__(
        self, kind: str, config: Any, max_tokens: int, fill: Callable[[Any, int], None]
    ) -> None:
        self._kind, self._config, self._max_tokens = kind, config, max_tokens
        self._fill = fill
        self._static: tuple[int, Any] | None = None

    def empty(self, batch_size: int) -> Any:
        """Give an empty cache, or None without one.

        A static cache is kept from run to run, as a CUDA graph knows its address.
        """
        from transformers import DynamicCache, StaticCache

        if self._kind == "none":
            return None
        if self._kind == "dynamic":
            return DynamicCache(config=self._config)
        if self._static is None or self._static[0] != batch_size:
            self._static = None  # free the old one first
            cache = StaticCache(config=self._config, max_cache_len=self._max_tokens)
            self._fill(cache, batch_size)
            self._static = batch_size, cache
        self._static[1].reset()
        return self._static[1]
