"""Golden numbers of the law of lengths: compute them, compare them, write them.

    python tests/golden/lengths.py            print what differs; exit 1 if anything does
    python tests/golden/lengths.py --write    write lengths.json anew, after a change that is meant

``--first`` stops at the first case that differs, as the mutations of the benchmarks ask.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from length_cases import BEYOND, CASES, DEPLOYMENT, Case

from lengthwise import LatencyLaw
from lengthwise.calibration.intervals import Calibration, conformal_quantile
from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import PhaseLaw
from lengthwise.domain.work import Work
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.units import FloatArray

FILE = Path(__file__).with_name("lengths.json")
LEVELS = (0.5, 0.9, 0.95)
RELATIVE, ABSOLUTE = 1e-6, 1e-9
ASKED = {
    "phase", "isl", "osl", "context_len", "query_len", "cached_tokens", "batch_size", "concurrency",
    "sum_query_len", "sum_context_len", "sum_query_x_context", *DEPLOYMENT,
}  # fmt: skip
"""Columns of a point."""
Numbers = dict[str, Any]


def numbers_of(case: Case) -> Numbers:
    """Compute all golden numbers of one case."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = case.table()
        law = LatencyLaw(max_extrapolation=None, **dict(case.options)).fit(frame)
        with tempfile.TemporaryDirectory() as folder:
            law.save(Path(folder) / "law.json")
            read = LatencyLaw.load(Path(folder) / "law.json")
    laws: Numbers = {
        f"{deployment}, {phase}": _law(read, law.law_set_, found)
        for (deployment, phase), found in law.law_set_.laws_.items()
    }
    calibration = {p: _calibration(c) for p, c in read.law_set_.calibration_.items()}
    return {"laws": laws, "calibration": calibration, "answers": _answers(read, frame)}


def _law(read: LatencyLaw, fitted: LawSet, law: PhaseLaw) -> Numbers:
    """Numbers of one law: as fitted, and of steps asked of the law as read."""
    inner = law.law
    assert isinstance(inner, HachiyaPatias)
    saved = read.law_set_.laws_[law.deployment, law.phase]
    steps = list(_works(law))
    asked = {
        "seconds": [_number(law.law.predict_work(w)[0]) for w in steps],
        "seconds as read": [_number(saved.law.predict_work(w)[0]) for w in steps],
        "one at a time": _one_at_a_time(read, saved),
        "scale": [_number(law.log_scale(w)[0]) for w in steps],
        **{f"half {level}": [_number(fitted.half_width(law, w, level)[0]) for w in steps]
           for level in LEVELS},
    }  # fmt: skip
    return {
        "form": [inner.scaling_.name, *(t.name for t in inner.terms_)],
        "scaling": _plain(inner.scaling_.settings()),
        "theta": _rounded(inner.theta_),
        "sd": _rounded(np.sqrt(np.diag(inner.covariance_))),
        "sigma": _number(inner.sigma_), "tau": _number(inner.tau_), "gap": _number(inner.gap_),
        "log_evidence": _number(inner.log_evidence_),
        "structures": [[t.e1, t.e2, t.prefix] for t in law.trials],
        "weights": _rounded(np.array([t.weight for t in law.trials])),
        "trials": _rounded(np.array([[t.in_range, t.out_of_range] for t in law.trials]).ravel()),
        "suspects": [[s.position, _number(s.expected_ms), _number(s.probability)]
                     for s in law.suspects],
        "rival": _rival(law),
        "held_out": [] if law.held_out is None else _summary(law.held_out.residual),
        "held_scale": [] if law.held_out is None else _summary(law.held_out.scale),
        **asked,
    }  # fmt: skip


def _one_at_a_time(read: LatencyLaw, law: PhaseLaw) -> list[Any]:
    """Times by the compiled law of plain numbers, milliseconds."""
    if law.phase == "mixed":
        return []
    labels = {k: v for k, v in law.labels.items() if v is not None}
    time_of = read.at(phase=law.phase, **labels)
    low, high = law.domain.length
    return [_number(time_of(length)) for length in (low, math.sqrt(low * high), high, 4.0 * high)]


