"""Answer tables of points, steps and requests mixed, with one law set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.data.identity import deployment_of
from lengthwise.domain.work import Work
from lengthwise.prediction.advice import check_reach
from lengthwise.prediction.answers import AnswerTable, StepAnswer
from lengthwise.prediction.chunked import (
    chunk_text,
    in_own_chunks,
    prefill_answer,
    prefill_seconds,
)
from lengthwise.prediction.compiled import request_laws
from lengthwise.prediction.points import is_request
from lengthwise.prediction.requests import Requests, chunk_of, decode_total
from lengthwise.prediction.uniform import predict_uniform
from lengthwise.units import FloatArray, s_to_ms

Index = npt.NDArray[np.intp]

STEP_TIMES = ("latency_ms", "lo_ms", "hi_ms")
REQUEST_TIMES = tuple(
    f"{name}_{end}ms" for name in ("ttft", "tpot", "e2e") for end in ("", "lo_", "hi_")
)


@dataclass(frozen=True)
class Answering:
    """Answers for prepared points.

    Attributes
    ----------
    laws
        Fitted laws.
    max_extrapolation
        Limit beyond which a point is refused, None for no limit.
    level
        Coverage of the intervals.
    """

    laws: LawSet
    max_extrapolation: float | None
    level: float

    def times(self, points: pd.DataFrame) -> FloatArray:
        """Return times only, shape (n,), milliseconds; E2E of requests."""
        alike = predict_uniform(self.laws, points, partial(self._steps, points))
        if alike is not None:
            return alike
        seconds = np.empty(len(points))
        asked = is_request(points)
        steps = np.flatnonzero(~asked)
        for index, law, work in self.laws.parts(points.iloc[steps]) if len(steps) else ():
            seconds[steps[index]] = self._steps(points, law, work, steps[index])
        for index, prefill, decode, requests in self._requests(points, np.flatnonzero(asked)):
            first = prefill_seconds(prefill, requests.prefill(), requests.prefill_chunk)
            seconds[index] = first + decode_total(decode.law, requests)
        return np.asarray(s_to_ms(seconds))

    def _steps(self, points: pd.DataFrame, law: PhaseLaw, work: Work, rows: Index) -> FloatArray:
        """Predict steps of one law, which are these rows of points, shape (n,), seconds."""
        check_reach(self.laws, law, work, self.max_extrapolation)
        return prefill_seconds(law, work, _chunk(points, rows, law))

    def table(self, points: pd.DataFrame) -> pd.DataFrame:
        """Give points with times, intervals, domain, regime and provenance."""
        asked = is_request(points)
        names: tuple[str, ...] = STEP_TIMES if not asked.all() or not len(asked) else ()
        names += REQUEST_TIMES if asked.any() else ()
        out = AnswerTable(len(points), names)
        steps = np.flatnonzero(~asked)
        for index, law, work in self.laws.parts(points.iloc[steps]) if len(steps) else ():
            check_reach(self.laws, law, work, self.max_extrapolation)
            chunk = _chunk(points, steps[index], law)
            answer = prefill_answer(self.laws, law, work, chunk, self.level)
            times = (answer.time_s, answer.low_s, answer.high_s)
            out.write(steps[index], dict(zip(STEP_TIMES, times, strict=True)))
            out.write_flags(steps[index], answer.in_domain, answer.factor, answer.regime,
                            answer.provenance)  # fmt: skip
            own = in_own_chunks(law, work, chunk)
            if own.any():
                out.write_source(steps[index][own], answer.provenance + chunk_text(law))
        for index, prefill, decode, requests in self._requests(points, np.flatnonzero(asked)):
            self._write_requests(out, index, prefill, decode, requests)
        return out.attach(points)

    def _requests(
        self, points: pd.DataFrame, rows: Index
    ) -> Iterator[tuple[Index, PhaseLaw, PhaseLaw, Requests]]:
        if not len(rows):
            return
        part = points.iloc[rows]
        requests, keys = Requests.of(part), deployment_of(part)
        codes = keys.cat.codes.to_numpy()
        for code in np.unique(codes):
            mine = np.flatnonzero(codes == code)
            pair = request_laws(self.laws, str(keys.cat.categories[code]), part.iloc[mine])
            chosen = requests.take(mine)
            check_reach(self.laws, pair[0], chosen.prefill(), self.max_extrapolation)
            many = chosen.take(chosen.osl > 1)
            check_reach(self.laws, pair[1], many.decode_at("last"), self.max_extrapolation)
            yield rows[mine], *pair, chosen

    def _write_requests(
        self, out: AnswerTable, index: Index, prefill: PhaseLaw, decode: PhaseLaw,
        requests: Requests,
    ) -> None:  # fmt: skip
        prompts, chunk = requests.prefill(), requests.prefill_chunk
        first = prefill_answer(self.laws, prefill, prompts, chunk, self.level)
        steps = [StepAnswer.of(self.laws, decode, requests.decode_at(where), self.level)
                 for where in ("middle", "first", "last")]  # fmt: skip
        total = decode_total(decode.law, requests)
        ratio = np.max([s.ratio for s in steps], axis=0)
        bounds = (
            (first.time_s, total),
            (first.low_s, total / ratio),
            (first.high_s, total * ratio),
        )
        gaps = np.where(requests.osl > 1, requests.osl - 1.0, np.nan)
        for end, (head, rest) in zip(("", "lo_", "hi_"), bounds, strict=True):
            out.write(index, {f"ttft_{end}ms": head, f"tpot_{end}ms": rest / gaps,
                              f"e2e_{end}ms": head + rest})  # fmt: skip
        single = requests.osl <= 1
        known = prefill.domain.answers_outputs(requests.osl)
        inside = first.in_domain & known & (single | (steps[1].in_domain & steps[2].in_domain))
        factor = np.maximum(first.factor, np.where(single, 1.0, steps[2].factor))
        regime = np.where(total > first.time_s, steps[0].regime, first.regime)
        sources = "prefill: {}{}; decode: {}"
        plain = sources.format(first.provenance, "", steps[0].provenance)
        out.write_flags(index, inside, factor, regime, plain)
        own = in_own_chunks(prefill, prompts, chunk)
        if own.any():
            said = sources.format(first.provenance, chunk_text(prefill), steps[0].provenance)
            out.write_source(index[own], said)


def _chunk(points: pd.DataFrame, rows: Index, law: PhaseLaw) -> FloatArray:
    """Most prompt tokens of a step that points ask for, shape of ``rows``; NaN for none."""
    if law.phase != "prefill" or "prefill_chunk" not in points:
        return np.full(len(rows), np.nan)
    return chunk_of(points.iloc[rows])
