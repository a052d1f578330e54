"""eFLOPs of Kinetics: arithmetic plus memory traffic, the latter as the FLOP it displaces.

    dense    compute  K [2 P G + 2 (2 C + G) G H d L]
             memory   I 2 (2 C + G K) G H_kv d L
    sparse   compute  K [2 P G + 4 V H d L]             V = sum of visible tokens
             memory   I K 4 V H_kv d L
    blocks   compute  sparse + K (2 C + G) / s G H d L    one score per block of s tokens
             memory   sparse + I (2 C + G K) / s G H_kv d L

C tokens of context, G generated, K trials that share the context, I FLOP per byte (562.5), 16 bits
per cached value. Reading the weights is left out: batches are large. A budget of B tokens shows

    V = sum over steps of min(B, C + i) = B G - (B - C)^2 / 2        0 < B - C <= G

(sum in the middle of each step; B G for B <= C, dense for B - C > G). The published code has both
signs of the correction; only the minus is the sum. Source: Kinetics, arXiv 2506.05333,
github.com/Infini-AI-Lab/Kinetics.
"""

from __future__ import annotations

from dataclasses import dataclass

from lengthwise.domain.model import ModelSpec
from lengthwise.errors import InputError

INTENSITY = 562.5
"""FLOP per byte of the processor that Kinetics prices memory with."""


@dataclass(frozen=True)
class EFlops:
    """Equivalent FLOP of one task.

    Attributes
    ----------
    compute, memory
        FLOP of arithmetic, and FLOP that memory traffic is worth.
    """

    compute: float
    memory: float

    @property
    def total(self) -> float:
        """Both."""
        return self.compute + self.memory


def visible_tokens(context: float, generated: float, budget: float | None = None) -> float:
    """Sum of the tokens that each generated one attends to, counted in the middle of its step.

    Parameters
    ----------
    context, generated
        Tokens before generation and generated ones.
    budget
        Tokens visible at most; None: all.

    Returns
    -------
    float
        Tokens.

    Examples
    --------
    >>> visible_tokens(100, 10), visible_tokens(100, 10, 50), visible_tokens(100, 10, 104)
    (1050.0, 500.0, 1032.0)
    """
    return _growing(context, generated, budget, 0.0)


def visible_tokens_before(context: float, generated: float, budget: float | None = None) -> float:
    """Sum of min(budget, context + i) over whole steps i < generated; all arguments whole numbers.

    >>> visible_tokens_before(100, 10, 104), sum(min(104, 100 + i) for i in range(10))
    (1030.0, 1030)
    """
    return _growing(context, generated, budget, 1.0)


def _growing(context: float, generated: float, budget: float | None, step: float) -> float:
    if not (context >= 0 and generated >= 0 and (budget is None or budget >= 0)):
        raise InputError(
            "tokens are 0 or more", got=f"context={context}, generated={generated}, budget={budget}"
        )
    rising = generated if budget is None else min(max(budget - context, 0.0), generated)
    full = 0.0 if budget is None else (generated - rising) * budget
    return float(rising * context + rising * (rising - step) / 2.0 + full)


def dense_cost(
    model: ModelSpec, *, context: float, generated: float, trials: float = 1,
    intensity: float = INTENSITY,
) -> EFlops:  # fmt: skip
    """Cost of generating with full attention; trials read the shared context once.

    Parameters
    ----------
    model
        Shape; layers with full attention are counted.
    context, generated
        Tokens C and G.
    trials
        Answers K to the same context.
    intensity
        FLOP per byte, I.

    Examples
    --------
    >>> from lengthwise.domain.model import find_model
    >>> cost = dense_cost(find_model("qwen3-8b"), context=1000, generated=8000)
    >>> f"{cost.compute:.3g} {cost.memory:.3g}"
    '1.55e+14 3.32e+15'
    """
    read = 2 * (2 * context + generated * trials) * generated * _kv_width(model)
    pairs = visible_tokens(context, generated)
    return EFlops(trials * _arithmetic(model, generated, pairs), intensity * read)


def sparse_cost(
    model: ModelSpec, *, context: float, generated: float, budget: float, trials: float = 1,
    intensity: float = INTENSITY, block: float | None = None,
) -> EFlops:  # fmt: skip
    """Cost of generating with at most ``budget`` visible tokens.

    Parameters
    ----------
    model, context, generated, trials, intensity
        As for :func:`dense_cost`.
    budget
        Tokens visible at most, B.
    block
        Tokens per block s, when blocks are scored to choose them; None: choosing is free.

    Examples
    --------
    >>> from lengthwise.domain.model import find_model
    >>> qwen = find_model("qwen3-8b")
    >>> cost = sparse_cost(qwen, context=1000, generated=8000, budget=1024)
    >>> round(dense_cost(qwen, context=1000, generated=8000).total / cost.total, 2)
    4.26
    """
    seen = visible_tokens(context, generated, budget)
    compute, memory = _arithmetic(model, generated, seen), 4 * seen * _kv_width(model) * trials
    if block is not None:
        if not block > 0:
            raise InputError("a block holds 1 token or more", got=repr(block))
        compute += (2 * context + generated) / block * generated * _width(model)
        memory += (2 * context + generated * trials) / block * generated * _kv_width(model)
    return EFlops(trials * compute, intensity * memory)


def _arithmetic(model: ModelSpec, generated: float, pairs: float) -> float:
    return 2.0 * model.active_parameters * generated + 4.0 * pairs * _width(model)


def _width(model: ModelSpec) -> float:
    return float(model.heads * model.head_dim * model.layers)


def _kv_width(model: ModelSpec) -> float:
    return float(model.kv_heads * model.head_dim * model.layers)
