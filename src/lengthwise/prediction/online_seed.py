"""Begin an online law from the step law: a first answer for a model and a GPU nobody measured.

The step law gives times of prefill and decode steps; they are put together as a server does, and
the terms of the online law are fitted to them from their priors. Prompts wait for the prompts ahead
of them and are read in chunks of 2,048 tokens; every chunk of a prompt carries one decode step of
the requests that run. What the step law does not speak of (waiting for room, encoders) keeps its
prior. The law says it has learnt nothing: it is not ready before it saw traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.calibration.online.map_fit import fit
from lengthwise.errors import InputError
from lengthwise.formulations.online import terms
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.formulations.online.rows import RouterRows
from lengthwise.formulations.online.target import TargetLaw
from lengthwise.prediction.step_law import StepLaw
from lengthwise.units import FloatArray, ms_to_s

CHUNK = 2048
HOST_S = 5e-3
"""Reading a request and answering it, beside the engine; an assumption."""
LENGTHS = 2.0 ** np.arange(5, 16)
AHEAD, RUNNING = (0.0, 2048.0, 16384.0), (0.0, 8.0, 64.0)
BATCHES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
CERTAIN = 1e-4
"""Share of the covariance that stays: the cold spread covers what is not known."""


def from_step_law(model: str, hardware: str, **settings: Any) -> OnlineLaw:
    """Fit the terms of the online law to the step law of a model on a processor.

    Parameters
    ----------
    model, hardware
        Names of the catalogue, or files.
    settings
        Further columns of the step law, such as ``precision="fp8"``, ``tp=4``.

    Raises
    ------
    InputError
        The step law knows no answer, for example because the model does not fit.

    Examples
    --------
    >>> law = from_step_law("llama3.1-8b", "h100_sxm")
    >>> answer = law.predict(RouterRows.of({"input_tokens": [8192]}))
    >>> 0.1 < float(answer.ttft_s[0]) < 0.4, 0.005 < float(answer.tpot_s[0]) < 0.012
    (True, True)
    """
    steps = Steps({"model": model, "hardware": hardware, **settings})
    laws = {"ttft": _fitted("ttft", *prompts(steps)), "tpot": _fitted("tpot", *decodes(steps))}
    return OnlineLaw(laws, version=1)


class Steps:
    """Times of single steps of one deployment."""

    def __init__(self, point: Mapping[str, Any]) -> None:
        self._point, self._law = dict(point), StepLaw()

    def seconds(self, phase: str, **columns: FloatArray) -> FloatArray:
        """Time of steps, (n,)."""
        n = len(next(iter(columns.values())))
        points: dict[str, Any] = {name: [value] * n for name, value in self._point.items()}
        points |= {name: values.astype(int) for name, values in columns.items()}
        answer = self._law.answer({**points, "phase": [phase] * n}).columns
        found = np.asarray(ms_to_s(np.asarray(answer["latency_ms"], float)))
        if not np.isfinite(found).all():
            raise InputError("the step law must answer for this model and processor",
                             got=str(answer["problem"][0])[:200],
                             remedy="try lengthwise predict --model ... --hardware ...",
                             )  # fmt: skip
        return found

    def capacity_tokens(self) -> float:
        """Tokens of KV cache that fit."""
        use = self._law.memory({**self._point, "isl": 1024, "osl": 1, "concurrency": 1})
        if not use.fits:
            raise InputError("the model must fit into the memory of the processor",
                             got=use.why_not, remedy="raise --tp")  # fmt: skip
        return float(use.max_tokens_per_sequence or 1e9)


def prompts(steps: Steps) -> tuple[RouterRows, FloatArray]:
    """Rows and TTFT of prompts behind others, beside running requests."""
    n, ahead, running = (a.ravel() for a in np.meshgrid(LENGTHS, AHEAD, RUNNING))
    one = np.ones_like(n)
    own = steps.seconds("prefill", isl=n, batch_size=one)
    before = steps.seconds("prefill", isl=np.maximum(ahead, 1.0), batch_size=one)
    context = np.full_like(n, 1024.0)
    beside = steps.seconds("decode", context_len=context, batch_size=np.maximum(running, 1.0))
    chunks = np.ceil((n + ahead) / CHUNK)
    ttft_s = HOST_S + own + np.where(ahead > 0, before, 0.0)
    ttft_s += np.where(running > 0, 0.5 * chunks * beside, 0.0)  # half: weights are read once
    kv = np.minimum(running * 1024.0 / steps.capacity_tokens(), 1.0)
    rows = RouterRows.of(
        {"input_tokens": n, "prefill_in_flight": ahead, "running": running, "kv_share": kv}
    )
    return rows, ttft_s


def decodes(steps: Steps) -> tuple[RouterRows, FloatArray]:
    """Rows and time per token of batches at a context, as far as the cache holds them."""
    context, batch = (a.ravel() for a in np.meshgrid(LENGTHS, BATCHES))
    kv = context * batch / steps.capacity_tokens()
    context, batch, kv = (a[kv <= 1.0] for a in (context, batch, kv))
    tpot_s = steps.seconds("decode", context_len=context, batch_size=batch)
    return RouterRows.of({"input_tokens": context, "running": batch, "kv_share": kv}), tpot_s


def _fitted(target: str, rows: RouterRows, seconds: FloatArray) -> TargetLaw:
    cold = TargetLaw.cold(target)
    mean, covariance = terms.prior(target)
    x = terms.matrix(target, rows)
    found = fit(x, np.log(seconds), np.ones(len(seconds)), mean, covariance)
    return TargetLaw(target, found.theta[None], CERTAIN * covariance[None], cold.offset,
                     cold.offset_variance, cold.spread)  # fmt: skip
