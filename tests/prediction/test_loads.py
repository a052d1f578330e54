"""Requests measured under load: a law per load, and no answer for a load nobody measured."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from closed_loop import LENGTHS, LOADS, run, sweep
from typer.testing import CliRunner

from lengthwise import InputError, LatencyLaw, RequestEstimate
from lengthwise.calibration.groups import groups_of
from lengthwise.data.table import load as load_table
from lengthwise.errors import ColumnError, FitWarning
from lengthwise.evaluation.protocol import evaluate
from lengthwise.interfaces.cli.main import app
from lengthwise.prediction.streaming import predict_file
from lengthwise.reporting.comparison import compare
from lengthwise.reporting.content import Options, build
from lengthwise.reporting.sources import read

BETWEEN = (192, 768, 3072)
LOADED = [load for load in LOADS if load > 1]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """What clients of the simulated server saw, by length and concurrency."""
    return sweep()


@pytest.fixture(scope="module")
def law(table: pd.DataFrame) -> LatencyLaw:
    """Laws of all loads."""
    with pytest.warns(FitWarning, match=r"concurrency=2; concurrency=4; concurrency=8.*queueing"):
        return LatencyLaw().fit(table)


@pytest.fixture(scope="module")
def law_file(law: LatencyLaw, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same laws in a file."""
    path = tmp_path_factory.mktemp("loads") / "law.json"
    law.save(path)
    return path


def estimate(law: LatencyLaw, **at: Any) -> RequestEstimate:
    found = law.estimate(**at)
    assert isinstance(found, RequestEstimate)
    assert found.tpot is not None
    return found


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("isl", BETWEEN)
def test_a_measured_load_is_predicted_in_range(law: LatencyLaw, load: int, isl: int) -> None:
    truth = run(isl, load, seed=1000 + isl + load).median(numeric_only=True)
    found = estimate(law, isl=isl, osl=64, concurrency=load)
    assert found.tpot is not None
    assert found.ttft.latency_ms == pytest.approx(truth["ttft_ms"], rel=0.04)
    assert found.tpot.latency_ms == pytest.approx(truth["tpot_ms"], rel=0.03)
    assert found.e2e.latency_ms == pytest.approx(truth["e2e_ms"], rel=0.04)
    assert found.e2e.in_domain


def test_outputs_unlike_the_measured_ones_are_outside(law: LatencyLaw, law_file: Path) -> None:
    for one in (law, LatencyLaw.load(law_file)):
        long = estimate(one, isl=700, osl=512, concurrency=8).ttft
        assert not long.in_domain
        assert "of concurrency=8, outputs of 56 to 72 tokens" in long.provenance
        assert estimate(one, isl=700, osl=512).ttft.in_domain  # nobody to wait for


def test_intervals_of_a_load_hold_what_was_not_seen(law: LatencyLaw) -> None:
    inside = []
    for load in LOADED:
        for isl in BETWEEN:
            truth = run(isl, load, seed=isl + load + 7)["ttft_ms"].median()
            ttft = estimate(law, isl=isl, osl=64, concurrency=load).ttft
            inside.append(ttft.lo_ms <= truth <= ttft.hi_ms)
    assert np.mean(inside) >= 0.8


@pytest.mark.parametrize("at", [{"concurrency": 6}, {"request_rate": 2.0}])
def test_a_load_nobody_measured_is_refused_on_every_path(
    law: LatencyLaw, law_file: Path, at: dict[str, float], tmp_path: Path
) -> None:
    name, value = next(iter(at.items()))
    words = (
        rf"measured \(no load; concurrency=2.*concurrency=8\), but got {name}={value:g}.*--formu"
    )
    points = pd.DataFrame({"isl": [512], "osl": [64], **at})
    for ask in (law.predict, law.predict_table, law.predict_interval):
        with pytest.raises(InputError, match=words):
            ask(points)
    for phase in ("prefill", "decode", "request"):
        with pytest.raises(InputError, match=words):
            law.at(phase=phase, **at)
    with pytest.raises(InputError, match=words):
        law.estimate(isl=512, osl=64, **at)
    with pytest.raises(InputError, match=words):
        law.predict_arrays("prefill", isl=[512], **at)
    with pytest.raises(InputError, match=words):
        law.suggest(isl=8192, **at)
    option = [f"--{name.replace('_', '-')}", f"{value:g}"]
    done = CliRunner().invoke(app, ["predict", str(law_file), "--isl", "512", *option])
    assert isinstance(done.exception, InputError)
    source = tmp_path / "points.csv"
    pd.concat([points, points.assign(concurrency=8, request_rate=np.nan)]).to_csv(source)
    report = predict_file(law, source, tmp_path / "out.csv")
    assert (report.rows, report.predicted) == (2, 1)
    assert f"{name}={value:g}" in next(iter(report.problems))


