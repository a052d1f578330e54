"""Traces in the shapes they are published in."""

from __future__ import annotations

from pathlib import Path

import pytest

from lengthwise.errors import FileFormatError
from lengthwise.measurement.http.points import sweep
from lengthwise.measurement.http.traces import read_trace

MOONCAKE = """\
{"timestamp": 3000, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}
{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}
{"timestamp": 1500, "input_length": 10, "output_length": 0, "hash_ids": [0]}
"""
AZURE = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,110,27
2023-11-16 18:17:05,3180,8
"""
AZURE_2024 = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,2162,5
2024-05-10 00:00:00.017335+00:00,2399,6
"""
BURSTGPT = """\
Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,GPT-4,1087,230,1317,API log
"""


@pytest.mark.parametrize(
    ("name", "text", "kind", "arrivals", "isl", "osl"),
    [
        ("m.jsonl", MOONCAKE, "mooncake", [0, 3.0], [6758, 6955], [500, 52]),
        ("a.csv", AZURE, "azure", [0, 0.052, 1.02004], [4808, 110, 3180], [10, 27, 8]),
        ("b.csv", AZURE_2024, "azure", [0, 0.007405], [2162, 2399], [5, 6]),
        ("c.csv", BURSTGPT, "burstgpt", [0, 40.0], [472, 1087], [18, 230]),
    ],
)
def test_known_traces(
    tmp_path: Path, name: str, text: str, kind: str, arrivals: list[float], isl: list[int],
    osl: list[int],
) -> None:  # fmt: skip
    (tmp_path / name).write_text(text)
    trace = read_trace(tmp_path / name)
    assert trace.format == kind
    assert trace.arrival_s.tolist() == pytest.approx(arrivals)
    assert (trace.isl.tolist(), trace.osl.tolist()) == (isl, osl)
    assert trace.left_out == (1 if kind == "mooncake" else 0)


def test_a_replay_has_the_lengths_and_the_rate_of_its_trace(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(BURSTGPT)
    (point,) = sweep([1], [1], trace=read_trace(tmp_path / "c.csv"))
    assert (point.isl, point.osl, point.requests, point.request_rate) == (1087, 230, 2, 1 / 40)
    (short,) = sweep([1], [1], trace=read_trace(tmp_path / "c.csv"), duration_s=10)
    assert (short.isl, short.requests) == (472, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,in,out\n1,2,3\n", "columns of one of these"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\nnoon,5,5\n", "'noon' in row 0"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n1,5.5,5\n", "'5.5' in row 0"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n1,5,0\n", "with none"),
    ],
)
def test_other_files_are_refused_with_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(FileFormatError, match=words):
        read_trace(tmp_path / "t.csv")
