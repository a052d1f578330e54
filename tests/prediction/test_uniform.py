"""Long tables of one phase and deployment are answered as short ones are, errors included."""

import numpy as np
import pandas as pd
import pytest

from lengthwise import LatencyLaw
from lengthwise.errors import ColumnError, FitWarning, InputError, RefusedError
from lengthwise.prediction.points import is_constant
from lengthwise.prediction.uniform import BLOCK, predict_uniform

ROWS = 2 * BLOCK + 777
MODELS = ("a", "b")


def measurements() -> pd.DataFrame:
    rows = []
    for scale, model in enumerate(MODELS, start=1):
        for n in (64, 128, 256, 512, 1024, 2048, 4096):
            for b in (1, 4):
                rows.append(
                    (model, "prefill", n, None, b, scale * (5 + 0.1 * n * b + 1e-5 * n * n))
                )
                rows.append((model, "decode", None, n, b, scale * (4 + 1e-3 * n * b)))
    names = ["model", "phase", "isl", "context_len", "batch_size", "latency_ms"]
    return pd.DataFrame(rows, columns=names)


@pytest.fixture(scope="module")
def law() -> LatencyLaw:
    return LatencyLaw().fit(measurements())


@pytest.fixture(scope="module")
def alone() -> LatencyLaw:
    table = measurements()
    return LatencyLaw().fit(table[table["model"] == "a"].drop(columns="model"))


def points(phase: str, **columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    length = np.exp(rng.uniform(np.log(16), np.log(20_000), ROWS)).round()
    name = "isl" if phase == "prefill" else "context_len"
    return pd.DataFrame({name: length, "batch_size": rng.integers(1, 9, ROWS)}).assign(
        phase=phase, **columns
    )


def one_by_one(law: LatencyLaw, frame: pd.DataFrame) -> np.ndarray:
    """Predict as short tables of any kind are predicted."""
    pieces = [frame.iloc[i : i + 10_000] for i in range(0, len(frame), 10_000)]
    return np.concatenate([law.predict(piece) for piece in pieces])


@pytest.mark.parametrize("phase", ["prefill", "decode"])
@pytest.mark.parametrize("kind", ["str", "object", "category"])
def test_a_long_table_is_its_pieces(alone: LatencyLaw, phase: str, kind: str) -> None:
    frame = points(phase).astype({"phase": kind})
    np.testing.assert_array_equal(alone.predict(frame), one_by_one(alone, frame))
    np.testing.assert_array_equal(
        alone.predict(frame), alone.predict_table(frame)["latency_ms"].to_numpy()
    )


@pytest.mark.parametrize(
    "columns",
    [{"cached_tokens": 8}, {"batch_size": None}, {"query_len": 16}, {"prefill_chunk": 512},
     {"context_len": np.nan}, {"note": "kept"}],
    ids=lambda columns: next(iter(columns)),
)  # fmt: skip
def test_other_columns_count_as_in_short_tables(
    alone: LatencyLaw, columns: dict[str, object]
) -> None:
    frame = points("prefill", **columns)
    np.testing.assert_array_equal(alone.predict(frame), one_by_one(alone, frame))


@pytest.mark.parametrize("model", MODELS)
def test_labels_choose_the_law(law: LatencyLaw, model: str) -> None:
    frame = points("decode", model=model)
    np.testing.assert_array_equal(law.predict(frame), one_by_one(law, frame))


def test_loads_choose_the_law() -> None:
    rows = [{"phase": "request", "isl": n, "osl": 1, "concurrency": c, "ttft_ms": c * (9 + n / 10)}
            for n in (64, 128, 256, 512, 1024, 2048) for c in (2, 8)]  # fmt: skip
    with pytest.warns(FitWarning, match="concurrency=2; concurrency=8"):
        law = LatencyLaw(max_extrapolation=None).fit(pd.DataFrame(rows))
    for flight in (8, np.where(np.arange(ROWS) % 7, 8, 2)):
        frame = points("prefill", concurrency=flight).drop(columns="batch_size")
        np.testing.assert_allclose(law.predict(frame), one_by_one(law, frame), rtol=1e-12)


@pytest.mark.parametrize("kind", ["str", "category", "object"])
def test_labels_are_cleaned_alike_whatever_their_type(law: LatencyLaw, kind: str) -> None:
    names = pd.Series([" a", "a ", "a", "b", " b "] * 20).astype(kind)
    frame = points("decode").head(100).assign(model=names)
    clean = frame.assign(model=names.astype(str).str.strip())
    np.testing.assert_array_equal(law.predict(frame), law.predict(clean))


def test_tables_of_several_kinds_are_split(law: LatencyLaw) -> None:
    parts = [points("prefill", model="a"), points("decode", model="b")]
    frame = pd.concat(parts, ignore_index=True)
    expected = np.concatenate([law.predict(part) for part in parts])
    order = np.random.default_rng(2).permutation(len(frame))
    np.testing.assert_allclose(law.predict(frame.iloc[order]), expected[order], rtol=1e-12)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [("isl", -3.0, r"isl must be finite and positive, but got -3.0 in row 66000 \(1 such rows\)"),
     ("isl", np.nan, "isl must be finite and positive, but got nan in row 66000"),
     ("batch_size", 0.0, "batch_size must be finite and positive, but got 0.0 in row 66000"),
     ("cached_tokens", 1e6, "query_len=.* in row 66000"),
     ("phase", "prefil", "phase must be one of .*'prefil' in row 66000")],
)  # fmt: skip
def test_a_bad_row_is_named(alone: LatencyLaw, column: str, value: object, says: str) -> None:
    frame = points("prefill", cached_tokens=0.0).astype({"batch_size": float})
    frame.loc[66_000, column] = value
    with pytest.raises(ColumnError, match=says):
        alone.predict(frame)


def test_the_longest_row_of_all_is_refused(alone: LatencyLaw) -> None:
    frame = points("prefill")
    frame.loc[[10, ROWS - 1], "isl"] = [1e6, 2e6]
    with pytest.raises(RefusedError, match="isl=2000000"):
        alone.predict(frame)


def test_a_missing_column_is_named(alone: LatencyLaw) -> None:
    with pytest.raises(ColumnError, match="no column 'isl'"):
        alone.predict(points("prefill").drop(columns="isl"))


def test_several_laws_that_fit_are_named(law: LatencyLaw) -> None:
    with pytest.raises(InputError, match="one deployment"):
        law.predict(points("prefill"))


def test_short_tables_and_requests_go_the_other_way(alone: LatencyLaw) -> None:
    def never(*_: object) -> np.ndarray:
        raise AssertionError

    frame = points("prefill")
    assert predict_uniform(alone.law_set_, frame.head(100), never) is None
    assert predict_uniform(alone.law_set_, frame.assign(phase="request"), never) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [(["x", "x"], True), (["x", "y"], False), ([None, None], True), ([None, "x"], False),
     ([1.0, 1.0], True), ([1.0, np.nan], False), ([np.nan, np.nan], True), ([], True)],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["object", "category", None])
def test_one_value_everywhere(values: list[object], expected: bool, kind: str | None) -> None:
    series = pd.Series(values)
    assert is_constant(series if kind is None else series.astype(kind)) is expected