def test_a_law_of_loads_has_no_answer_without_a_load(table: pd.DataFrame) -> None:
    with pytest.warns(FitWarning):
        loaded = LatencyLaw().fit(table[table["concurrency"] > 1])
    for at in ({}, {"batch_size": 8}, {"concurrency": 1}):
        with pytest.raises(InputError, match=r"measured \(concurrency=2;.*but got no load"):
            loaded.estimate(isl=512, osl=64, **at)
    assert not loaded.law_set_.population_
    with pytest.raises(InputError, match="concurrency=2 for h100"):
        loaded.estimate(isl=512, osl=64, concurrency=2, hardware="h100")


def test_a_load_takes_no_batch(law: LatencyLaw) -> None:
    for ask in (
        lambda: law.estimate(isl=512, batch_size=4, concurrency=4),
        lambda: law.at(phase="prefill", concurrency=4)(512, 4),
        lambda: law.at(phase="decode", concurrency=4)(512, 4),
        lambda: law.at(phase="request", concurrency=4)(512, 16, 4),
        lambda: law.predict_arrays("decode", context_len=[512, 1024], batch_size=[1, 4],
                                   concurrency=4),
        lambda: law.suggest(isl=512, batch_size=4, concurrency=4),
    ):  # fmt: skip
        with pytest.raises(InputError, match="not both, but got concurrency=4 and batch_size=4"):
            ask()
    stated = pd.DataFrame({"isl": [512], "osl": [64], "concurrency": 4, "batch_size": 1})
    alone = pd.DataFrame({"isl": [512], "osl": [64]})
    assert law.predict(stated)[0] == law.predict(alone)[0]  # a row that states its batch


@pytest.mark.parametrize("bad", [0, -3, float("inf")])
def test_a_load_is_positive(law: LatencyLaw, bad: float) -> None:
    with pytest.raises(ColumnError, match="concurrency must be positive"):
        law.predict(pd.DataFrame({"isl": [512], "osl": [64], "concurrency": [bad]}))
    with pytest.raises(ColumnError, match="concurrency must be positive"):
        law.at(phase="request", concurrency=bad)


@pytest.mark.parametrize("load", LOADED)
def test_every_way_of_asking_agrees(law: LatencyLaw, law_file: Path, load: int) -> None:
    again = LatencyLaw.load(law_file)
    found = estimate(law, isl=900, osl=64, concurrency=load)
    points = pd.DataFrame({"isl": [900], "osl": [64], "concurrency": [load]})
    e2e = found.e2e.latency_ms
    assert again.predict(points)[0] == pytest.approx(e2e, rel=1e-9)
    assert again.at(phase="request", concurrency=load)(900, 64) == pytest.approx(e2e, rel=1e-9)
    ttft = again.predict_arrays("prefill", isl=[900.0], concurrency=load)[0]
    assert ttft == pytest.approx(found.ttft.latency_ms, rel=1e-9)
    words = ["predict", str(law_file), "--isl", "900", "--osl", "64", "--concurrency", str(load)]
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert told["e2e_ms"] == pytest.approx(e2e, rel=1e-9)
    assert f"concurrency={load}" in told["provenance"]
    shown = CliRunner().invoke(app, words).stdout
    assert f"{load} in flight" in shown
    assert "batch" not in shown


