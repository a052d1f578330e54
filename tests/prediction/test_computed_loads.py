"""Laws of requests whose number in flight was computed: by class, never mixed with batch 1."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lengthwise import InputError, LatencyLaw, RequestEstimate
from lengthwise.data.table import prepare
from lengthwise.errors import ColumnError, FitWarning, NothingUsableError
from lengthwise.prediction.step_law import StepLaw

LENGTHS = (256, 512, 1024, 2048)


def requests(tpot_ms: float, flight: list[float], **columns: object) -> pd.DataFrame:
    """Requests of each length at each number in flight."""
    rows = [
        {"phase": "request", "isl": n, "osl": 64, "ttft_ms": 20 + 0.02 * n, "tpot_ms": tpot_ms,
         "concurrency": c, "load_from": "measured", **columns}
        for n in LENGTHS for c in flight
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def law() -> LatencyLaw:
    """Laws of an open loop at two rates, with two strays."""
    rows = pd.concat([
        requests(10.0, [1.0, 1.1], request_rate=0.5),
        requests(40.0, [7.2, 7.7, 8.4], request_rate=20.0),
        requests(30.0, [4.1], request_rate=20.0)[:2],
    ])  # fmt: skip
    with pytest.warns(FitWarning) as said:
        law = LatencyLaw().fit(rows)
    told = [str(w.message) for w in said]
    assert any("loads that hardly occurred (concurrency=4) make no law" in text for text in told)
    assert any("concurrency=8" in text and "queueing" in text for text in told)
    return law


def tpot(law: LatencyLaw, **at: Any) -> float:
    found = law.estimate(isl=1024, osl=64, **at)
    assert isinstance(found, RequestEstimate)
    assert found.tpot is not None
    return found.tpot.latency_ms


def test_requests_alone_are_batch_1_and_the_others_a_load(law: LatencyLaw) -> None:
    assert {key for key, _ in law.law_set_.laws_} == {"(all)", "concurrency=8"}
    assert tpot(law) == pytest.approx(10.0, rel=0.01)
    assert tpot(law, concurrency=8) == pytest.approx(40.0, rel=0.01)


def test_a_class_answers_for_what_it_holds(law: LatencyLaw) -> None:
    assert tpot(law, concurrency=9) == pytest.approx(40.0, rel=0.01)
    for other in ({"concurrency": 4}, {"concurrency": 16}, {"request_rate": 20.0}):
        with pytest.raises(InputError, match="must be one that was measured"):
            tpot(law, **other)
    with pytest.raises(InputError, match="ask with concurrency instead of a rate"):
        tpot(law, request_rate=20.0)


def test_a_law_of_a_class_comes_back_from_its_file(law: LatencyLaw, tmp_path: Path) -> None:
    path = tmp_path / "law.json"
    law.save(path)
    again = LatencyLaw.load(path)
    assert tpot(again, concurrency=9) == tpot(law, concurrency=9)
    assert again.law_set_.laws_["concurrency=8", "decode"].domain.in_flight == (7.2, 8.4)


def test_a_stated_load_is_exact() -> None:
    with pytest.warns(FitWarning):
        law = LatencyLaw().fit(requests(40.0, [8.0, 8.0]).drop(columns="load_from"))
    assert tpot(law, concurrency=8) == pytest.approx(40.0, rel=0.01)
    with pytest.raises(InputError, match="must be one that was measured"):
        tpot(law, concurrency=9)


def test_a_rate_alone_is_not_batch_1() -> None:
    rows = pd.concat([
        requests(10.0, [1.0, 1.0]),
        requests(40.0, [np.nan] * 2, request_rate=20.0).assign(load_from="rate"),
    ])  # fmt: skip
    with pytest.warns(FitWarning, match="where only a rate is known, rows are a load of their own"):
        law = LatencyLaw().fit(rows)
    assert tpot(law) == pytest.approx(10.0, rel=0.01)
    assert tpot(law, request_rate=20.0) == pytest.approx(40.0, rel=0.01)


def test_two_deployments_of_one_setting_are_asked_by_it() -> None:
    rows = pd.concat([
        requests(10.0, [1.0, 1.0], n_gpu_layers=99, flash_attn=1),
        requests(60.0, [1.0, 1.0], n_gpu_layers=10, flash_attn=0),
    ])  # fmt: skip
    law = LatencyLaw().fit(rows)
    with pytest.raises(InputError, match="settings='n_gpu_layers=10, flash_attn=0'"):
        tpot(law)
    for asked, truth in (("n_gpu_layers=99", 10.0), ("flash_attn=0", 60.0),
                         ("n_gpu_layers=10, flash_attn=0", 60.0)):  # fmt: skip
        found = law.estimate(isl=1024, osl=64, settings=asked)
        assert isinstance(found, RequestEstimate)
        assert found.tpot is not None
        assert found.tpot.latency_ms == pytest.approx(truth, rel=0.01)
        points = pd.DataFrame({"isl": [1024], "osl": [64], "settings": [asked]})
        assert law.predict(points)[0] == pytest.approx(found.e2e.latency_ms, rel=1e-9)


def test_the_step_law_takes_no_rate_for_one_request() -> None:
    named = {"model": "llama3.1-8b", "hardware": "h100_sxm", "precision": "bf16"}
    known = requests(10.0, [1.0, 4.0], **named)
    rate = requests(40.0, [np.nan], **named, request_rate=20.0)
    with pytest.warns(FitWarning, match="4 rows of 12 left out"):
        mixed = StepLaw().fit(prepare(pd.concat([known, rate])))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone = StepLaw().fit(prepare(known))
    point = {**{k: [v] for k, v in named.items()}, "isl": [1024], "osl": [64]}
    asked = {**point, "concurrency": [4]}
    assert mixed.predict(asked)[0] == alone.predict(asked)[0]
    with pytest.raises(NothingUsableError, match="a rate is not that"):
        StepLaw().fit(prepare(rate))
    with pytest.raises(ColumnError, match=r"request_rate=20 and no concurrency"):
        alone.predict({**point, "request_rate": [20.0]})
