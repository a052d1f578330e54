"""The protocol of a sweep, and what survives its end."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from known_engine import KnownEngine

from lengthwise.data.table import prepare
from lengthwise.errors import InputError, NothingUsableError
from lengthwise.measurement.engine import Shape
from lengthwise.measurement.plan import Plan, plan_of
from lengthwise.measurement.quality import points_of, quality_of, summary_of
from lengthwise.measurement.run_directory import RunDirectory
from lengthwise.measurement.sweep import Progress, run_sweep


@pytest.fixture
def plan() -> Plan:
    return plan_of([32, 128, 512], [1, 2], repeats=3)


def started(path: Path) -> RunDirectory:
    into = RunDirectory(path)
    into.start({"status": "running"})
    return into


def test_every_point_is_warmed_up_and_repeated_in_mixed_order(plan: Plan) -> None:
    visits = list(plan.visits())
    assert [v.number for v in visits] == list(range(plan.count))
    for repeat in range(3):
        order = [v.shape for v in visits if v.repeat == repeat and not v.anchor]
        assert sorted(order, key=str) == sorted(plan.shapes, key=str)
    orders = {tuple(v.shape for v in visits if v.repeat == r and not v.anchor) for r in range(3)}
    assert len(orders) > 1
    assert list(plan.visits()) == visits  # the same seed gives the same order
    assert {v.shape for v in visits if v.repeat < 0} == set(plan.shapes)


def test_a_sweep_gives_a_table_worth_fitting(plan: Plan) -> None:
    shown: list[Progress] = []
    result = run_sweep(KnownEngine(), plan, show=shown.append)
    table = prepare(pd.DataFrame(result.rows))
    assert result.status == "complete"
    assert len(shown) == plan.count
    assert shown[-1].done == plan.count
    steady = table[~table["warmup"].astype(bool)]
    assert (steady["repeat"] >= 0).all()
    decode = steady[steady["phase"] == "decode"]
    assert decode["output_index"].between(3, 7).all()  # edges are marked, not dropped
    assert set(table["output_index"]) == set(range(9))
    points = points_of(table)
    prefill = points[(points["phase"] == "prefill") & (points["isl"] == 512)]
    assert prefill["median_ms"].tolist() == pytest.approx([6.12, 6.12])


def test_a_killed_run_loses_only_the_visit_in_flight(plan: Plan, tmp_path: Path) -> None:
    into = started(tmp_path / "run")
    whole = run_sweep(KnownEngine(), plan).rows
    engine = KnownEngine(fail_after=10, problem=KeyboardInterrupt())
    part = run_sweep(engine, plan, into=into)
    assert part.status == "interrupted"
    steps = into.path / "steps.jsonl"
    steps.write_text(steps.read_text() + '{"visit": 10, "visit_rows": 9, "phase": "pre')  # torn
    kept = into.rows()
    assert {row["visit"] for row in kept} == set(range(10))
    into.keep(kept)
    rest = KnownEngine()
    again = run_sweep(rest, plan, into=into)
    assert again.status == "complete"
    assert len(rest.runs) == plan.count - 10
    assert [r["visit"] for r in again.rows] == [r["visit"] for r in whole]
    assert [r["latency_ms"] for r in again.rows] == [r["latency_ms"] for r in whole]


def test_a_visit_that_was_half_written_is_run_again(plan: Plan, tmp_path: Path) -> None:
    into = started(tmp_path / "run")
    run_sweep(KnownEngine(fail_after=4, problem=KeyboardInterrupt()), plan, into=into)
    lines = (into.path / "steps.jsonl").read_text().splitlines()
    (into.path / "steps.jsonl").write_text("\n".join(lines[:-3]) + "\n")
    assert {row["visit"] for row in into.rows()} == {0, 1, 2}


@pytest.mark.parametrize(
    "problem", [NothingUsableError("the engine died"), OSError(28, "No space left on device")]
)
def test_a_failing_engine_or_disk_keeps_what_was_measured(
    plan: Plan, tmp_path: Path, problem: Exception
) -> None:
    into = started(tmp_path / "run")
    result = run_sweep(KnownEngine(fail_after=6, problem=problem), plan, into=into)
    assert result.status == "failed"
    assert result.problem is problem
    assert len({row["visit"] for row in result.rows}) == 6


def test_a_budget_ends_repeating_but_never_leaves_a_point_out(plan: Plan) -> None:
    result = run_sweep(KnownEngine(), plan, budget_s=1e-6)
    assert result.status == "budget"
    steady = [row for row in result.rows if row["repeat"] >= 0]
    assert {(r["isl"], r["batch_size"]) for r in steady} == {
        (s.isl, s.batch_size) for s in plan.shapes
    }


def test_contention_spread_and_drift_are_seen(plan: Plan) -> None:
    table = pd.DataFrame(run_sweep(KnownEngine(), plan_of([64], repeats=9)).rows)
    calm = quality_of(table)
    assert calm.warnings == ()
    assert calm.wall_over_cpu == pytest.approx(1.0)
    busy = quality_of(table.assign(latency_ms=1.3 * table["latency_ms"]))
    assert busy.contended_percent == 100.0
    assert "others use this machine" in busy.warnings[0]
    hot = table.assign(cpu_ms=table["cpu_ms"] * (1 + 0.02 * table["repeat"].clip(lower=0)))
    assert quality_of(hot).drift_percent > 5
    assert "slower during the run" in " ".join(quality_of(hot).warnings)


def test_the_summary_is_plain_json(plan: Plan) -> None:
    summary = summary_of(pd.DataFrame(run_sweep(KnownEngine(), plan).rows))
    assert json.loads(json.dumps(summary))["rows"] == 9 * plan.count
    assert len(summary["points"]) == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"isl": [0]}, "--isl must be at least 1"),
        ({"isl": []}, "a sweep must have a shape"),
        (
            {"isl": [4096], "batch_size": [64], "max_batch_tokens": 1000},
            "a sweep must have a shape",
        ),
        ({"isl": [8], "repeats": 0}, "repeats must be at least 1"),
        ({"isl": [8], "cached_tokens": [8]}, "a sweep must have a shape"),
    ],
)
def test_impossible_sweeps_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan_of(**arguments)  # type: ignore[arg-type]


def test_cached_prefixes_need_longer_prompts() -> None:
    plan = plan_of([256, 1024], cached_tokens=[0, 512])
    assert set(plan.shapes) == {Shape(256), Shape(1024), Shape(1024, cached_tokens=512)}
