r"""The work one step causes, the common argument of every formulation.

A step holds B sequences. Sequence i brings q_i new tokens; c_i KV tokens are visible to it, its own
new ones included (so k_i = c_i - q_i were there before). Then

    sequences        B
    new_tokens       T  = sum q_i                       rows of the GEMMs
    attention_pairs  A  = sum [q_i c_i - q_i (q_i - 1) / 2]   causal query-key pairs
    kv_tokens        KV = sum c_i                       KV entries read

A whole prompt is q = c = isl, hence A = isl (isl + 1) / 2. A chunk on top of a cached prefix is
q = isl - cached_tokens, c = isl. A decode step is q = 1, c = context_len, hence A = KV. Batch,
prefix cache and context therefore reach a law only through the work they cause
(compare the step layer of DistServe, Zhong et al. 2024, arXiv 2401.09670, and of Vidur,
Agrawal et al. 2024, arXiv 2405.05465).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from lengthwise.units import FloatArray


@dataclass(frozen=True)
class Work:
    """Work of n steps of one phase; every field is an array of shape (n,).

    Attributes
    ----------
    phase
        ``prefill``, ``decode`` or ``mixed``.
    sequences
        Sequences in the step, B.
    new_tokens
        New tokens of the step, T, tokens.
    attention_pairs
        Causal query-key pairs, A, tokens squared.
    kv_tokens
        KV entries read, KV, tokens.
    isl
        Prompt tokens of a sequence (mean over the sequences in a mixed step), tokens.
    context_len
        KV tokens visible to a sequence, its new tokens included (mean in a mixed step), tokens.

    Examples
    --------
    >>> work = Work.of("prefill", query_len=[1024.0], context_len=[4096.0], batch_size=[2.0])
    >>> float(work.new_tokens[0]), float(work.attention_pairs[0]), float(work.kv_tokens[0])
    (2048.0, 7341056.0, 8192.0)
    """

    phase: str
    sequences: FloatArray
    new_tokens: FloatArray
    attention_pairs: FloatArray
    kv_tokens: FloatArray
    isl: FloatArray
    context_len: FloatArray

    @classmethod
    def of(
        cls, phase: str, *, query_len: object, context_len: object, batch_size: object = 1.0
    ) -> Self:
        """Describe steps of ``batch_size`` equal sequences.

        Parameters
        ----------
        phase
            ``prefill`` or ``decode``.
        query_len, context_len, batch_size
            Numbers or arrays of shape (n,), tokens, tokens, sequences.
        """
        q, c, b = np.broadcast_arrays(
            *(
                np.atleast_1d(np.asarray(v, dtype=float))
                for v in (query_len, context_len, batch_size)
            )
        )
        pairs = b * (q * c - 0.5 * q * (q - 1.0))
        return cls(phase, b, b * q, pairs, b * c, c, c)

    def __len__(self) -> int:
        return len(self.sequences)

    def take(self, index: object) -> Self:
        """Select steps by an index array, a boolean mask or a slice."""
        arrays = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "phase"}
        return type(self)(phase=self.phase, **arrays)

    @property
    def is_fresh(self) -> npt.NDArray[np.bool_]:
        """Which steps see their own new tokens only, nothing cached, shape (n,)."""
        return np.asarray(self.kv_tokens <= self.new_tokens)

    @property
    def length(self) -> FloatArray:
        """Tokens per sequence that the step reaches back over: the axis laws extrapolate along."""
        return self.context_len


def thinned(work: Work, most: int) -> npt.NDArray[np.intp]:
    """Choose at most ``most`` steps, spread evenly over sizes and lengths; ends are kept.

    >>> lengths = np.arange(1.0, 101.0)
    >>> thinned(Work.of("decode", query_len=1.0, context_len=lengths), 5).tolist()
    [0, 25, 50, 74, 99]
    """
    order = np.lexsort([work.context_len, work.new_tokens])
    picks = np.unique(np.round(np.linspace(0, len(order) - 1, min(most, len(order)))).astype(int))
    return np.asarray(order[picks])
