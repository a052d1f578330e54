"""Tables of a step model: what each group takes, over the sizes that it depends on.

::

    tokens          products, experts, collectives, passes over activations
    sequences       logits, host
    decode          sequences that decode, mean context
    prompt          new tokens of a chunk, cached prefix, chunks
    recurrence      tokens, sequences

Between nodes times are linear in each size, and running maxima over the nodes make every group rise
with each size, so that any sum of them with weights of at least 0 is continuous and never falls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from lengthwise.domain.layers import Attention, LatentAttention, Layer, Recurrence
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.compiled_axis import Axis
from lengthwise.formulations.step.groups import GROUPS
from lengthwise.formulations.step.step_model import StepModel
from lengthwise.units import FloatArray

TOKENS = Axis(0, 20, 10)
SEQUENCES = Axis(0, 14, 8)
DECODES = Axis(0, 13, 3)
CONTEXT = Axis(0, 21, 3)
QUERY = Axis(0, 20, 3, power=2)
PREFIX = Axis(2, 19, 2, shift=4.0)
CHUNKS = Axis(0, 12, 1)
MIXED_TOKENS = Axis(0, 20, 2)
MIXED_SEQUENCES = Axis(0, 13, 2)

APART = ("attention_decode", "attention_prefill", "recurrence")
"""Groups that depend on more than one size."""
BY_SEQUENCE = ("logits", "host_step", "host_layers", "host_sequences")
"""Groups that depend on the number of sequences only; all others on that of tokens only."""
PIECE = 8192
"""Steps evaluated at once, so that they stay in the cache."""

Make = Callable[..., StepBatch]


@dataclass(frozen=True)
class StepTables:
    """Seconds at the nodes.

    Attributes
    ----------
    tokens, sequences
        By group, each over one axis.
    apart
        By group of ``APART``, each over the axes named in this module; without those parts that the
        model does not have.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> step = StepModel.of(find_model("llama3.1-8b"), find_hardware("h100_sxm"))
    >>> {k: v.shape for k, v in StepTables.of(step).apart.items()}
    {'attention_decode': (105, 169), 'attention_prefill': (161, 77, 25)}
    """

    tokens: Mapping[str, FloatArray]
    sequences: Mapping[str, FloatArray]
    apart: Mapping[str, FloatArray]

    @classmethod
    def of(cls, step: StepModel) -> StepTables:
        """Evaluate a step model at all nodes."""
        single = [g for g in GROUPS if g not in (*APART, *BY_SEQUENCE)]
        attention = _mixers(step, (Attention, LatentAttention))
        recurrent = _mixers(step, (Recurrence,))
        apart = {
            "attention_decode": _tables(attention, _decode, DECODES, CONTEXT),
            "attention_prefill": _tables(attention, _prompt, QUERY, PREFIX, CHUNKS),
            "recurrence": _tables(recurrent, _mixed, MIXED_TOKENS, MIXED_SEQUENCES),
        }
        tokens, sequences = _by_whole(step, TOKENS), _by_whole(step, SEQUENCES)
        return cls(
            {g: tokens[g] for g in single}, {g: sequences[g] for g in BY_SEQUENCE},
            {g: found[g] for g, found in apart.items() if found and found[g].any()},
        )  # fmt: skip

    def weighted(self, factors: Mapping[str, float]) -> list[FloatArray | None]:
        """Give the tables of tokens, of sequences, and of each group apart, times factors."""
        tokens, sequences = (
            np.sum([factors.get(g, 1.0) * t for g, t in part.items()], axis=0)
            for part in (self.tokens, self.sequences)
        )
        return [tokens, sequences, *(self._one(g, factors.get(g, 1.0)) for g in APART)]

    def _one(self, group: str, factor: float) -> FloatArray | None:
        return factor * self.apart[group] if group in self.apart else None


def _tokens(tokens: FloatArray) -> StepBatch:
    return StepBatch.of(decodes=tokens)


def _decode(decodes: FloatArray, context: FloatArray) -> StepBatch:
    return StepBatch.of(decodes=decodes, context_len=context)


def _prompt(query: FloatArray, prefix: FloatArray, chunks: FloatArray) -> StepBatch:
    return StepBatch.of(chunks=chunks, query_len=query, chunk_context=query + prefix)


def _mixed(tokens: FloatArray, sequences: FloatArray) -> StepBatch:
    return StepBatch.of(chunks=sequences, query_len=tokens / sequences)


def _mixers(step: StepModel, kinds: tuple[type, ...]) -> StepModel | None:
    """Keep the mixers of some kinds, without the matrices around them."""
    counts: dict[Attention | LatentAttention | Recurrence, int] = {}
    for layer in step.model.blocks:
        if layer.mixer is not None and isinstance(layer.mixer, kinds):
            bare = replace(layer.mixer, projections=())
            counts[bare] = counts.get(bare, 0) + layer.count
    if not counts:
        return None
    blocks = tuple(Layer(count, mixer, None) for mixer, count in counts.items())
    return replace(step, model=replace(step.model, blocks=blocks))


def _by_whole(step: StepModel, axis: Axis) -> dict[str, FloatArray]:
    """Evaluate all groups over numbers of decoding sequences; between whole ones, interpolate."""
    whole = np.unique(np.ceil(axis.nodes))
    times = step.groups(_tokens(whole)).seconds
    return {g: _rising(np.interp(axis.nodes, whole, seconds)) for g, seconds in times.items()}


def _tables(step: StepModel | None, make: Make, *axes: Axis) -> dict[str, FloatArray]:
    """Evaluate all groups at the crossings of axes, and let them rise along each."""
    if step is None:
        return {}
    shape = tuple(len(axis) for axis in axes)
    sizes = [s.ravel() for s in np.meshgrid(*(a.nodes for a in axes), indexing="ij")]
    found = {group: np.empty(len(sizes[0])) for group in GROUPS}
    for start in range(0, len(sizes[0]), PIECE):
        part = slice(start, start + PIECE)
        times = step.groups(make(*(s[part] for s in sizes))).seconds
        for group, seconds in times.items():
            found[group][part] = seconds
    return {group: _rising(seconds.reshape(shape)) for group, seconds in found.items()}


def _rising(table: FloatArray) -> FloatArray:
    for axis in range(table.ndim):
        table = np.maximum.accumulate(table, axis=axis)
    return table
