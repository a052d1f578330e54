r"""Priors of the family: what is known before the first measurement.

Attention against GEMM. One query-key pair costs 4 L H d FLOP and one token 2 P FLOP (see
:mod:`lengthwise.domain.model`). Attention kernels run at a lower rate than GEMMs: over the 17
(GPU, engine, precision) combinations of NVIDIA AIConfigurator's operator measurements at 8,192
tokens and more, the GEMM rate is 0.8 to 1.9 times the attention rate, median 1.33 (see
``benchmarks/attention_prior.py``). Hence

    ln(alpha_2 / alpha_1) ~ N( ln(1.33 * 4 L H d / 2 P), 0.7^2 )

0.7 leaves room for unfused attention (3 to 5 times) at two standard deviations. Without a ModelSpec
the ratio of FLOPs is taken as that of a typical 8B model, 4e-5 per token, with standard deviation
1.4. The floor, in tokens, is where reading the weights costs as much as computing with them, plus
launches: some 150 tokens on GPUs (peak FLOP rate over bandwidth), within a factor of 4.

Reading the KV cache. The fastest step measured cannot be faster than reading the weights once, 2 P
bytes in 16 bits, so a KV token of 4 L H_kv d bytes costs about

    ln(alpha_kv) ~ N( ln(t_min * 4 L H_kv d / 2 P), 1.5^2 )

The sd covers quantised weights, overheads in t_min and caches; without a ModelSpec the ratio of
bytes is that of a typical 8B model with grouped queries, 8e-6, with sd 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lengthwise.domain.model import ModelSpec

ATTENTION_SLOWDOWN = 1.33
KNOWN_SD = 0.7
GENERIC_RATIO = 4e-5
GENERIC_SD = 1.4
KV_KNOWN_SD = 1.5
GENERIC_KV_RATIO = 8e-6
GENERIC_KV_SD = 2.0


@dataclass(frozen=True)
class LogNormal:
    """Prior of a positive coefficient: ln value ~ N(mean, sd^2).

    The value is the coefficient over alpha_1, or the coefficient itself when ``absolute``.
    """

    mean: float
    sd: float
    absolute: bool = False


def attention_ratio(spec: ModelSpec | None) -> LogNormal:
    """Give the prior of ln(alpha_2 / alpha_1), alpha_2 per pair, alpha_1 per token.

    >>> from lengthwise.domain.model import find_model
    >>> eight_b = find_model("llama3.1-8b")
    >>> round(math.exp(attention_ratio(eight_b).mean) * 1e5, 2)
    5.0
    """
    if spec is None or not spec.flops_per_pair:
        return LogNormal(math.log(ATTENTION_SLOWDOWN * GENERIC_RATIO), GENERIC_SD)
    ratio = spec.flops_per_pair / spec.flops_per_token
    return LogNormal(math.log(ATTENTION_SLOWDOWN * ratio), KNOWN_SD)


def kv_cost(spec: ModelSpec | None, fastest_s: float) -> LogNormal:
    """Give the prior of ln(alpha_kv), seconds per KV token read.

    Parameters
    ----------
    spec
        Architecture, when known.
    fastest_s
        Time of the fastest step measured, seconds.

    Examples
    --------
    >>> from lengthwise.domain.model import find_model
    >>> eight_b = find_model("llama3.1-8b")
    >>> round(math.exp(kv_cost(eight_b, 0.010).mean) * 1e9, 1)
    93.9
    """
    if spec is None or not spec.kv_bytes_per_token:
        return LogNormal(math.log(fastest_s * GENERIC_KV_RATIO), GENERIC_KV_SD, absolute=True)
    ratio = spec.kv_bytes_per_token / (2.0 * spec.parameters)
    return LogNormal(math.log(fastest_s * ratio), KV_KNOWN_SD, absolute=True)