def _rival(law: PhaseLaw) -> list[Any]:
    found = law.rival
    if found is None:
        return []
    return [found.name, _number(found.error_percent), _number(found.ours_percent), found.folds]


def _works(law: PhaseLaw) -> Iterator[Work]:
    """Steps in range, beyond the longest length and beyond the largest batch."""
    low, high = law.domain.length
    most = law.domain.sequences[1]
    for length, batch in (
        (math.sqrt(low * high), 1.0), (high, most), *((factor * high, 1.0) for factor in BEYOND),
        (high, 2.0 * most), (1.3 * high, 1.0),
    ):  # fmt: skip
        query = 1.0 if law.phase == "decode" else length
        phase = "prefill" if law.phase == "mixed" else law.phase
        work = Work.of(phase, query_len=query, context_len=length, batch_size=batch)
        yield _mixed(work) if law.phase == "mixed" else work


def _mixed(work: Work) -> Work:
    """One chunk and eight tokens that are decoded at half its length."""
    half = 0.5 * work.context_len
    return Work(
        "mixed", work.sequences + 8.0, work.new_tokens + 8.0, work.attention_pairs + 8.0 * half,
        work.kv_tokens + 8.0 * half, work.isl, work.context_len,
    )  # fmt: skip


def _answers(law: LatencyLaw, frame: pd.DataFrame) -> Numbers:
    """What the public law, read from its file, says of measured points."""
    every = frame[[c for c in frame if c in ASKED]].drop_duplicates()
    points = every.iloc[:: max(1, len(every) // 6)].reset_index(drop=True)
    found = {"times": _rounded(law.predict(points))}
    for level in LEVELS:
        low, high = law.predict_interval(points, level).T
        found[f"half {level}"] = _rounded(0.5 * np.log(high / low))
    return found


def _calibration(found: Calibration) -> Numbers:
    """Quantiles of all scores, and errors per doubling, at every level."""
    kinds = {"few": found.few, "many": found.many}
    kinds |= {f"bin {i}": scores for i, scores in enumerate(found.scores)}
    quantiles = {
        name: _rounded(np.array([conformal_quantile(scores, level) for level in LEVELS]))
        for name, scores in kinds.items() if len(scores)
    }  # fmt: skip
    gammas = {
        axis: _rounded(np.array([found.gamma(level, axis) for level in LEVELS]))
        for axis in ("length", "batch")
    }
    return {**quantiles, **gammas, "edges": _rounded(np.array(found.edges))}


def _summary(values: FloatArray) -> list[float]:
    """Size, sum and sum of squares of an array."""
    return [len(values), _number(values.sum()), _number((values**2).sum())]


def _rounded(values: FloatArray) -> list[Any]:
    return [_number(v) for v in np.asarray(values, dtype=float)]


def _number(value: float) -> Any:
    """Ten significant digits; None for a number that is none."""
    return float(f"{value:.10g}") if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    return _number(value) if isinstance(value, float) else value


def differences(want: Any, got: Any, where: str = "") -> Iterator[str]:
    """Say where two sets of golden numbers differ."""
    if isinstance(want, dict) and isinstance(got, dict):
        for key in sorted({*want, *got}):
            yield from differences(want.get(key), got.get(key), f"{where}/{key}")
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for i, (one, other) in enumerate(zip(want, got, strict=True)):
            yield from differences(one, other, f"{where}[{i}]")
    elif isinstance(want, float) and isinstance(got, (float, int)):
        if not math.isclose(want, got, rel_tol=RELATIVE, abs_tol=ABSOLUTE):
            yield f"{where}: {want} before, {got} now"
    elif want != got:
        yield f"{where}: {want} before, {got} now"


def golden() -> Numbers:
    """Read the golden numbers of all cases."""
    found: Numbers = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def _compare(first_only: bool) -> int:
    known, count = golden(), 0
    for case in CASES:
        for line in differences(known.get(case.name), numbers_of(case), case.name):
            print(line, flush=True)
            count += 1
        if count and first_only:
            break
    return int(count > 0)


def main(arguments: list[str]) -> int:
    """Compare, or write."""
    if "--write" not in arguments:
        return _compare("--first" in arguments)
    found = {case.name: numbers_of(case) for case in CASES}
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
