"""Kinds of attention calls: engines run another kernel for each.

Query heads may have keys and values of their own (``single``), share them in groups (``shared``,
GQA and MQA) or share them in groups so wide that kernels fall back (``wide``). A window may be
short (``_window``) or so long that kernels work over it as over a full context (``_far``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

WIDE = 32
"""Query heads for one key-value head beyond which decode kernels change."""
FAR = 2048
"""Windows from which on kernels work as for full attention, over the keys of the window."""

_PLAIN = ("shared", "single", "wide")
KINDS: dict[int, tuple[str, ...]] = {
    0: ("single", *_PLAIN),
    1: _PLAIN,
    2: ("wide", *_PLAIN),
    3: ("single_window", "shared_window", "single", *_PLAIN),
    4: ("shared_window", "single_window", *_PLAIN),
    5: ("wide_window", "shared_window", "wide", *_PLAIN),
    6: ("single_far", "shared_far", "single", *_PLAIN),
    7: ("shared_far", "single_far", *_PLAIN),
    8: ("wide_far", "shared_far", "wide", *_PLAIN),
}
"""Cells to look for, by the number of the kind of call: the first that a curve has is taken."""
NAMES = tuple(kinds[0] for kinds in KINDS.values())


def kind_of(heads: ArrayLike, kv_heads: ArrayLike, window: ArrayLike, *, wide: bool = True) -> Any:
    """Say the number of the kind of call, in the order of ``NAMES``; shape (n,).

    >>> [NAMES[k] for k in kind_of([32, 32, 64], [32, 8, 1], [np.inf, 128, 8192])]
    ['single', 'shared_window', 'wide_far']
    """
    group = np.asarray(heads) / np.asarray(kv_heads)
    kind = (group > 1).astype(int) + (group > (WIDE if wide else np.inf))
    seen = np.asarray(window)
    reach = np.isfinite(seen).astype(int) + (np.isfinite(seen) & (seen >= FAR))
    return kind + 3 * reach
