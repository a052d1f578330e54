"""What a notebook shows of results is short."""

import pandas as pd
import pytest

from lengthwise import ImportReport, LatencyLaw, StepLaw, evaluate
from lengthwise.evaluation.ablation import AblationResult

LENGTHS = [64, 128, 256, 512, 1024, 2048]
TABLE = pd.DataFrame(
    {"phase": "prefill", "isl": LENGTHS, "latency_ms": [5 + n / 10 for n in LENGTHS]}
)


@pytest.fixture(scope="module")
def law() -> LatencyLaw:
    return LatencyLaw("linear").fit(TABLE)


def test_laws_and_estimates(law: LatencyLaw) -> None:
    assert repr(law).splitlines()[0] == "LatencyLaw(formulation='linear')"
    assert len(repr(law)) < 300
    assert law._repr_html_().startswith("<pre")
    assert "<" not in law._repr_html_().removeprefix("<pre").split(">", 1)[1].split("</pre>")[0]
    inside = repr(law.estimate(isl=512))
    assert inside.startswith("Estimate(56.2 ms, 90 % in ")
    assert len(inside) < 100
    assert "x the longest length" in repr(law.estimate(isl=4096))
    assert repr(StepLaw()) == "StepLaw(device profiles, no measurement)"


def test_evaluations_and_reports() -> None:
    result = evaluate(TABLE, formulations=["linear", "power"])
    assert repr(result).startswith("EvaluationResult(length, factor 4: 1 groups; MAPE linear ")
    assert len(repr(result)) < 200
    assert "<table" in result._repr_html_()
    both = AblationResult(result, result)
    assert len(repr(both)) < 500
    assert "<table" in both._repr_html_()
    report = ImportReport("runs.csv", "csv", 10, 9, {"time missing": 1})
    assert repr(report) == "ImportReport('runs.csv', csv: 10 rows read, 9 usable, 0 flags)"
    assert "1 row not usable" in report._repr_html_()
