"""What a deployment keeps in the memory of one processor, and how many sequences that allows.

::

    weights + sequences / dp (cache + logits) + activations + other  <=  utilisation * memory

Weights, cache and activations are those of :mod:`lengthwise.domain.placement`, logits take 32 bits,
``other`` is the context of the driver and the buffers of collectives. The answer is about the
fullest processor. Paged caches round sequences up to blocks of 16 or so tokens; that is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from lengthwise.domain.hardware import HardwareSpec
from lengthwise.domain.layers import Experts
from lengthwise.domain.model import ModelSpec
from lengthwise.domain.parallelism import Parallelism
from lengthwise.domain.placement import Placement
from lengthwise.errors import InputError
from lengthwise.units import counted, format_tokens

CONTEXT_BYTES = {"gpu": 0.6e9, "npu": 0.6e9, "jetson": 0.6e9, "apple": 0.2e9, "cpu": 0.1e9}
"""Driver context and loaded kernels by kind of processor; an assumption, typical of vLLM logs."""
COMMUNICATOR_BYTES = 0.4e9
"""Buffers of collectives, once there is more than one processor; an assumption likewise."""
LOGIT_BYTES = 4.0
LARGEST_SEARCHED = 1024


@dataclass(frozen=True)
class MemoryUse:
    """Bytes on the fullest processor, and what they allow.

    Attributes
    ----------
    weights_bytes, kv_bytes, activation_bytes, other_bytes
        What is kept there; ``kv_bytes`` is cache and states of the sequences asked about.
    available_bytes
        Share of the memory the engine may use.
    max_sequences
        Sequences of that length, over all copies, that fit at the same time; None: no limit.
    max_tokens_per_sequence
        Length at which that many sequences still fit; None: no limit.
    mean_sequences
        Sequences that fit when that is their mean length: ``max_sequences`` before it is rounded
        down, so that laws stay continuous; None: no limit.
    why_not
        Why it does not fit, with what would; empty when it fits.
    notes
        What is odd about the question, such as heads that cannot be cut evenly.

    Examples
    --------
    >>> from lengthwise.domain.model import find_model
    >>> card = HardwareSpec("card", "gpu", 3.35e12, 80 * 2**30, {"bf16": 989e12})
    >>> use = memory_use(find_model("llama3.1-8b"), card, tokens_per_sequence=8192, sequences=16)
    >>> use.fits, round(use.weights_bytes / 1e9, 1), round(use.kv_bytes / 1e9, 1)
    (True, 16.1, 17.2)
    """

    weights_bytes: float
    kv_bytes: float
    activation_bytes: float
    other_bytes: float
    available_bytes: float
    max_sequences: int | None
    max_tokens_per_sequence: int | None
    mean_sequences: float | None = None
    why_not: str = ""
    notes: tuple[str, ...] = ()

    @property
    def total_bytes(self) -> float:
        """All that is kept."""
        return self.weights_bytes + self.kv_bytes + self.activation_bytes + self.other_bytes

    @property
    def room(self) -> float:
        """Sequences that run at once at that mean length, for laws.

        Below 1 where not one fits; infinite without a limit, and where weights alone are too much:
        of a deployment that is said to run nothing else is known.
        """
        return self.mean_sequences or math.inf

    @property
    def fits(self) -> bool:
        """Whether all of it fits."""
        return self.total_bytes <= self.available_bytes

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, with the total and the answer."""
        return asdict(self) | {"total_bytes": self.total_bytes, "fits": self.fits}


def memory_use(
    model: ModelSpec, hardware: HardwareSpec, parallelism: Parallelism | None = None, *,
    precision: str | None = None, kv_bits: float = 16, tokens_per_sequence: float,
    sequences: int = 1, max_step_tokens: int = 8192, utilisation: float = 0.9,
) -> MemoryUse:  # fmt: skip
    """Say what a deployment keeps in memory and whether it fits.

    Parameters
    ----------
    model, hardware, parallelism
        What is deployed, and where.
    precision
        Format of the matrices; None: as published.
    kv_bits
        Bits of one cached value.
    tokens_per_sequence
        Longest length a sequence reaches, prompt and output together.
    sequences
        Sequences at the same time, over all copies.
    max_step_tokens
        Most tokens of one step, which sizes the activations.
    utilisation
        Share of the memory the engine may use.

    Returns
    -------
    MemoryUse
        An answer also when it does not fit.

    Examples
    --------
    >>> from lengthwise.domain.model import find_model
    >>> card = HardwareSpec("card", "gpu", 3.35e12, 80 * 2**30, {"bf16": 989e12})
    >>> use = memory_use(find_model("llama3.1-70b"), card, tokens_per_sequence=8192)
    >>> use.fits, use.max_sequences
    (False, 0)
    """
    parallelism = parallelism or Parallelism()
    _check(tokens_per_sequence, sequences, max_step_tokens, utilisation, kv_bits)
    place = Placement(model, parallelism, precision, kv_bits)
    available = hardware.memory_bytes * utilisation
    vectors, other = place.activation_bytes(max_step_tokens), _other(hardware, parallelism)
    room = available - place.weights_bytes - vectors - other
    per_copy = math.ceil(sequences / parallelism.dp)
    one, logits = place.cache_bytes(tokens_per_sequence), LOGIT_BYTES * model.vocab
    fit = _fit(room, one + logits)
    use = MemoryUse(
        place.weights_bytes, per_copy * one, vectors + per_copy * logits, other, available,
        max_sequences=None if fit is None else math.floor(fit) * parallelism.dp,
        max_tokens_per_sequence=place.longest(room / max(per_copy, 1) - logits),
        mean_sequences=None if fit is None else fit * parallelism.dp,
        notes=tuple(_notes(model, parallelism, tokens_per_sequence)),
    )  # fmt: skip
    if use.fits:
        return use
    return replace(use, why_not=_why_not(place, use, hardware, tokens_per_sequence, sequences))


