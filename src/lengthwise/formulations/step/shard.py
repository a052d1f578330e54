"""What one processor does in a layer after the model has been cut up.

Attention and dense feed-forward parts are cut over ``tp`` processors (Megatron-LM, arXiv
1909.08053) and copied ``dp`` times, each copy with sequences of its own. Routed experts belong to
all ``tp * dp`` processors of a stage: they are spread over ``ep`` of them, and each expert is cut
over the rest (data-parallel attention as in DeepSeek-V3, arXiv 2412.19437).
"""

from __future__ import annotations

import math

from lengthwise.domain.layers import Attention, Experts, Gemm, LatentAttention, Recurrence
from lengthwise.domain.parallelism import Parallelism


def cut(gemm: Gemm, degree: int) -> tuple[float, float]:
    """Give outputs and inputs of a matrix on one of ``degree`` processors.

    >>> cut(Gemm(6144, 4096, "columns"), 2), cut(Gemm(4096, 4096, "rows"), 2)
    ((3072.0, 4096.0), (4096.0, 2048.0))
    """
    n, k = float(gemm.n), float(gemm.k)
    if gemm.split == "columns":
        return float(math.ceil(n / degree)), k
    return (n, float(math.ceil(k / degree))) if gemm.split == "rows" else (n, k)


def heads_of(mixer: Attention | LatentAttention | Recurrence, tp: int) -> tuple[float, float]:
    """Give query heads and key-value heads on one processor; the latter are copied when too few.

    >>> heads_of(Attention(64, 8, 128, 128), 16)
    (4.0, 1.0)
    """
    kv = 1.0 if not isinstance(mixer, Attention) else max(1.0, mixer.kv_heads / tp)
    return max(1.0, mixer.heads / tp), kv


def experts_of(ffn: Experts, parallelism: Parallelism) -> tuple[float, float]:
    """Give the experts on one processor, and the inner size of each.

    >>> experts_of(Experts(2048, True, 256, 8), Parallelism(tp=8, ep=4))
    (64.0, 1024.0)
    """
    width = parallelism.tp * parallelism.dp
    ep = min(parallelism.ep, width)
    return max(1.0, ffn.experts / ep), max(1.0, ffn.inner * ep / width)
