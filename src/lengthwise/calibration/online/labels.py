"""Pod types and pods as positions, bounded: labels come and go, and anybody can invent some.

When there is no room, the least useful labels go: those with the fewest rows, where old rows count
less, and among equals those not seen for longest. A thousand invented names, each with a row or
two, push out one another but nothing that is in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.formulations.online.rows import RouterRows

MOST_TYPES, MOST_PODS, LONGEST = 64, 1000, 256
FORGET_ROWS = 20000.0
"""Rows after which a row counts a third for the usefulness of its label."""


class Book:
    """Labels of one sort; position 0 stands for any other.

    Attributes
    ----------
    names
        Labels by position.
    """

    def __init__(self, most: int) -> None:
        self.names, self._most = ["*"], most
        self._uses = np.zeros(1)

    def place(self, labels: list[str], known: Any) -> tuple[Any, Any]:
        """Give positions of labels (n,), learning new ones where ``known``, bool (n,), says so.

        Returns
        -------
        positions, moved
            Shape (n,); and new positions of all old ones (0: forgotten) if some were dropped.
        """
        self._uses *= np.exp(-len(labels) / FORGET_ROWS)
        uses: dict[str, int] = {}
        for label, counts in zip(labels, known, strict=True):
            if counts and len(label) <= LONGEST:
                uses[label] = uses.get(label, 0) + 1
        index = {name: i for i, name in enumerate(self.names)}
        moved = None
        new = [name for name in uses if name not in index]
        if len(self.names) + len(new) > self._most:
            new = sorted(new, key=lambda name: -uses[name])[: self._most // 2]
            if len(self.names) + len(new) > self._most:
                moved = self._drop(len(self.names) + len(new) - self._most, uses)
        self.names += new
        self._uses = np.append(self._uses, np.zeros(len(new)))
        index = {name: i for i, name in enumerate(self.names)}
        for name, count in uses.items():
            if name in index:
                self._uses[index[name]] += count
        return np.array([index.get(label, 0) for label in labels], dtype=np.intp), moved

    def _drop(self, least: int, wanted: Mapping[str, int]) -> Any:
        """Forget some of the least useful labels, at least so many; gives new positions."""
        uses = self._uses + [wanted.get(name, 0) for name in self.names]
        uses[0] = np.inf
        order = np.argsort(uses, kind="stable")
        kept = np.sort(order[max(least, self._most // 8) :])
        moved = np.zeros(len(self.names), dtype=np.intp)
        moved[kept] = np.arange(len(kept))
        self.names = [self.names[i] for i in kept]
        self._uses = self._uses[kept]
        return moved

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"names": self.names, "uses": self._uses.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], most: int) -> Book:
        """Read :meth:`to_dict` back."""
        book = cls(most)
        book.names = [str(name) for name in data["names"]]
        book._uses = np.asarray(data["uses"], dtype=float)
        if book._uses.shape != (len(book.names),) or not np.isfinite(book._uses).all():
            raise ValueError("every label has a finite number of uses")
        return book


class Labels:
    """Known pod types and pods.

    Examples
    --------
    >>> labels = Labels()
    >>> rows = RouterRows.of({"input_tokens": [1, 2], "pod": ["a", ""]})
    >>> types, pods, *_ = labels.place(rows, [True, True])
    >>> types.tolist(), pods.tolist(), labels.pods
    ([1, 1], [1, 0], ['*', 'a'])
    """

    def __init__(self) -> None:
        self._types, self._pods = Book(MOST_TYPES), Book(MOST_PODS)

    @property
    def types(self) -> list[str]:
        """Pod types by position."""
        return self._types.names

    @property
    def pods(self) -> list[str]:
        """Pods by position."""
        return self._pods.names

    def place(self, rows: RouterRows, known: Any) -> tuple[Any, Any, Any, Any]:
        """Give positions of types and pods, learning new ones from rows that are ``known`` good.

        Returns
        -------
        types, pods, moved_types, moved_pods
            Positions, shape (n,); and new positions of old labels if some were dropped.
        """
        types, moved_types = self._types.place(rows.pod_type.tolist(), known)
        names = rows.pod.tolist()
        named = [bool(name) and counts for name, counts in zip(names, known, strict=True)]
        pods, moved_pods = self._pods.place(names, named)
        return types, pods, moved_types, moved_pods

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"types": self._types.to_dict(), "pods": self._pods.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Labels:
        """Read :meth:`to_dict` back."""
        labels = cls()
        types, pods = data["types"], data["pods"]
        if isinstance(types, list):  # written before uses were counted
            types, pods = ({"names": n, "uses": [0.0] * len(n)} for n in (types, pods))
        labels._types = Book.from_dict(types, MOST_TYPES)
        labels._pods = Book.from_dict(pods, MOST_PODS)
        return labels
