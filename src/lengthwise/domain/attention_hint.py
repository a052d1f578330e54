"""Words in a measurement table that say that attention was not over the whole past."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

COLUMNS = ("model", "engine", "engine_version")
"""Columns whose words are read."""

_NONE = re.compile(
    r"linear[-_ ]?attention|\b(?:falcon|codestral)[-_ ]?mamba|\bmamba(?:[-_ ]?\d+)?(?![a-z])"
    r"|rwkv|\bretnet\b"
)
_SPARSE = re.compile(
    r"minference|a-shape|\ba[_ ]shape\b|\btri(?:angle)?-?(?:shape|mix)|inf-?llm|streaming-?llm"
    r"|duo-?attention|flex-?prefill|x-?attention\b|sparge|seer-?attention|\bquest\b|\bmoba\b"
    r"|\b(?:nsa|dsa)\b|\bsparse(?![a-z])|block-?sparse|vertical-?slash|lightning-?indexer"
)
_WEIGHTS = re.compile(
    r"\b2(?:of|:)4\b|\bsparse[-_ ]?(?:llama|gpt|moe|mixture|weights?|experts?|marlin)"
    r"|(?:weights?|50|semi-?structured)[-_ ]?spars\w*"
)
"""Sparse weights: a matter of the matrices, not of attention."""


def attention_hint(labels: Mapping[str, object]) -> Literal["sparse", "none"] | None:
    """Read from the labels of a deployment how far its attention reaches.

    Parameters
    ----------
    labels
        Columns of a measurement table with their values; ``model``, ``engine`` and
        ``engine_version`` are read, other columns and values that are not text are not.

    Returns
    -------
    "sparse", "none" or None
        ``sparse``: a query attends to a part of the past only (MInference, A-Shape, StreamingLLM,
        NSA, DSA). ``none``: there is no attention, but a state (Mamba, RWKV, linear attention).
        None: nothing is said, as for full attention.

    Examples
    --------
    >>> attention_hint({"model": "Llama-3-8B", "engine": "transformers A-Shape"})
    'sparse'
    >>> attention_hint({"model": "state-spaces/mamba-2.8b", "engine": "vLLM"})
    'none'
    >>> attention_hint({"model": "Llama-3-8B", "engine": "transformers FlashAttention-2"}) is None
    True
    """
    text = " | ".join(v.lower() for name in COLUMNS if isinstance(v := labels.get(name), str))
    if _SPARSE.search(_WEIGHTS.sub(" ", text)):
        return "sparse"
    return "none" if _NONE.search(text) else None
