"""Fast and exact reading of rows agree; large bodies are cut soundly."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.interfaces.http import fields, schemas, wire
from lengthwise.interfaces.http.bodies import Rows, RowsBody
from lengthwise.interfaces.http.columns import RowPlan
from lengthwise.interfaces.http.schemas import RejectedError, exact_columns
from lengthwise.interfaces.service import pieces

BODY = RowsBody(["requests"], fields.ROUTER, schemas.PredictionRow, least=1, most=50)
GOOD: dict[str, Any] = {
    "kv_cache_percentage": 0.5, "input_token_length": 200, "num_request_waiting": 4,
    "num_request_running": 1, "num_tokens_generated": 4, "prefix_cache_score": 0.7,
}  # fmt: skip
ODD = st.one_of(
    st.integers(-3, 3), st.integers(), st.floats(), st.floats(0, 1), st.text(max_size=3),
    st.booleans(), st.none(), st.just("500"), st.just(500.0), st.lists(st.none(), max_size=1),
)  # fmt: skip
NAMES = [*GOOD, "pod_type", "pod", "encoder_input_size", "decode_tokens_in_flight", "other"]
ROWS = st.lists(
    st.builds(
        lambda change, gone: {k: v for k, v in {**GOOD, **change}.items() if k not in gone},
        st.dictionaries(st.sampled_from(NAMES), ODD, max_size=2),
        st.sets(st.sampled_from(NAMES), max_size=1),
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_the_fast_path_takes_nothing_the_exact_path_refuses(rows: list[dict[str, Any]]) -> None:
    """And where both read a row, they read the same numbers."""
    fast = RowPlan(fields.ROUTER).columns(rows)
    if fast is None:
        return
    exact = exact_columns(rows, schemas.PredictionRow, fields.ROUTER, ["body"])
    for field in fields.ROUTER:
        np.testing.assert_array_equal(fast[field.column], exact[field.column])
    assert fast["pod_type"].tolist() == exact["pod_type"].tolist()


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_a_body_is_read_or_rejected_with_a_place(rows: list[dict[str, Any]]) -> None:
    body = json.dumps({"requests": rows}).encode()
    found, detail = outcome(body)
    if found is None:
        assert detail
        assert all(problem["loc"][:2] == ["body", "requests"] for problem in detail)
        assert json.loads(wire.dump(detail))
    else:
        assert found.n == len(rows)
        assert all(len(column) == len(rows) for column in found.columns.values())


def outcome(body: bytes) -> tuple[Rows | None, list[Any]]:
    try:
        return BODY.read(body), []
    except RejectedError as error:
        return None, error.detail


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_rejected(body: bytes) -> None:
    with pytest.raises(RejectedError):
        BODY.read(body)


def test_rows_of_different_keys_are_all_looked_at() -> None:
    rows = [{**GOOD, "other": 1}, {**GOOD, "encoder_input_size": 7}, GOOD]
    found = BODY.read(json.dumps({"requests": rows}).encode())
    assert found.columns["encoder_tokens"].tolist() == [0, 7, 0]
    rows = [{**GOOD, "pod_type": "a"}, {**GOOD, "encoder_input_size": 7}]
    found = BODY.read(json.dumps({"requests": rows}).encode())
    assert found.columns["encoder_tokens"].tolist() == [0, 7]
    assert found.columns["pod_type"].tolist() == ["a", ""]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(alphabet='{},[]":\\ a', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=3), max_size=8), st.booleans())
def test_pieces_are_the_whole(rows: list[dict[str, Any]], compact: bool) -> None:
    body = json.dumps({"requests": rows}, separators=(",", ":") if compact else None).encode()
    before, pieces.PIECE_BYTES = pieces.PIECE_BYTES, 20
    try:
        found = whole(body)
    finally:
        pieces.PIECE_BYTES = before
    assert found == rows


def whole(body: bytes, most: int = 16_384) -> list[Any] | None:
    try:
        found = pieces.Pieces(body, ["requests"], most)
        return [row for text, rows in found for row in rows or wire.exact(text)]
    except ValueError:
        return None


def test_ordinary_large_bodies_are_cut_and_not_read_whole() -> None:
    rows = [{**GOOD, "input_token_length": i} for i in range(5000)]
    for separators in ((",", ":"), (", ", ": ")):
        body = json.dumps({"requests": rows}, separators=separators).encode()
        assert len(body) > 4 * pieces.PIECE_BYTES
        assert whole(body) == rows
        assert len(list(pieces.Pieces(body, ["requests"], 1000))) >= 4
    assert whole(b'{"requests": [{"a": 1}, {"a": }]}') is None
    assert whole(b"[1]") is None


@settings(max_examples=150, deadline=None)
@given(st.lists(JSON, max_size=6), st.dictionaries(st.text(max_size=3), JSON, max_size=2))
def test_what_stands_beside_the_rows_is_found(rows: list[Any], beside: dict[str, Any]) -> None:
    beside.pop("requests", None)
    before, pieces.PIECE_BYTES = pieces.PIECE_BYTES, 20
    try:
        for order in ({**beside, "requests": rows}, {"requests": rows, **beside}):
            found = pieces.Pieces(json.dumps(order).encode(), ["x", "requests"], 2000)
            assert [row for _, part in found for row in part or []] == rows
            assert (found.key, found.beside) == ("requests", {**order, "requests": []})
    finally:
        pieces.PIECE_BYTES = before


@pytest.mark.parametrize("junk", [b"[],", b"{},", b"1.5,", b'"},{",', b'{"a":[{},{}]},', b'"\\"",'])
def test_large_bodies_cost_little_whatever_they_hold(junk: bytes) -> None:
    """Neither a row, nor what stands beside the rows, is ever held as objects where it is long."""
    n = 4_000_000 // len(junk)
    row = json.dumps(GOOD).encode()
    inside = b'{"requests":[' + row[:-1] + b',"x":[' + (junk * n)[:-1] + b"]}]}"
    beside = b'{"requests":[' + row + b'],"x":[' + (junk * n)[:-1] + b"]}"
    before = b'{"x":[' + (junk * n)[:-1] + b'],"requests":[' + row + b"]}"
    for body in (inside, beside, before):
        tracemalloc.start()
        with pytest.raises(RejectedError) as caught:
            BODY.read(body)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < len(body)
        assert len(json.dumps(caught.value.detail)) < 1000
    many = b'{"requests":[' + b",".join([row] * 20_000) + b"]}"
    with pytest.raises(RejectedError) as caught:
        BODY.read(many)
    assert caught.value.detail[0]["ctx"]["actual_length"] == 20_000


def test_odd_rows_of_large_bodies_are_read_exactly_in_pieces() -> None:
    rows = [{**GOOD, "input_token_length": str(i)} for i in range(3000)]
    body = RowsBody(["requests"], fields.ROUTER, schemas.PredictionRow)
    sent = json.dumps({"requests": rows}).encode()
    assert body.read(sent).columns["input_tokens"].tolist() == list(range(3000))
    assert body.read(sent).n == 3000
    few = RowsBody(["requests"], fields.ROUTER, schemas.PredictionRow, most=2999)
    with pytest.raises(RejectedError) as caught:
        few.read(sent)
    assert caught.value.detail[0]["ctx"]["actual_length"] == 3000
    with pytest.raises(RejectedError) as caught:
        body.read(sent.replace(b'"2500"', b'"many"'))
    assert caught.value.detail[0]["loc"] == ["body", "requests", 2500, "input_token_length"]


def test_json_that_orjson_refuses_is_read_as_python_reads_it() -> None:
    assert wire.exact(b"[1e999, -Infinity]") == [float("inf"), float("-inf")]
    for bad in (b"[", b"\xff", b'"\x01"', b"[" * 100_000, b"9" * 5000):
        with pytest.raises(wire.NotJsonError):
            wire.exact(bad)
    assert wire.dump({"a": "\ud800", "b": 10**30, "c": float("nan")})
