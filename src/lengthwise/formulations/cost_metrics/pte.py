"""Prefill-token equivalents (PTE) of an agent's trajectory.

    PTE = sum over turns of  prefill tokens + gamma * sum over its decode tokens of live context
    gamma = kv_bytes_per_token * I / (2 P)           I = peak FLOP/s / bandwidth

A decode token at context L reads L tokens of cache; one context token costs gamma of what a prefill
token costs in arithmetic. After a tool call the cache may be gone: then the whole context is
prefilled again. Weight reads are shared by a large batch and left out, unless ``batch`` says by how
many sequences. Source: Su et al. 2026, arXiv 2604.05404; the form of gamma is derived here from
the roofline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lengthwise.domain.hardware import HardwareSpec
from lengthwise.domain.model import ModelSpec
from lengthwise.errors import InputError


@dataclass(frozen=True)
class Turn:
    """One call of the model in a trajectory.

    Attributes
    ----------
    added
        Tokens that are new in the prompt: question, tool response.
    generated
        Tokens the model then writes.
    evicted
        Whether the cache of the earlier turns was lost, so that all of it is prefilled again.
    """

    added: float
    generated: float
    evicted: bool = False

    def __post_init__(self) -> None:
        if not (self.added >= 0 and self.generated >= 0):
            raise InputError("a turn adds and generates 0 tokens or more",
                             got=f"added={self.added}, generated={self.generated}")  # fmt: skip


@dataclass(frozen=True)
class Served:
    """What the turns of a trajectory make a server do, one entry per turn.

    Attributes
    ----------
    prefilled
        Tokens prefilled, those of a lost cache included.
    prompt
        Context after the prefill, tokens.
    generated
        Tokens decoded.
    """

    prefilled: tuple[float, ...]
    prompt: tuple[float, ...]
    generated: tuple[float, ...]

    @property
    def context_reads(self) -> float:
        """Sum of the live context over all decode tokens, in the middle of each step."""
        pairs = zip(self.prompt, self.generated, strict=True)
        return sum(n * (context + n / 2.0) for context, n in pairs)


def served(turns: Sequence[Turn]) -> Served:
    """Follow the cache through a trajectory.

    Examples
    --------
    >>> done = served([Turn(1000, 100), Turn(500, 50), Turn(500, 50, evicted=True)])
    >>> done.prefilled, done.prompt
    ((1000, 500, 2150), (1000, 1600, 2150))
    """
    context: float = 0
    prefilled: list[float] = []
    prompt: list[float] = []
    for turn in turns:
        prefilled.append(turn.added + (context if turn.evicted else 0))
        context += turn.added
        prompt.append(context)
        context += turn.generated
    return Served(tuple(prefilled), tuple(prompt), tuple(turn.generated for turn in turns))


def gamma(
    model: ModelSpec, hardware: HardwareSpec, *, dtype: str = "bf16", kv_bits: float = 16
) -> float:
    """Prefill tokens that reading one context token is worth.

    Parameters
    ----------
    model, hardware
        Whose cache, and on which processor.
    dtype
        Format of the arithmetic.
    kv_bits
        Bits of a cached value.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> round(1000 * gamma(find_model("llama3.1-8b"), find_hardware("h100_sxm")), 2)
    2.77
    """
    read = model.kv_bytes_per_token * kv_bits / 16
    return read * hardware.ridge_point(dtype) / model.flops_per_token


def prefill_token_equivalents(
    turns: Sequence[Turn], model: ModelSpec, hardware: HardwareSpec, *, dtype: str = "bf16",
    kv_bits: float = 16, batch: float | None = None,
) -> float:  # fmt: skip
    """Cost of a trajectory in prefill tokens.

    Parameters
    ----------
    turns
        Calls of the model, in order.
    model, hardware, dtype, kv_bits
        As for :func:`gamma`.
    batch
        Sequences that share each read of the weights; None: so many that it costs nothing, the
        published metric, which ranks shares of processor time. A request's own wall clock holds
        whole steps and is ranked by ``batch=1``; plain PTE can rank it worse than token counts do.

    Returns
    -------
    float
        Prefill-token equivalents.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> kept, lost = [Turn(4000, 200), Turn(500, 200)], [Turn(4000, 200), Turn(500, 200, True)]
    >>> llama, card = find_model("llama3.1-8b"), find_hardware("h100_sxm")
    >>> [round(prefill_token_equivalents(turns, llama, card)) for turns in (kept, lost)]
    [9434, 13634]
    """
    done = served(turns)
    total = sum(done.prefilled) + gamma(model, hardware, dtype=dtype, kv_bits=kv_bits) * (
        done.context_reads
    )
    if batch is not None:
        if not batch >= 1:
            raise InputError("a batch has 1 sequence or more", got=repr(batch))
        weights = model.active_parameters * 2.0 * hardware.ridge_point(dtype)
        total += sum(done.generated) * weights / model.flops_per_token / batch
    return float(total)
