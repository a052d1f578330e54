"""Find the law of a deployment, or the pair of laws of a request, and compile a request."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.data.identity import deployment_of
from lengthwise.errors import InputError
from lengthwise.prediction.requests import Requests, decode_total, is_affine_in_context
from lengthwise.prediction.scalar import compile_decode, compile_prefill, compile_step, reach
from lengthwise.prediction.step_sums import LONGEST, StepSums
from lengthwise.units import MS_PER_S

STEPS_BY_NAME = {"prefill": "isl", "decode": "context_len"}


def find_law(laws: LawSet, phase: str, labels: Mapping[str, Any]) -> PhaseLaw:
    """Find the law that answers for a step phase and (some of) a deployment's labels."""
    if phase not in STEPS_BY_NAME:
        raise InputError("phase must be prefill or decode here", got=repr(phase),
                         remedy="use predict or estimate for other phases")  # fmt: skip
    row = pd.DataFrame([{**labels, "phase": phase}])
    return laws.law_of(str(deployment_of(row).iloc[0]), phase, row)


def request_laws(laws: LawSet, deployment: str, rows: pd.DataFrame) -> tuple[PhaseLaw, PhaseLaw]:
    """Find the prefill and the decode law of one deployment.

    Raises
    ------
    InputError
        If one of the two was not measured.
    """
    phases = {phase for _, phase in laws.laws_}
    missing = [phase for phase in ("prefill", "decode") if phase not in phases]
    if missing:
        raise _missing(missing[0], "a law of " + " and ".join(sorted(phases)))
    prefill = laws.law_of(deployment, "prefill", rows)
    decode = laws.law_of(deployment, "decode", rows)
    for law, other in ((prefill, decode), (decode, prefill)):
        if law.n_points == 0 and other.n_points > 0:
            raise _missing(law.phase, f"only {other.phase} of {other.deployment}")
    if prefill.deployment != decode.deployment:
        raise InputError(
            "prefill and decode of a request must be of one deployment",
            got=f"{prefill.deployment} and {decode.deployment}",
            remedy="name the deployment with model, hardware, engine and tp",
        )  # fmt: skip
    return prefill, decode


def compile_request(
    laws: LawSet, labels: Mapping[str, Any], max_extrapolation: float | None
) -> Callable[..., float]:
    """Make ``predict(isl, osl, batch_size=1, cached_tokens=0) -> E2E in ms``."""
    row = pd.DataFrame([{**labels, "phase": "request"}])
    prefill, decode = request_laws(laws, str(deployment_of(row).iloc[0]), row)
    first = compile_prefill(prefill, reach(prefill, max_extrapolation))
    step = compile_decode(decode, reach(decode, max_extrapolation))
    affine = is_affine_in_context(decode.law)
    seconds = compile_step(decode)
    sums = StepSums(decode.law, lambda c, b: seconds(b, b, b * c, b * c, c))

    def predict(
        isl: float, osl: float, batch_size: float = 1.0, cached_tokens: float = 0.0
    ) -> float:
        ttft = first(isl, batch_size, cached_tokens)
        if not 1.0 <= osl < math.inf or osl != math.floor(osl):
            raise InputError("osl must be a whole number of at least 1", got=f"{osl}",
                             remedy="give the number of output tokens")  # fmt: skip
        if osl < 2.0:
            return ttft
        last = step(isl + osl - 1.0, batch_size)  # also refuses what is out of reach
        if affine:
            return ttft + (osl - 1.0) * (last if osl == 2 else step(isl + osl / 2.0, batch_size))
        if isl == math.floor(isl) and isl + osl <= LONGEST:
            start, stop = int(isl), int(isl + osl) - 1
            return ttft + MS_PER_S * sums.between(start, stop, batch_size)
        one = (np.array([float(v)]) for v in (isl, osl, cached_tokens, batch_size, math.inf))
        return ttft + MS_PER_S * float(decode_total(decode.law, Requests(*one))[0])

    return predict


def _missing(phase: str, got: str) -> InputError:
    other = "prefill" if phase == "decode" else "decode"
    length = STEPS_BY_NAME[other]
    return InputError(
        "a request needs a prefill law and a decode law of one deployment", got=got,
        remedy=f"measure {phase} steps too (or requests with ttft_ms and tpot_ms) and fit again, "
        f"or ask for {other} steps alone with --phase {other} and {length}",
    )  # fmt: skip
