"""Prompts prefilled in chunks: the sum of their steps, however they are asked for."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lengthwise.data.work import work_of
from lengthwise.domain.estimate import Estimate
from lengthwise.domain.work import Work
from lengthwise.errors import ColumnError
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.interfaces.cli.main import app
from lengthwise.prediction.chunked import InChunks, chunk_steps
from lengthwise.prediction.estimates import RequestEstimate
from lengthwise.prediction.latency_law import LatencyLaw
from lengthwise.prediction.streaming import predict_file

CHUNK = 256


def step_ms(query: np.ndarray, context: np.ndarray, first: float = 0.0) -> np.ndarray:
    """Time of a step whose tokens cost ``first`` more when nothing is cached."""
    pairs = query * context - 0.5 * query * (query - 1)
    fresh = np.where(query == context, first, 0.0)
    return 1.0 + (0.03 + fresh) * query + 1.5e-5 * pairs


def steps(first: float = 0.0, longest: int = 2048) -> pd.DataFrame:
    """Steps of prompts up to ``longest`` tokens, in chunks."""
    whole = [(q, q) for q in (16, 32, 64, 128)]
    parts = [(CHUNK, c) for c in range(CHUNK, longest + 1, CHUNK)]
    query, context = np.array(whole + parts, dtype=float).T
    return pd.DataFrame({
        "phase": "prefill", "isl": context, "cached_tokens": context - query, "batch_size": 1,
        "latency_ms": step_ms(query, context, first),
    })  # fmt: skip


@pytest.fixture(scope="module")
def law() -> LatencyLaw:
    """Fit chunks and decode steps of one deployment."""
    contexts = np.array([64.0, 256, 1024, 2048])
    decode = pd.DataFrame({"phase": "decode", "context_len": contexts,
                           "latency_ms": 2 + 1e-3 * contexts})  # fmt: skip
    return LatencyLaw().fit(pd.concat([steps(), decode], ignore_index=True))


@given(
    isl=st.integers(1, 100_000), cached=st.integers(0, 5_000), batch=st.integers(1, 40),
    chunk=st.integers(1, 20_000),
)  # fmt: skip
def test_steps_hold_every_token_once(isl: int, cached: int, batch: int, chunk: int) -> None:
    whole = Work.of("prefill", query_len=isl, context_len=isl + cached, batch_size=batch)
    split = chunk_steps(whole, np.array([float(chunk)]))
    assert split.total(split.work.new_tokens, 1)[0] == pytest.approx(isl * batch)
    assert split.total(split.work.sequences, 1)[0] >= batch
    pairs = split.total(split.work.attention_pairs, 1)[0]
    assert pairs == pytest.approx(whole.attention_pairs[0], rel=1e-9)
    assert split.work.new_tokens.max() <= max(chunk, min(isl, chunk)) + 1e-9
    assert split.work.context_len.max() == isl + cached


def test_a_long_prompt_is_the_sum_of_its_steps(law: LatencyLaw) -> None:
    points = pd.DataFrame({"phase": "prefill", "isl": [8192, 300], "prefill_chunk": [CHUNK, None]})
    contexts = np.arange(CHUNK, 8193, CHUNK)
    asked = pd.DataFrame({"phase": "prefill", "isl": contexts, "cached_tokens": contexts - CHUNK})
    by_hand = law.predict(asked).sum()
    assert law.predict(points)[0] == pytest.approx(by_hand, rel=1e-12)
    assert by_hand == pytest.approx(step_ms(np.full(32, CHUNK), contexts).sum(), rel=0.03)
    alone = pd.DataFrame({"phase": ["prefill"], "isl": [300]})
    assert law.predict(points)[1] == law.predict(alone)[0]


def estimate(law: LatencyLaw, **at: float) -> Estimate:
    found = law.estimate(**at)  # type: ignore[arg-type]
    assert isinstance(found, Estimate)
    return found


def test_every_way_of_asking_agrees(law: LatencyLaw, tmp_path: Path) -> None:
    request = law.estimate(isl=4096, osl=16, prefill_chunk=CHUNK)
    assert isinstance(request, RequestEstimate)
    step = estimate(law, isl=4096, prefill_chunk=CHUNK)
    assert request.ttft.latency_ms == pytest.approx(step.latency_ms)
    assert step.lo_ms < step.latency_ms < step.hi_ms
    held = InChunks(law.law_set_, CHUNK)
    point = pd.DataFrame({"phase": ["prefill"], "isl": [4096]})
    assert held.predict(point)[0] == pytest.approx(step.latency_ms)
    assert held.predict_interval(point)[0, 1] == pytest.approx(step.hi_ms)
    file = tmp_path / "law.json"
    law.save(file)
    table = tmp_path / "points.csv"
    table.write_text("phase,isl,osl,prefill_chunk\nrequest,4096,16,256\nrequest,4096,16,4096\n")
    out = str(tmp_path / "out.csv")
    done = CliRunner().invoke(app, ["predict", str(file), "--table", str(table), "-o", out])
    assert done.exit_code == 0, done.output
    found = pd.read_csv(tmp_path / "out.csv")["ttft_ms"]
    assert found[0] == pytest.approx(step.latency_ms)
    assert found[1] != found[0]
    words = ["predict", str(file), "--isl", "4096", "--prefill-chunk", "256", "--json"]
    answer = json.loads(CliRunner().invoke(app, words).stdout)
    assert answer["latency_ms"] == pytest.approx(step.latency_ms)


@pytest.mark.parametrize("chunk", [0, -5, 0.5])
def test_a_chunk_holds_a_token(law: LatencyLaw, chunk: float) -> None:
    points = pd.DataFrame({"phase": ["prefill"], "isl": [512], "prefill_chunk": [chunk]})
    with pytest.raises(ColumnError, match="prefill_chunk must be at least 1"):
        law.predict(points)


def test_a_prompt_has_a_bounded_number_of_steps(law: LatencyLaw, tmp_path: Path) -> None:
    points = pd.DataFrame({"phase": ["prefill"] * 2, "isl": [1e12, 4096],
                           "prefill_chunk": [1, 256]})  # fmt: skip
    law.save(tmp_path / "law.json")
    law = LatencyLaw.load(tmp_path / "law.json")
    law.max_extrapolation = None
    with pytest.raises(ColumnError, match="at most 1,000,000 steps"):
        law.predict(points)
    points.to_csv(tmp_path / "points.csv", index=False)
    report = predict_file(law, tmp_path / "points.csv", tmp_path / "out.csv")
    assert report.predicted == 1
    assert "at most 1,000,000 steps" in next(iter(report.problems))


def test_a_costlier_first_step_is_not_read_as_a_slope(tmp_path: Path) -> None:
    table = steps(first=0.02)
    law = LatencyLaw().fit(table)
    trials = next(iter(law.law_set_.laws_.values())).trials
    kept = max(trials, key=lambda t: t.weight)
    assert kept.prefix == "apart"
    contexts = np.arange(CHUNK, 16_385, CHUNK, dtype=float)
    truth = step_ms(np.full(64, float(CHUNK)), contexts, 0.02).sum()
    asked = estimate(law, isl=16_384, prefill_chunk=CHUNK)
    assert asked.latency_ms == pytest.approx(truth, rel=0.04)
    plain = HachiyaPatias().fit_work(work_of(table), table["latency_ms"].to_numpy() / 1e3)
    deep = Work.of("prefill", query_len=CHUNK, context_len=contexts)
    assert 1e3 * plain.predict_work(deep).sum() < 0.95 * truth
    file = tmp_path / "law.json"
    law.save(file)
    fast = LatencyLaw.load(file).at(phase="prefill")
    for isl, cached in ((256, 0), (512, 256), (4096, 3840)):
        slow = estimate(law, isl=isl, cached_tokens=cached).latency_ms
        assert math.isclose(fast(isl, 1, cached), slow, rel_tol=1e-6)
    assert "x T (nothing cached)" in repr(law)


def test_steps_that_do_not_differ_stay_together() -> None:
    law = LatencyLaw().fit(steps())
    assert all(t.prefix == "same" for t in next(iter(law.law_set_.laws_.values())).trials if t.kept)
