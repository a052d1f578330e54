"""Models that are known for a while beside the catalogue, under the names a table gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lengthwise.domain.model import ModelSpec

_KNOWN: ContextVar[Mapping[str, ModelSpec] | None] = ContextVar("also known models", default=None)


@contextmanager
def also_known(models: Mapping[str, ModelSpec]) -> Iterator[None]:
    """Let :func:`~lengthwise.domain.model.find_model` find ``models`` by exactly these names.

    They come before the catalogue, hold inside the block and in this thread only, and blocks nest.

    Parameters
    ----------
    models
        Models by the names used in a table.

    Examples
    --------
    >>> from lengthwise.domain.model import find_model
    >>> with also_known({"our-llm": find_model("qwen3-8b")}):
    ...     find_model("our-llm").layers
    36
    >>> find_model("our-llm") is None
    True
    """
    token = _KNOWN.set({**(_KNOWN.get() or {}), **models})
    try:
        yield
    finally:
        _KNOWN.reset(token)


def known_as(name: str) -> ModelSpec | None:
    """Return the model that is known by this name at the moment; None if there is none."""
    return (_KNOWN.get() or {}).get(name)
