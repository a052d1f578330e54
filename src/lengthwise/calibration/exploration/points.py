"""Steps that could be measured: phase, length, batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lengthwise.errors import InputError
from lengthwise.units import FloatArray

BoolArray = npt.NDArray[np.bool_]
THOUSAND = 1000.0


@dataclass(frozen=True)
class Points:
    """n steps.

    Attributes
    ----------
    decode
        Whether the step decodes (else it prefills), shape (n,).
    length
        Prompt tokens of a prefill, tokens of context of a decode, per sequence, shape (n,).
    batch
        Sequences in the step, shape (n,).
    terms
        The six terms of the light law, shape (n, 6).

    Examples
    --------
    >>> float(Points.of("decode", [4000], [8]).terms[0, 5])
    32.0
    """

    decode: BoolArray
    length: FloatArray
    batch: FloatArray
    terms: FloatArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        bad = ~((self.length > 0) & (self.batch > 0) & np.isfinite(self.length * self.batch))
        if bad.any():
            i = int(np.argmax(bad))
            raise InputError("lengths and batches must be positive and finite",
                             got=f"length {self.length[i]:g}, batch {self.batch[i]:g}",
                             remedy="leave such points out")  # fmt: skip
        n, b, d = self.length / THOUSAND, self.batch, self.decode.astype(float)
        p, one = 1.0 - d, np.ones(len(n))
        terms = np.stack([p * one, p * n * b, p * n * n * b, d * one, d * b, d * n * b], axis=1)
        object.__setattr__(self, "terms", terms)

    @classmethod
    def of(cls, phase: Any, length: Any, batch: Any = 1.0) -> Points:
        """Build from phases (``prefill`` or ``decode``), lengths and batches, broadcast.

        Raises
        ------
        InputError
            If a phase is another word, or a length or batch is not positive.
        """
        names, lengths, batches = np.broadcast_arrays(
            np.atleast_1d(np.asarray(phase, dtype=object)),
            np.asarray(length, dtype=float), np.asarray(batch, dtype=float),
        )  # fmt: skip
        other = [str(name) for name in names if name not in ("prefill", "decode")]
        if other:
            raise InputError("a phase is prefill or decode here", got=repr(other[0]),
                             remedy="leave out rows of other phases")  # fmt: skip
        decode = np.asarray(names == "decode", dtype=bool)
        return cls(decode, np.array(lengths, dtype=float), np.array(batches, dtype=float))

    def __len__(self) -> int:
        return len(self.length)

    def take(self, index: Any) -> Points:
        """Give some of the points, in the order of ``index``."""
        return Points(self.decode[index], self.length[index], self.batch[index])

    def describe(self, i: int) -> dict[str, Any]:
        """Give one point as columns of the measurement table.

        >>> Points.of("decode", [512], 4).describe(0)
        {'phase': 'decode', 'context_len': 512, 'batch_size': 4}
        """
        phase, name = ("decode", "context_len") if self.decode[i] else ("prefill", "isl")
        return {"phase": phase, name: round(self.length[i]), "batch_size": round(self.batch[i])}


def join(parts: Sequence[Points]) -> Points:
    """Put points one after another.

    >>> len(join([Points.of("prefill", [64, 128]), Points.of("decode", 64)]))
    3
    """
    return Points(
        np.concatenate([p.decode for p in parts]), np.concatenate([p.length for p in parts]),
        np.concatenate([p.batch for p in parts]),
    )  # fmt: skip
