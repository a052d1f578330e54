"""Pod types and pods as positions, bounded: pods come and go for months."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.formulations.online.rows import RouterRows

MOST_TYPES, MOST_PODS, LONGEST = 64, 1000, 256


class Labels:
    """Known labels; position 0 stands for any other.

    Examples
    --------
    >>> labels = Labels()
    >>> types, pods, _ = labels.place(RouterRows.of({"input_tokens": [1, 2], "pod": ["a", ""]}))
    >>> types.tolist(), pods.tolist(), labels.pods
    ([1, 1], [1, 0], ['*', 'a'])
    """

    def __init__(self) -> None:
        self.types, self.pods = ["*"], ["*"]
        self.seen_at = [0]
        self.calls = 0

    def place(self, rows: RouterRows) -> tuple[Any, Any, Any]:
        """Give positions of types and pods, learning new ones.

        Returns
        -------
        types, pods, moved
            Positions, shape (n,); and new positions of all pods if old ones were dropped.
        """
        self.calls += 1
        kinds, names = rows.pod_type.tolist(), rows.pod.tolist()
        for kind in dict.fromkeys(kinds):
            room = len(self.types) < MOST_TYPES and len(kind) <= LONGEST
            if room and kind not in self.types:
                self.types.append(kind)
        index = {name: i for i, name in enumerate(self.pods)}
        distinct = [name for name in dict.fromkeys(names) if 0 < len(name) <= LONGEST]
        new = [name for name in distinct if name not in index]
        moved = None
        if len(self.pods) + len(new) > MOST_PODS:
            moved = self._drop(set(distinct))
            new = new[: MOST_PODS - len(self.pods)]
        self.pods += new
        self.seen_at += [self.calls] * len(new)
        index = {name: i for i, name in enumerate(self.pods)}
        for name in distinct:
            if name in index:
                self.seen_at[index[name]] = self.calls
        where = {name: i for i, name in enumerate(self.types)}
        return (
            np.array([where.get(k, 0) for k in kinds], dtype=np.intp),
            np.array([index.get(p, 0) for p in names], dtype=np.intp), moved,
        )  # fmt: skip

    def _drop(self, wanted: set[str]) -> Any:
        """Forget the half of the pods not seen for longest; gives new positions."""
        rank = sorted(range(1, len(self.pods)), key=lambda i: (self.pods[i] in wanted,
                                                               self.seen_at[i]))  # fmt: skip
        kept = [0, *sorted(rank[len(rank) // 2 :])]
        moved = np.zeros(len(self.pods), dtype=np.intp)
        moved[kept] = np.arange(len(kept))
        self.pods = [self.pods[i] for i in kept]
        self.seen_at = [self.seen_at[i] for i in kept]
        return moved

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"types": self.types, "pods": self.pods, "seen_at": self.seen_at,
                "calls": self.calls}  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Labels:
        """Read :meth:`to_dict` back."""
        labels = cls()
        labels.types = [str(x) for x in data["types"]]
        labels.pods = [str(x) for x in data["pods"]]
        labels.seen_at = [int(x) for x in data["seen_at"]]
        labels.calls = int(data["calls"])
        return labels