def test_loads_of_two_deployments_keep_apart(table: pd.DataFrame) -> None:
    slow = table.assign(hardware="slow", ttft_ms=2 * table["ttft_ms"], e2e_ms=2 * table["e2e_ms"],
                        tpot_ms=2 * table["tpot_ms"])  # fmt: skip
    both = pd.concat([table.assign(hardware="fast"), slow], ignore_index=True)
    with pytest.warns(FitWarning) as said:
        law = LatencyLaw().fit(both)
    assert len([w for w in said if issubclass(w.category, FitWarning)]) == 1
    first, second = (estimate(law, isl=700, osl=64, concurrency=8, hardware=h).e2e.latency_ms
                     for h in ("fast", "slow"))  # fmt: skip
    assert second == pytest.approx(2 * first, rel=0.02)
    with pytest.raises(InputError, match="2 that agree"):
        law.estimate(isl=700, osl=64, concurrency=8)
    nobody = law.estimate(isl=700, osl=64, hardware="other")  # relatives are those without load
    assert isinstance(nobody, RequestEstimate)
    assert "from 2 relatives" in nobody.e2e.provenance


def test_a_stated_batch_and_one_request_at_a_time_are_no_load() -> None:
    rows = pd.DataFrame({
        "phase": "request", "isl": 512, "osl": 9, "ttft_ms": 20.0, "tpot_ms": 5.0,
        "concurrency": [1, 8, 8, None, 1], "batch_size": [None, 8, None, None, None],
        "request_rate": [None, None, None, 2.5, 2.5],
    })  # fmt: skip
    found = {(g.deployment, g.phase): g for g in groups_of(load_table(rows))}
    assert sorted({name for name, _ in found}) == ["(all)", "concurrency=8", "request_rate=2.5"]
    assert found["(all)", "prefill"].work.sequences.tolist() == [1.0, 8.0]
    assert found["(all)", "prefill"].labels == {}
    assert found["request_rate=2.5", "decode"].load == {"request_rate": 2.5}


def test_an_open_loop_has_a_law_of_its_rate(table: pd.DataFrame, tmp_path: Path) -> None:
    rates = table[table["concurrency"] == 8].drop(columns="concurrency").assign(request_rate=2.5)
    with pytest.warns(FitWarning, match="request_rate=2.5"):
        law = LatencyLaw().fit(rates)
    law.save(tmp_path / "law.json")
    words = ["predict", str(tmp_path / "law.json"), "--isl", "700", "--osl", "64"]
    told = CliRunner().invoke(app, [*words, "--request-rate", "2.5", "--json"])
    e2e = estimate(law, isl=700, osl=64, request_rate=2.5).e2e.latency_ms
    assert json.loads(told.stdout)["e2e_ms"] == pytest.approx(e2e, rel=1e-9)
    assert "2.5 a second" in CliRunner().invoke(app, [*words, "--request-rate", "2.5"]).stdout


def test_evaluation_report_and_comparison_take_loads_apart(
    table: pd.DataFrame, law_file: Path, tmp_path: Path
) -> None:
    result = evaluate(table, split="random", formulations=("hachiya-patias",), folds=3)
    names = {f"concurrency={n} | {phase}" for n in LOADED for phase in ("prefill", "decode")}
    assert names <= set(result.groups["group"])
    assert any("hold for the loads measured only" in note for note in result.notes)
    assert result.groups["mape_percent"].max() < 6.0
    path = tmp_path / "loads.csv"
    table[table["concurrency"] < 4].to_csv(path, index=False)
    content = build([read(path)], Options(formulations=("hachiya-patias",), with_ablation=False))
    assert {g.deployment for g in content.groups} == {"(all)", "concurrency=2"}
    assert all(g.charts for g in content.groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        found = compare(read(law_file), read(path))
    assert {pair.first for pair in found.pairs} == {"(all)", "concurrency=2"}
    assert all(np.abs(np.log(pair.ratio)).max() < 0.1 for pair in found.pairs)
    assert any("concurrency=8" in name for name in found.only_first)


def test_what_to_measure_next_names_the_load(law: LatencyLaw) -> None:
    advice = str(law.suggest(isl=16 * max(LENGTHS), concurrency=8))
    assert advice.startswith("measure requests for their prefill at isl=")
    assert advice.endswith("concurrency=8")


def test_fit_says_it_on_one_line_of_stderr(table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "loads.csv"
    table[table["concurrency"] < 4].to_csv(path, index=False)
    words = [sys.executable, "-m", "lengthwise", "fit", str(path), "-o", str(tmp_path / "law.json")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "concurrency=2" in done.stdout
    said = [line for line in done.stderr.splitlines() if "queueing" in line]
    assert len(said) == 1
    assert said[0].startswith("warning: laws of requests under load")
    assert "--formulation step" in said[0]
