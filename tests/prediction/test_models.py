"""The model given to ``fit`` reaches the laws, and only as long as they are fitted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise import LatencyLaw, ModelSpec, find_model
from lengthwise.calibration.groups import groups_of
from lengthwise.domain.known import also_known
from lengthwise.errors import InputError
from lengthwise.prediction.models import model_names, unknown_models, with_model

N = np.array([64, 128, 256, 512, 1024, 2048, 4096], dtype=float)
TABLE = pd.DataFrame({"phase": "prefill", "isl": N, "latency_ms": 5 + 0.1 * N, "batch_size": 1.0})
OWN = ModelSpec.dense("tiny", layers=4, hidden=256, heads=4, kv_heads=2, head_dim=64, inner=1024,
                      vocab=1000)  # fmt: skip


def specs(table: pd.DataFrame, model: ModelSpec | str | None) -> list[ModelSpec | None]:
    frame, known = with_model(table, model)
    with also_known(known):
        return [group.spec for group in groups_of(frame)]


def test_the_architecture_reaches_the_groups_that_are_fitted() -> None:
    assert specs(TABLE, None) == [None]
    assert specs(TABLE, "qwen3-8b") == [find_model("qwen3-8b")]
    assert specs(TABLE, OWN) == [OWN]
    assert specs(TABLE.assign(model="our-llm"), OWN) == [OWN]
    assert specs(TABLE.assign(model="qwen3-8b"), OWN) == [OWN]


def test_of_several_deployments_only_rows_without_a_name_get_the_model() -> None:
    table = pd.concat([TABLE, TABLE.assign(model="our-llm"), TABLE.assign(model="qwen3-8b")])
    found = {}
    frame, known = with_model(table, OWN)
    with also_known(known):
        for group in groups_of(frame):
            found[group.labels["model"]] = group.spec
    assert found == {"tiny": OWN, "our-llm": None, "qwen3-8b": find_model("qwen3-8b")}


def test_a_law_is_fitted_with_a_model_of_its_own_and_forgets_it_afterwards() -> None:
    law = LatencyLaw().fit(TABLE.assign(model="our-llm"), model=OWN)
    assert law.predict(pd.DataFrame({"phase": ["prefill"], "isl": [2048]}))[0] == pytest.approx(
        209.8, rel=0.1
    )
    assert find_model("our-llm") is None
    assert find_model("tiny") is None


def test_an_unknown_model_is_refused_before_anything_is_fitted() -> None:
    with pytest.raises(InputError, match="the model must be known"):
        LatencyLaw().fit(TABLE, model="qwen3-9b")


@given(st.lists(st.sampled_from(["a", "qwen3-8b", None, " ", "Llama-3.1-8B"]), min_size=1))
def test_every_row_names_a_model_afterwards_and_named_rows_keep_their_name(
    names: list[str | None],
) -> None:
    table = pd.DataFrame({"phase": "prefill", "isl": 1, "latency_ms": 1.0, "model": names})
    untouched = table.copy()
    filled, known = with_model(table, OWN)
    for before, after in zip(names, filled["model"], strict=True):
        assert after == (before if before and before.strip() else "tiny")
    assert "tiny" in known
    pd.testing.assert_frame_equal(table, untouched)
    assert set(unknown_models(filled)) <= {"a", "tiny"}
    assert len(model_names(filled)) == filled["model"].nunique()


def test_blocks_of_known_models_nest_and_end_when_an_error_does() -> None:
    def inside() -> None:
        with also_known({"x": OWN}):
            with also_known({"y": OWN}):
                assert find_model("x") is find_model("y") is OWN
            assert find_model("y") is None
            raise KeyError("x")

    with pytest.raises(KeyError):
        inside()
    assert find_model("x") is None
