"""The steps of a server that keeps so many requests running, and how busy they make it.

    c = B / osl              prompts that start per step, on average
    c < 1                    a share c of the steps carries one prompt and B - 1 decodes,
                             the others B decodes
    c >= 1                   every step carries c prompts and B - c decodes

Every step then gives B tokens. Averaging over both kinds of steps, instead of one step with a
fraction of a prompt, keeps experts that only prompts reach out of the traffic of decode steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.errors import InputError
from lengthwise.formulations.energy.footprint import footprint
from lengthwise.formulations.energy.power import Activity
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.groups import HOST
from lengthwise.formulations.step.step_model import StepModel
from lengthwise.units import FloatArray


@dataclass(frozen=True)
class SteadySteps:
    """Averages over the steps of n loads, arrays of shape (n,).

    Attributes
    ----------
    running, osl
        Requests that run at once, and output tokens of each.
    step_s, kernel_s
        Seconds of a step and of the kernels in it, as the step model has them.
    flops, peak_seconds, moved_bytes
        Work of a step over all processors (:class:`Footprint`).
    bandwidth, gpus
        Bytes per second of one processor, and processors.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> step = StepModel.of(find_model("llama3.1-8b"), find_hardware("h100_sxm"), precision="bf16")
    >>> steady = steady_steps(step, isl=500, osl=250, running=[1, 64])
    >>> bool(steady.tokens_per_s[1] > 20 * steady.tokens_per_s[0])
    True
    """

    running: FloatArray
    osl: FloatArray
    step_s: FloatArray
    kernel_s: FloatArray
    flops: FloatArray
    peak_seconds: FloatArray
    moved_bytes: FloatArray
    bandwidth: float
    gpus: int

    @property
    def tokens_per_s(self) -> FloatArray:
        """Output tokens per second of all requests, as the step model has them."""
        return self.running / self.step_s

    def activity(self, tokens_per_s: Any = None) -> Activity:
        """How busy each processor is, at a measured output rate or at the step model's."""
        seconds = self.step_s if tokens_per_s is None else self.running / np.asarray(tokens_per_s)
        each = self.gpus * seconds
        return Activity.of(busy=self.kernel_s / seconds, compute=self.peak_seconds / each,
                           memory=self.moved_bytes / (self.bandwidth * each),
                           gpus=float(self.gpus))  # fmt: skip


def steady_steps(step: StepModel, *, isl: Any, osl: Any, running: Any) -> SteadySteps:
    """Average the steps of n loads on one deployment.

    Parameters
    ----------
    step
        The deployment.
    isl, osl, running
        Prompt and output tokens of a request, and requests that run at once; numbers or arrays of
        shape (n,), each at least 1.

    Returns
    -------
    SteadySteps
        Averages per step.
    """
    isl, osl, running = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(v, float)) for v in (isl, osl, running))
    )
    for name, values in (("isl", isl), ("osl", osl), ("running", running)):
        if not np.all(np.isfinite(values) & (values >= 1)):
            raise InputError(f"{name} is 1 or more", got=str(values[~(values >= 1)][:1]))
    starts = running / osl
    chunks = np.maximum(starts, 1.0)
    context = isl + np.maximum(osl / 2.0, 1.0)
    without = StepBatch.of(decodes=running, context_len=context)
    carrying = StepBatch.of(chunks=chunks, query_len=isl, context_len=context,
                            decodes=np.maximum(running - chunks, 0.0))  # fmt: skip
    share = np.minimum(starts, 1.0)
    total, kernels, flops, peak, moved = (
        (1.0 - share) * plain + share * loaded
        for plain, loaded in zip(_sizes(step, without), _sizes(step, carrying), strict=True)
    )
    return SteadySteps(running, osl, total, kernels, flops, peak, moved,
                       step.hardware.memory_bandwidth_bytes_per_s,
                       step.parallelism.gpus)  # fmt: skip


def _sizes(step: StepModel, batch: StepBatch) -> tuple[FloatArray, ...]:
    times, work = step.groups(batch), footprint(step, batch)
    host = np.sum([times.seconds[name] for name in HOST], axis=0)
    total = times.total
    return total, total - host, work.flops, work.peak_seconds, work.moved_bytes
