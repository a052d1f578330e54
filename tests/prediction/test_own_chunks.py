"""Tables of chunk steps only: longer prompts are the sum of such steps, however they are asked."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from lengthwise import InputError, LatencyLaw, RequestEstimate
from lengthwise.calibration.phase_law import chunk_of
from lengthwise.data.checks import usable
from lengthwise.data.datasets import table as dataset
from lengthwise.data.identity import deployment_of
from lengthwise.data.table import load as load_table
from lengthwise.domain.estimate import Estimate
from lengthwise.domain.work import Work
from lengthwise.errors import ArtifactError, RefusedError
from lengthwise.interfaces.cli.main import app
from lengthwise.prediction.streaming import predict_file
from lengthwise.reporting.comparison import compare
from lengthwise.reporting.figures.prepare import law_chart
from lengthwise.reporting.sources import Source

CHUNK = 512
NAMES = ("phase", "isl", "cached_tokens", "query_len", "batch_size", "model", "hardware", "engine",
         "latency_ms")  # fmt: skip


def step_ms(new: np.ndarray, context: np.ndarray) -> np.ndarray:
    """Time of a step that costs as much before its first token as 300 tokens do."""
    return 15.0 + 0.05 * new + 4e-5 * (new * context - 0.5 * new * (new - 1))


def table(depths: tuple[int, ...] = (0, 1, 2, 4, 8, 16)) -> pd.DataFrame:
    """Steps of ``CHUNK`` tokens on top of so many chunks, and decode steps."""
    cached = CHUNK * np.array(depths, dtype=float)
    context = cached + CHUNK
    prefill = pd.DataFrame({
        "phase": "prefill", "isl": context, "cached_tokens": cached, "batch_size": 1,
        "latency_ms": step_ms(np.full(len(context), CHUNK), context),
    })  # fmt: skip
    decode = pd.DataFrame({"phase": "decode", "context_len": context,
                           "latency_ms": 9 + 1e-3 * context})  # fmt: skip
    return pd.concat([prefill, decode], ignore_index=True)


@pytest.fixture(scope="module")
def law() -> LatencyLaw:
    """A law of chunks."""
    return LatencyLaw().fit(table())


@pytest.fixture(scope="module")
def law_file(law: LatencyLaw, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same law in a file."""
    path = tmp_path_factory.mktemp("chunks") / "law.json"
    law.save(path)
    return path


def estimate(law: LatencyLaw, **at: Any) -> Estimate:
    found = law.estimate(**at)
    assert isinstance(found, Estimate)
    return found


def by_hand(law: LatencyLaw, isl: int, cached: int = 0) -> float:
    """Predict every step on its own and add them up, milliseconds."""
    ends = np.unique([*range(cached + CHUNK, isl, CHUNK), isl])
    starts = np.concatenate([[cached], ends[:-1]])
    steps = pd.DataFrame({"phase": "prefill", "isl": ends, "cached_tokens": starts})
    return float(law.predict(steps).sum())


def test_a_long_prompt_is_the_sum_and_not_one_giant_step(law: LatencyLaw) -> None:
    contexts = np.arange(CHUNK, 32_769, CHUNK, dtype=float)
    truth = step_ms(np.full(len(contexts), CHUNK), contexts).sum()
    found = estimate(law, isl=32_768)
    assert found.latency_ms == pytest.approx(truth, rel=0.05)
    assert found.lo_ms <= truth <= found.hi_ms
    assert "as the sum of steps of 512 tokens, the largest measured" in found.provenance
    whole = estimate(law, isl=32_768, prefill_chunk=32_768)  # saying so wins
    assert whole.latency_ms < 0.95 * found.latency_ms
    assert "sum of steps" not in whole.provenance
    assert (
        estimate(law, isl=4096, prefill_chunk=256).latency_ms > estimate(law, isl=4096).latency_ms
    )


