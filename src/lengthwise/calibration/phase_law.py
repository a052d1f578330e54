"""A fitted law of one deployment and phase with where it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lengthwise.calibration.folds import Reach
from lengthwise.calibration.groups import Group
from lengthwise.calibration.held_out import HeldOut
from lengthwise.calibration.rivals import Rival
from lengthwise.calibration.suspects import Suspect
from lengthwise.calibration.trials import Trial
from lengthwise.data.load import Load, class_of, load_in
from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.units import FloatArray

RELATIVE_STEP = 0.05
"""Growth of all work by which the local exponent is taken."""
SAME = 1.001
"""Sizes that differ by less than this factor are the same."""


@dataclass(frozen=True)
class Domain:
    """What was measured.

    Attributes
    ----------
    length, new_tokens, sequences
        Ranges (least, greatest): tokens per sequence, new tokens of a step, sequences.
    chunk
        Largest number of new tokens per sequence, where steps of that size, and none larger, were
        measured on top of cached tokens: the engine takes longer prompts in such steps. None where
        whole prompts were measured.
    outputs
        Generated tokens (least, greatest) of requests under load, whose TTFT holds the outputs of
        others; None without load or where rows do not say.
    in_flight
        Requests in flight (least, greatest) where they were computed and put together; None where
        a client held them, or without load.
    """

    length: tuple[float, float]
    new_tokens: tuple[float, float]
    sequences: tuple[float, float]
    chunk: float | None = None
    outputs: tuple[float, float] | None = None
    in_flight: tuple[float, float] | None = None

    @classmethod
    def of(
        cls, work: Work, outputs: tuple[float, float] | None = None,
        in_flight: tuple[float, float] | None = None,
    ) -> Domain:  # fmt: skip
        """Take the ranges of measured steps, and those of outputs and loads under load."""
        axes = (work.length, work.new_tokens, work.sequences)
        length, new_tokens, sequences = ((float(a.min()), float(a.max())) for a in axes)
        return cls(length, new_tokens, sequences, chunk_of(work), outputs, in_flight)

    @classmethod
    def around(cls, domains: Sequence[Domain]) -> Domain:
        """Take the ranges of several laws together; a chunk if all have one, the largest.

        >>> one, two = Domain((8, 64), (8, 8), (1, 1), 8), Domain((16, 32), (16, 16), (1, 4), 16)
        >>> Domain.around([one, two]).length, Domain.around([one, two]).chunk
        ((8, 64), 16)
        """
        ends = [
            (min(getattr(d, axis)[0] for d in domains), max(getattr(d, axis)[1] for d in domains))
            for axis in ("length", "new_tokens", "sequences")
        ]
        chunks = [d.chunk for d in domains if d.chunk is not None]
        return cls(
            ends[0], ends[1], ends[2], max(chunks) if len(chunks) == len(domains) else None
        )  # fmt: skip

    def contains(self, work: Work) -> FloatArray:
        """Tell which steps lie inside all ranges, boolean of shape (n,)."""
        low, high = self.new_tokens
        fits = (work.new_tokens >= low / SAME) & (work.new_tokens <= high * SAME)
        return np.asarray(np.logical_and(fits, self.reached(work)))

    def reached(self, work: Work) -> FloatArray:
        """Tell which prompts end at a measured length and batch, however many steps they take."""
        inside = np.ones(len(work), dtype=bool)
        for (low, high), axis in ((self.length, work.length), (self.sequences, work.sequences)):
            inside &= (axis >= low / SAME) & (axis <= high * SAME)
        return inside

    def answers_outputs(self, osl: FloatArray) -> npt.NDArray[np.bool_]:
        """Tell which outputs lie in the range measured under load, all without one; shape (n,)."""
        low, high = self.outputs or (0.0, np.inf)
        return np.asarray((osl >= low / SAME) & (osl <= high * SAME))

    def factor(self, work: Work) -> FloatArray:
        """Length over the longest length measured, at least 1, shape (n,)."""
        return np.maximum(work.length / self.length[1], 1.0)

    def reach(self, work: Work) -> Reach:
        """Doublings beyond the longest length and the largest batch measured."""
        return Reach.of(work, self.length[1], self.sequences[1])


def chunk_of(work: Work) -> float | None:
    """Find the chunk of prefills measured step by step, tokens; None where there is none.

    It is the largest number of new tokens, if it was measured at several depths of the cache.

    >>> steps = Work.of("prefill", query_len=[128, 512, 512], context_len=[128, 512, 4096])
    >>> chunk_of(steps), chunk_of(steps.take([0, 1]))
    (512.0, None)
    """
    if work.phase != "prefill" or not len(work):
        return None
    query = work.new_tokens / work.sequences
    depth = work.context_len[query * SAME >= query.max()]
    return float(query.max()) if depth.max() > depth.min() * SAME else None


@dataclass(frozen=True)
class PhaseLaw:
    """One law with its provenance.

    Attributes
    ----------
    deployment, phase, labels
        What it describes.
    law
        The fitted formulation.
    domain
        What was measured.
    n_points, n_rows
        Distinct points and rows behind the fit; 0 for a law nobody measured.
    noise
        Median relative deviation of repeats, NaN without repeats.
    trials
        Sets of terms that were tried, with what each bought.
    held_out
        Residuals of points the fit did not see, None when not asked for.
    suspects
        Points that the fit takes for spoilt, by length.
    rival
        The simple formula that predicted the long end clearly better, None without one.
    """

    deployment: str
    phase: str
    labels: dict[str, object]
    law: Formulation
    domain: Domain
    n_points: int
    n_rows: int
    noise: float = float("nan")
    trials: tuple[Trial, ...] = ()
    held_out: HeldOut | None = field(default=None, repr=False)
    suspects: tuple[Suspect, ...] = ()
    rival: Rival | None = None

    @classmethod
    def of(
        cls, group: Group, law: Formulation, trials: list[Trial], held_out: HeldOut | None,
        suspects: tuple[Suspect, ...] = (), rival: Rival | None = None,
    ) -> PhaseLaw:  # fmt: skip
        """Describe the law fitted to ``group``."""
        return cls(
            group.deployment, group.phase, group.labels, law,
            Domain.of(group.work, group.outputs, group.in_flight),
            len(group), int(group.repeats.sum()), group.noise, tuple(trials), held_out,
            suspects, rival,
        )  # fmt: skip

    @property
    def load(self) -> Load:
        """The load it was measured under, empty for single requests and batches."""
        return load_in(self.labels)

    def holds(self, load: Load) -> bool:
        """Whether it is of requests in flight that were computed, and a load is of their class."""
        asked = load.get("concurrency")
        if self.domain.in_flight is None or asked is None or "request_rate" in load:
            return False
        return float(class_of(asked)) == self.load.get("concurrency")

    @property
    def spoilt(self) -> tuple[int, ...]:
        """Positions of the suspects among the points of the group by length."""
        return tuple(suspect.position for suspect in self.suspects)

    def log_scale(self, work: Work) -> FloatArray:
        """Compute the standard deviation s of ln t before conformal calibration, shape (n,)."""
        if isinstance(self.law, HachiyaPatias):
            return self.law.log_scale(work)
        return np.ones(len(work))

    def regime(self, work: Work, seconds: FloatArray) -> FloatArray:
        """Name what binds each step, shape (n,) of text.

        A prefill whose time grows by less than half of its work is bound by overhead (launches and
        reading weights once); otherwise by compute. A decode step is bound by memory until its time
        grows nearly as fast as its batch at fixed context.
        """
        grown = Work(
            work.phase, work.sequences * (1 + RELATIVE_STEP), work.new_tokens * (1 + RELATIVE_STEP),
            work.attention_pairs * (1 + RELATIVE_STEP), work.kv_tokens * (1 + RELATIVE_STEP),
            work.isl, work.context_len,
        )  # fmt: skip
        exponent = np.log(self.law.predict_work(grown) / seconds) / np.log1p(RELATIVE_STEP)
        if work.phase == "decode":
            return np.where(exponent >= 0.9, "compute", "memory")
        return np.where(exponent < 0.5, "overhead", "compute")
