r"""What physics says of a curve before its first point: priors from the step law.

Where model and processor of a deployment are both known, the step law (see
:mod:`lengthwise.formulations.step`) times a grid of steps around and beyond the measured ones, and
the family's quadratic structure with a floor is fitted to these times. Its coefficients are the
prior means of the averaged fit: the shape

    ln n0, ln(alpha_2 / alpha_1), ln(alpha_kv / alpha_1), ln(alpha_b / alpha_1)

and the level ln alpha_1. Which of them enter, and with what standard deviation, was measured on
public curves, a source at a time (``SDS``; experiments/LOG.md, ``benchmarks/known.py``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lengthwise.calibration.groups import Group
from lengthwise.calibration.learned import attention_of, has_experts, kind_of
from lengthwise.calibration.named_step import step_of, step_seconds
from lengthwise.domain.layers import Attention, LatentAttention
from lengthwise.domain.model import ModelSpec
from lengthwise.domain.work import Work
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.units import FloatArray

if TYPE_CHECKING:
    from lengthwise.formulations.step.step_model import StepModel

Priors = dict[str, tuple[float, float]]
"""Mean and standard deviation of the logarithm, by parameter."""

SDS: Mapping[str, Mapping[str, float]] = {
    "prompt": {"ln_a1": 1.5, "ln_n0_tokens": 1.0, "E1": 0.7, "B": 1.5},
    "decode": {"ln_a1": 1.5, "ln_n0_tokens": 1.0, "KV": 1.0},
}
"""Standard deviations by kind of group, for the coefficients that helped on sources left out."""
PREFILLS_BELOW = 4
SLOWER = 0.4
"""What engines take longer than the step law, ln: the median over sources of public curves."""
MOST_TOKENS, MOST_SIZES = 2**20, 7


def helpful_priors(group: Group) -> Priors | None:
    """Return the priors of a group where they help: decode steps, and prefills of few points.

    Prefills of ``PREFILLS_BELOW`` points and more say more of a curve than the step law does,
    which misses what engines do beyond: with it 11 public curves were missed by 12 % instead of
    5 % beyond max/2 (experiments/LOG.md).
    """
    if group.phase != "decode" and len(group) >= PREFILLS_BELOW:
        return None
    return shape_priors(group)


def shape_priors(group: Group) -> Priors | None:
    """Return the priors that the step law gives the parameters of a group's fit.

    Parameters
    ----------
    group
        Points of one deployment and phase.

    Returns
    -------
    dict or None
        Mean and standard deviation of the logarithm by parameter: ``ln_a1`` in seconds per token,
        ``ln_n0_tokens`` in tokens, the others over alpha_1. None under load, where model, hardware
        or weight format are not known, where attention looks at a part of the context only, and for
        kinds of groups that nothing of it helps.

    Examples
    --------
    >>> import pandas as pd
    >>> from lengthwise.calibration.groups import groups_of
    >>> rows = {"phase": ["decode"], "context_len": [2048], "latency_ms": [9.0],
    ...         "model": "llama3.1-8b", "hardware": "H100"}
    >>> (group,) = groups_of(pd.DataFrame(rows))
    >>> sorted(shape_priors(group))
    ['KV', 'ln_a1', 'ln_n0_tokens']
    """
    sds = SDS.get(kind_of(group.work))
    if sds is None or group.load or attention_of(group.spec, group.labels) != "full":
        return None
    step = step_of(group)
    if step is None or not _suits(step.model, group.phase):
        return None
    means = coefficients(step, group.work)
    means["ln_a1"] += SLOWER
    return {name: (means[name], sd) for name, sd in sds.items() if name in means}


def coefficients(step: StepModel, work: Work) -> dict[str, float]:
    """Fit the family to the step law's times around some steps.

    Parameters
    ----------
    step
        Step law of the deployment.
    work
        Steps of one phase.

    Returns
    -------
    dict
        ``ln_a1`` (seconds per token), ``ln_n0_tokens``, and the logarithm of every other
        coefficient over alpha_1.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> from lengthwise.formulations.step.step_model import StepModel
    >>> step = StepModel.of(find_model("llama3.1-8b"), find_hardware("H100"), precision="bf16")
    >>> found = coefficients(step, Work.of("decode", query_len=1.0, context_len=2048.0))
    >>> round(math.exp(found["ln_n0_tokens"]), -1)
    130.0
    """
    grid = grid_of(work, most_batch=4.0 if has_experts(step.model) else 64.0)
    law = HachiyaPatias("quadratic", "floor", "off", sharpness=2, spec=step.model)
    law.fit_work(grid, step_seconds(step, grid))
    names = ("ln_a1", *law.scaling_.parameters, *(term.name for term in law.terms_))
    return dict(zip(names, law.theta_.tolist(), strict=True))


def grid_of(work: Work, most_batch: float = 64.0) -> Work:
    """Return the steps to ask the step law for: those around and beyond the given ones.

    Parameters
    ----------
    work
        Steps of one phase.
    most_batch
        Largest batch of decode steps, over the largest given: dense models are no longer bound by
        memory at 64 times; experts bend the curve well before.

    Returns
    -------
    Work
        All combinations of a few lengths from a quarter of the shortest to 16 times the longest and
        of batches from a quarter to four times; chunks likewise where prefixes were cached.

    Examples
    --------
    >>> grid = grid_of(Work.of("prefill", query_len=1024.0, context_len=1024.0))
    >>> float(grid.context_len.min()), float(grid.context_len.max()), len(grid)
    (256.0, 16384.0, 21)
    """
    if work.phase == "decode":
        batch = _sizes(work.sequences, most_batch)
        return _crossed("decode", np.ones(1), _sizes(work.context_len, 16.0), batch)
    batch = _sizes(work.sequences, 4.0)
    query = work.new_tokens / work.sequences
    if work.is_fresh.all():
        return _crossed("prefill", _sizes(query, 16.0), np.zeros(1), batch)
    prefix = np.append(0.0, _sizes(work.context_len, 16.0))
    return _crossed("prefill", _sizes(query, 4.0), prefix, batch)


def _crossed(phase: str, query: FloatArray, cached: FloatArray, batch: FloatArray) -> Work:
    size, before, many = (cell.ravel() for cell in np.meshgrid(query, cached, batch))
    context = before if phase == "decode" else size + before
    return Work.of(phase, query_len=size, context_len=context, batch_size=many)


def _sizes(values: FloatArray, above: float) -> FloatArray:
    """Sizes from a quarter of the least to ``above`` times the greatest, evenly in logarithm."""
    low = max(math.floor(math.log2(float(values.min()) / 4.0)), 0)
    high = max(math.ceil(math.log2(min(float(values.max()) * above, MOST_TOKENS))), low + 1)
    count = min(high - low + 1, MOST_SIZES)
    return np.unique(np.round(2.0 ** np.linspace(low, high, count)))


def _suits(spec: ModelSpec, phase: str) -> bool:
    """Tell whether the family can follow the step law, and the step law engines.

    Prompts read more and more experts, which is no floor; attention that picks or compresses tokens
    costs engines far less than the step law says.
    """
    if phase == "prefill" and has_experts(spec):
        return False
    return not any(
        (isinstance(mixer, (Attention, LatentAttention)) and mixer.selected is not None)
        or (isinstance(mixer, Attention) and bool(mixer.compress))
        for mixer in (block.mixer for block in spec.blocks)
    )
