"""Server metrics: exact means, bounds of quantiles, and nothing made up."""

from __future__ import annotations

import math

import pytest

from lengthwise.errors import FileFormatError
from lengthwise.measurement.http.prometheus import difference, parse


def vllm(ttft_sum: float, n: int, itl: str = "vllm:inter_token_latency_seconds") -> str:
    labels = 'engine="0",model_name="a \\"b\\"\\\\c"'
    return f"""\
# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{{{labels},le="0.1"}} {n // 4}.0
vllm:time_to_first_token_seconds_bucket{{{labels},le="0.25"}} {n}.0
vllm:time_to_first_token_seconds_bucket{{{labels},le="+Inf"}} {n}.0
vllm:time_to_first_token_seconds_count{{{labels}}} {n}.0
vllm:time_to_first_token_seconds_sum{{{labels}}} {ttft_sum}
# TYPE {itl} histogram
{itl}_bucket{{{labels},le="0.01"}} {10 * n}.0
{itl}_bucket{{{labels},le="+Inf"}} {10 * n}.0
{itl}_count{{{labels}}} {10 * n}.0
{itl}_sum{{{labels}}} {10 * n * 0.004}
vllm:num_requests_running{{{labels}}} 0.0 1700000000000
"""


def test_what_happened_in_between_is_told() -> None:
    view = difference(parse(vllm(1.0, 4)), parse(vllm(4.0, 24)))
    found = view.to_dict()
    assert view.engine == "vllm"
    assert found["ttft_ms"]["mean"] == pytest.approx(150.0)
    assert found["ttft_ms"]["n"] == 20
    assert found["ttft_ms"]["p50_between"] == [100.0, 250.0]
    assert found["itl_ms"]["mean"] == pytest.approx(4.0)
    assert found["itl_ms"]["p50_between"] == [0.0, 10.0]  # a bound, not 5 ms
    assert {row["metric"]: row["n"] for row in view.to_rows()} == {"ttft_ms": 20, "itl_ms": 200}


@pytest.mark.parametrize(
    "old", ["vllm:time_per_output_token_seconds", "sglang:time_per_output_token_seconds"]
)
def test_old_names_are_known(old: str) -> None:
    view = difference(parse(vllm(1.0, 4, old)), parse(vllm(4.0, 24, old)))
    assert view.times["itl_ms"].mean == pytest.approx(0.004)
    assert view.sources["itl_ms"] == old


def test_a_restart_is_a_problem_and_not_a_figure() -> None:
    view = difference(parse(vllm(4.0, 24)), parse(vllm(1.0, 4)))
    assert view.times == {}
    assert "restarted" in view.problems[0]


def test_labels_are_summed_and_unescaped() -> None:
    text = vllm(1.0, 4) + vllm(3.0, 4).replace('engine="0"', 'engine="1"')
    metrics = parse(text)
    histogram = metrics.histogram("vllm:time_to_first_token_seconds")
    assert histogram is not None
    assert histogram.mean == pytest.approx(0.5)
    assert histogram.buckets[math.inf] == 8
    assert metrics.labels("vllm:num_requests_running")[0]["model_name"] == 'a "b"\\c'


@pytest.mark.parametrize("line", ["<html>", "a{b=c} 1", "a 1 2 3", "a{", "a one"])
def test_other_text_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(FileFormatError, match="line 2"):
        parse(f"a 1\n{line}\n")