def _other(hardware: HardwareSpec, parallelism: Parallelism) -> float:
    exchange = COMMUNICATOR_BYTES if parallelism.gpus > 1 else 0.0
    return CONTEXT_BYTES[hardware.kind] + exchange


def _fit(room: float, one: float) -> float | None:
    """Count the sequences of ``one`` bytes that fit on a copy, not rounded; None: no limit."""
    if one <= 0:
        return None if room >= 0 else 0.0
    return max(0.0, room / one)


def _check(tokens: float, sequences: int, step: float, utilisation: float, kv_bits: float) -> None:
    for name, value in (
        ("tokens_per_sequence", tokens), ("sequences", sequences), ("max_step_tokens", step)
    ):  # fmt: skip
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"{name} must be 0 or more", got=f"{value!r}")
    if not 0 < kv_bits <= 64:
        raise InputError("kv_bits must be bits of one value", got=f"{kv_bits!r}",
                         remedy="such as 16, 8 or 4")  # fmt: skip
    if not 0 < utilisation <= 1:
        raise InputError("utilisation must lie in (0, 1]", got=f"{utilisation!r}",
                         remedy="0.9 is usual")  # fmt: skip


def _notes(model: ModelSpec, cut: Parallelism, tokens: float) -> Iterator[str]:
    if model.max_context and tokens > model.max_context:
        yield (
            f"{format_tokens(tokens)} tokens are more than the {format_tokens(model.max_context)} "
            f"{model.name} was made for"
        )
    heads = {b.mixer.heads for b in model.blocks if b.mixer is not None}
    for number in sorted(heads):
        if number % cut.tp:
            yield f"{number} heads cannot be cut evenly over tp={cut.tp}; engines refuse that"
    if model.layer_count < cut.pp:
        yield f"{counted(model.layer_count, 'layer')} cannot fill pp={cut.pp} stages"
    experts = {b.ffn.experts for b in model.blocks if isinstance(b.ffn, Experts)}
    if cut.ep > 1 and not experts:
        yield f"ep={cut.ep} changes nothing: {model.name} has no experts"
    for number in sorted(experts):
        if cut.ep > number:
            yield f"{counted(number, 'expert')} cannot fill ep={cut.ep}"


def _why_not(
    place: Placement, use: MemoryUse, hardware: HardwareSpec, tokens: float, sequences: int
) -> str:
    gb = _gigabytes
    where = f"of the {gb(hardware.memory_bytes)} of one {hardware.name}"
    fixed = use.total_bytes - use.kv_bytes
    room = use.available_bytes - fixed
    if room <= 0:
        return (
            f"weights ({gb(use.weights_bytes)}), activations and the rest need {gb(fixed)}, "
            f"{gb(use.available_bytes)} {where} may be used; {_enough(place, use)}"
        )
    text = (
        f"the cache of {counted(sequences, 'sequence')} of {format_tokens(tokens)} tokens needs "
        f"{gb(use.kv_bytes)}, {gb(room)} {where} are left; "
    )
    if use.max_sequences:
        return text + f"at most {use.max_sequences:,} of that length fit at a time"
    if use.max_tokens_per_sequence:
        return text + f"at most {format_tokens(use.max_tokens_per_sequence)} tokens fit"
    return text + _enough(place, use)


def _enough(place: Placement, use: MemoryUse) -> str:
    """Name the smallest power of two of tp that would hold the weights."""
    cut, rest = place.parallelism, use.activation_bytes + use.other_bytes
    tp = 2 * cut.tp
    while tp <= LARGEST_SEARCHED:
        wider = replace(place, parallelism=replace(cut, tp=tp))
        if wider.weights_bytes + rest * cut.tp / tp < use.available_bytes:
            return f"tp={tp} would hold the weights"
        tp *= 2
    return "use a narrower weight format or more memory"


def _gigabytes(value: float) -> str:
    return f"{value / 1e9:.1f} GB"
