"""Prompts of a given length that no prefix cache has seen, made fast enough to be made on time.

All units (token ids, words) are written with the same number of characters, so a prompt is a slice
of a long text of random units behind a fresh head: caches of prefixes match from the first token.
"""

from __future__ import annotations

import random

HEAD = 64
"""Units at the start of each prompt that are drawn anew."""

_WORDS = (
    "time", "year", "work", "life", "hand", "part", "case", "week", "room", "fact", "book", "side",
    "kind", "head", "game", "line", "city", "name", "team", "idea", "body", "back", "door", "road",
    "form", "food", "land", "home", "type", "term", "sale", "town", "club", "west", "east", "rule",
    "wind", "film", "lake", "bank", "king", "snow", "fire", "page", "star", "hill", "ship", "bird",
    "tree", "moon", "wall", "milk", "song", "gold",
)  # fmt: skip


class Prompts:
    """Random prompts.

    Parameters
    ----------
    seed
        Of the random numbers.
    vocabulary
        Size of the vocabulary of the model; ids stay well inside it.

    Examples
    --------
    >>> prompts = Prompts(seed=0)
    >>> len(prompts.words(1000).split()), prompts.ids(500).count(",") + 1
    (1000, 500)
    """

    def __init__(self, seed: int | str, vocabulary: int = 8000) -> None:
        self._random = random.Random(seed)
        top = min(vocabulary, 8000)
        low, high = (1000, top) if top > 2000 else (100, min(top, 1000))
        self._units = {
            "ids": [f"{i}," for i in range(low, max(high, low + 1))],
            "words": [f"{word} " for word in _WORDS],
        }
        self._pools: dict[str, str] = {"ids": "", "words": ""}

    def reserve(self, n: int) -> None:
        """Prepare for prompts of up to ``n`` units, so that none of them has to wait."""
        for kind in self._pools:
            self._pool(kind, n)

    def ids(self, n: int) -> str:
        """Give ``n`` token ids, separated by commas."""
        return self._slice("ids", n)

    def words(self, n: int) -> str:
        """Give ``n`` short words, separated by blanks."""
        return self._slice("words", n)

    def _slice(self, kind: str, n: int) -> str:
        head = "".join(self._random.choices(self._units[kind], k=min(n, HEAD)))
        rest = max(n - HEAD, 0)
        width = len(self._units[kind][0])
        pool = self._pool(kind, rest)
        start = self._random.randrange(len(pool) // width - rest + 1) * width
        return (head + pool[start : start + rest * width])[:-1]

    def _pool(self, kind: str, n: int) -> str:
        width = len(self._units[kind][0])
        if len(self._pools[kind]) < 2 * n * width or not self._pools[kind]:
            self._pools[kind] = "".join(self._random.choices(self._units[kind], k=2 * n + 1024))
        return self._pools[kind]