def test_the_domain_is_the_context_reached(law: LatencyLaw) -> None:
    inside, beyond = estimate(law, isl=8000), estimate(law, isl=17_408)
    assert inside.in_domain
    assert inside.extrapolation_factor == 1.0
    assert not beyond.in_domain
    assert beyond.extrapolation_factor == pytest.approx(2.0)
    assert estimate(law, isl=CHUNK).in_domain
    assert "sum of" not in estimate(law, isl=CHUNK).provenance
    with pytest.raises(RefusedError, match=r"cached_tokens=\d+, batch_size=1, which helps") as said:
        law.estimate(isl=100_000)
    assert "measure prefill at isl=" in said.value.remedy


@settings(max_examples=60, deadline=None)
@given(isl=st.integers(1, 60_000), cached=st.integers(0, 9_000), batch=st.integers(1, 6))
def test_every_path_gives_the_same_time(
    law: LatencyLaw, isl: int, cached: int, batch: int
) -> None:  # fmt: skip
    isl += cached
    expected = estimate(law, isl=isl, cached_tokens=cached, batch_size=batch).latency_ms
    point = pd.DataFrame({"phase": ["prefill"], "isl": isl, "cached_tokens": cached,
                          "batch_size": batch})  # fmt: skip
    assert law.predict(point)[0] == pytest.approx(expected, rel=1e-9)
    assert law.at(phase="prefill")(isl, batch, cached) == pytest.approx(expected, rel=1e-9)
    arrays = law.predict_arrays("prefill", isl=[float(isl), 64.0], batch_size=[batch, 1],
                                cached_tokens=[cached, 0])  # fmt: skip
    assert arrays[0] == pytest.approx(expected, rel=1e-9)
    assert arrays[1] == pytest.approx(estimate(law, isl=64).latency_ms, rel=1e-9)
    low, high = law.predict_interval(point)[0]
    assert low < expected < high
    if isl - cached > CHUNK:
        one = by_hand(law, isl, cached)
        assert expected == pytest.approx(batch * one, rel=1e-9)


def test_requests_and_files_take_steps_too(law: LatencyLaw, law_file: Path, tmp_path: Path) -> None:
    request = law.estimate(isl=9000, osl=20)
    assert isinstance(request, RequestEstimate)
    ttft, e2e = request.ttft.latency_ms, request.e2e.latency_ms
    assert ttft == pytest.approx(by_hand(law, 9000), rel=1e-9)
    again = LatencyLaw.load(law_file)
    prefill = again.law_set_.laws_["(all)", "prefill"]
    assert prefill.domain.chunk == CHUNK
    assert again.law_set_.laws_["(all)", "decode"].domain.chunk is None
    assert again.at(phase="request")(9000, 20) == pytest.approx(e2e, rel=1e-9)
    points = pd.DataFrame({"isl": [9000, 300], "osl": [20, 20]})
    assert again.predict(points)[0] == pytest.approx(e2e, rel=1e-9)
    for name in ("csv", "parquet"):
        source, target = tmp_path / f"points.{name}", tmp_path / f"out.{name}"
        getattr(points, f"to_{name}")(source, index=False)
        predict_file(again, source, target)
        out = getattr(pd, f"read_{name}")(target)
        assert out["ttft_ms"][0] == pytest.approx(ttft, rel=1e-9)
        assert out["provenance"].str.contains("sum of steps of 512").tolist() == [True, False]
        assert out["in_domain"].tolist() == [False, False]
    words = ["predict", str(law_file), "--isl", "9000", "--osl", "20"]
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert told["ttft_ms"] == pytest.approx(ttft, rel=1e-9)
    shown = " ".join(CliRunner().invoke(app, words).stdout.split())
    assert "as the sum of steps of 512 tokens, the largest measured" in shown


def test_an_old_law_file_answers_as_it_did(law: LatencyLaw, law_file: Path, tmp_path: Path) -> None:
    old = json.loads(law_file.read_text())
    for one in old["laws"]:
        assert set(one["domain"]) == {"length", "new_tokens", "sequences", "chunk", "outputs",
                                      "in_flight"}  # fmt: skip
        del one["domain"]["chunk"], one["domain"]["outputs"], one["domain"]["in_flight"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old))
    found = estimate(LatencyLaw.load(path), isl=8192)
    assert found.latency_ms == estimate(law, isl=8192, prefill_chunk=8192).latency_ms
    old["laws"][1]["domain"]["chunk"] = -5.0
    path.write_text(json.dumps(old))
    with pytest.raises(ArtifactError, match=r"domain.chunk must be at least 1"):
        LatencyLaw.load(path)


