"""Begin an online law from the step law: a first answer for a model and a GPU nobody measured.

The step law times prefills and decode steps alone; a router sees requests under load. So synthetic
rows are composed of its steps (own prefill, prompts ahead one after another, a decode step that is
under way, a step of all running requests) and the physical terms of the online law are fitted to
them. What the composition leaves out (host, network, scheduler) stays in the wide cold intervals.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lengthwise.calibration.online import map_fit
from lengthwise.errors import InputError
from lengthwise.formulations.online import terms
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.formulations.online.rows import RouterRows
from lengthwise.formulations.online.target import TargetLaw
from lengthwise.prediction.step_law import StepLaw
from lengthwise.units import FloatArray, ms_to_s

PROMPTS = (16, 64, 256, 1024, 4096, 16384, 32768)
LOADS = (0, 1, 4, 16, 64)
AHEAD = (0, 2048, 16384)
CONTEXT = 1024.0
"""Tokens in memory per running request."""
HOST_S = 0.004
"""Receiving, tokenising and sending back, which the step law does not time."""


def from_step_law(
    model: str, hardware: str, *, law: StepLaw | None = None, **settings: Any
) -> OnlineLaw:
    """Fit the terms of an online law to what the step law says about a deployment.

    Parameters
    ----------
    model, hardware
        Names or files as in `lengthwise predict`.
    law
        A step law, fitted or not; one without measurements by default.
    settings
        Further columns of the step law, such as ``precision="fp8"``, ``tp=4``.

    Raises
    ------
    InputError
        The step law knows no answer, for example because the model does not fit.

    Examples
    --------
    >>> seed = from_step_law("llama3.1-8b", "h100_sxm", precision="bf16")
    >>> answer = seed.predict(RouterRows.of({"input_tokens": [1024, 32768]}))
    >>> bool(0.015 < answer.ttft_s[0] < 0.08), seed.ready["ttft"]
    (True, False)
    """
    step = law or StepLaw()
    common = {"model": model, "hardware": hardware, **settings}
    n, running, ahead = (a.ravel() for a in np.meshgrid(PROMPTS, LOADS, AHEAD, indexing="ij"))
    n, running, ahead = (a.astype(float) for a in (n, running, ahead))
    room = step.memory({**common, "phase": "decode", "context_len": CONTEXT, "batch_size": 1})
    most = room.max_sequences or 10**6
    fits = running < most
    n, running, ahead = n[fits], running[fits], ahead[fits]
    own = _seconds(step, common, "prefill", isl=n, batch_size=np.ones(len(n)))
    before = _seconds(step, common, "prefill", isl=np.maximum(ahead, 1), batch_size=np.ones(len(n)))
    under_way = _seconds(step, common, "decode", context_len=np.full(len(n), CONTEXT),
                         batch_size=np.maximum(running, 1))  # fmt: skip
    batch = running + 1
    mean_context = (running * CONTEXT + n) / batch
    token = _seconds(step, common, "decode", context_len=mean_context, batch_size=batch)
    rows = RouterRows.of({
        "input_tokens": n, "running": running, "prefill_in_flight": ahead,
        "kv_share": np.minimum(running / most, 1.0),
    })  # fmt: skip
    ttft = HOST_S + own + np.where(ahead > 0, before, 0.0) + np.where(running > 0, under_way, 0.0)
    return OnlineLaw({"ttft": _fitted("ttft", rows, ttft), "tpot": _fitted("tpot", rows, token)})


def _seconds(step: StepLaw, common: dict[str, Any], phase: str, **columns: Any) -> FloatArray:
    n = len(next(iter(columns.values())))
    points = {k: [v] * n for k, v in common.items()} | columns | {"phase": [phase] * n}
    found = step.answer(points).columns
    seconds: FloatArray = ms_to_s(np.asarray(found["latency_ms"], dtype=float))
    if not np.isfinite(seconds).all():
        problem = next((str(p) for p in found["problem"] if p), "no answer")
        raise InputError(
            "a seed needs an answer of the step law",
            got=problem,
            remedy="name another hardware, precision or tp, or begin from OnlineLaw.cold()",
        )
    return seconds


def _fitted(target: str, rows: RouterRows, seconds: FloatArray) -> TargetLaw:
    mean, covariance = terms.prior(target)
    x, cold = terms.matrix(target, rows), TargetLaw.cold(target)
    fitted = map_fit.fit(x, np.log(seconds), np.ones(len(seconds)), mean, covariance)
    return TargetLaw(target, fitted.theta[None], cold.covariance, cold.offset,
                     cold.offset_variance, cold.spread)  # fmt: skip