def test_a_prompt_of_too_many_steps_is_refused(law_file: Path, tmp_path: Path) -> None:
    law = LatencyLaw.load(law_file)
    law.max_extrapolation = None
    points = pd.DataFrame({"phase": "prefill", "isl": [6e8, 4096]})
    for ask in (law.predict, lambda p: law.at(phase="prefill")(float(p["isl"][0]))):
        with pytest.raises(InputError, match="at most 1,000,000 steps, but got 6e"):
            ask(points)
    points.to_csv(tmp_path / "points.csv", index=False)
    report = predict_file(law, tmp_path / "points.csv", tmp_path / "out.csv")
    assert report.predicted == 1


def test_what_counts_as_a_chunk() -> None:
    def chunk(query: list[float], context: list[float], phase: str = "prefill") -> float | None:
        return chunk_of(Work.of(phase, query_len=query, context_len=context))

    assert chunk([512, 512, 512], [512, 1024, 8192]) == 512
    assert chunk([64, 512, 512, 300], [64, 1024, 8192, 8492]) == 512
    assert chunk([512, 1024], [512, 1024]) is None  # whole prompts
    assert chunk([512, 512, 4096], [1024, 8192, 4096]) is None  # and prefixes beside them
    assert chunk([4096], [8192]) is None  # one step is no pattern
    assert chunk([1, 1], [512, 4096], "decode") is None


@pytest.mark.parametrize("engine", ["llama.cpp", "openvino-genai"])
@pytest.mark.parametrize("multiples", [(1, 2, 4, 8, 16), (1, 2, 3, 4, 6, 8, 12, 16)])
def test_few_depths_of_measured_chunks_predict_whole_prompts(
    engine: str, multiples: tuple[int, ...]
) -> None:
    """Own measurements: the sum of all steps of a prompt, from a few depths of it."""
    rows = dataset("own-chunked-cpu")
    rows = rows[(rows["phase"] == "prefill") & usable(rows) & (rows["engine"] == engine)]
    for _, own in rows.groupby(deployment_of(rows), observed=True):
        chunk = own["query_len"].max()
        full = own[own["query_len"] == chunk]
        steps = full.groupby("isl")["latency_ms"].median()
        kept = full[full["isl"].isin(chunk * np.array(multiples))]
        law = LatencyLaw().fit(kept[[*NAMES]])
        assert law.law_set_.laws_[next(iter(law.law_set_.laws_))].domain.chunk == chunk
        for isl in chunk * 2 ** np.arange(1, int(math.log2(multiples[-1])) + 1):
            measured = steps[steps.index <= isl].sum()
            found = estimate(law, isl=isl)
            assert found.in_domain
            assert found.lo_ms <= measured <= found.hi_ms
            assert found.latency_ms == pytest.approx(measured, rel=0.08)


def test_charts_and_comparisons_show_prompts(law: LatencyLaw) -> None:
    prefill = law.law_set_.laws_["(all)", "prefill"]
    chart = law_chart(law.law_set_, prefill)
    for line in chart.lines:
        for isl, time in list(zip(line.x, line.y, strict=True))[::9]:
            free = LatencyLaw.predict_arrays(law, "prefill", isl=[isl])[0]
            assert time == pytest.approx(free, rel=1e-9)
    slow = table().assign(latency_ms=2 * table()["latency_ms"])
    sources = [Source(f"{n}.csv", n, load_table(rows)) for n, rows in (("a", table()), ("b", slow))]
    found = compare(*sources)
    ratio = next(pair.ratio for pair in found.pairs if pair.phase == "prefill")
    assert ratio == pytest.approx(np.full(len(ratio), 2.0), rel=0.02)
