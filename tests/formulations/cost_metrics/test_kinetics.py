"""eFLOPs of Kinetics against sums over steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.domain.model import find_model
from lengthwise.errors import InputError
from lengthwise.formulations.cost_metrics.kinetics import (
    dense_cost,
    sparse_cost,
    visible_tokens,
    visible_tokens_before,
)

QWEN = find_model("qwen3-8b")
WIDTH, KV_WIDTH = 32 * 128 * 36, 8 * 128 * 36
length = st.integers(0, 400)


@given(length, length, length)
def test_visible_tokens_are_the_sum_over_steps(context: int, generated: int, budget: int) -> None:
    middle = sum(min(budget, context + i + 0.5) for i in range(generated))
    whole = sum(min(budget, context + i) for i in range(generated))
    assert visible_tokens(context, generated, budget) == pytest.approx(middle, rel=1e-9)
    assert visible_tokens_before(context, generated, budget) == pytest.approx(whole, rel=1e-9)


@given(st.integers(0, 400), st.integers(1, 400), st.floats(0.01, 1))
def test_the_correction_is_subtracted(context: int, generated: int, part: float) -> None:
    budget = context + max(1, int(part * generated))
    expected = budget * generated - (budget - context) ** 2 / 2
    assert visible_tokens(context, generated, budget) == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 300), st.integers(1, 300), st.integers(1, 8))
def test_dense_cost_is_the_sum_over_steps(context: int, generated: int, trials: int) -> None:
    found = dense_cost(QWEN, context=context, generated=generated, trials=trials)
    compute = sum(2 * QWEN.active_parameters + 4 * (context + i + 0.5) * WIDTH
                  for i in range(generated)) * trials  # fmt: skip
    memory = sum(4 * (context + trials * (i + 0.5)) * KV_WIDTH for i in range(generated)) * 562.5
    assert found.compute == pytest.approx(compute, rel=1e-9)
    assert found.memory == pytest.approx(memory, rel=1e-9)


def test_published_dense_formula() -> None:
    found = dense_cost(QWEN, context=500, generated=4000, trials=4)
    compute = 2 * QWEN.active_parameters * 4000 + 2 * (2 * 500 + 4000) * 4000 * WIDTH
    memory = 562.5 * 2 * (2 * 500 + 4000 * 4) * 4000 * KV_WIDTH
    assert found.compute == pytest.approx(4 * compute, rel=1e-9)
    assert found.memory == pytest.approx(memory, rel=1e-9)


@given(st.integers(0, 300), st.integers(1, 300), st.integers(1, 700), st.sampled_from([None, 16]))
def test_sparse_cost_is_the_sum_over_steps(
    context: int, generated: int, budget: int, block: int | None
) -> None:
    found = sparse_cost(QWEN, context=context, generated=generated, budget=budget, trials=2,
                        block=block)  # fmt: skip
    compute = memory = 0.0
    for i in range(generated):
        now = context + i + 0.5
        seen = min(budget, now)
        compute += 2 * (2 * QWEN.active_parameters + 4 * seen * WIDTH)
        memory += 2 * 4 * seen * KV_WIDTH
        if block:
            compute += 2 * 2 * now / block * WIDTH
            memory += 2 * (context + 2 * (i + 0.5)) / block * KV_WIDTH
    assert found.compute == pytest.approx(compute, rel=1e-9)
    assert found.memory == pytest.approx(562.5 * memory, rel=1e-9)


@given(st.integers(0, 500), st.integers(1, 500), st.integers(1, 2000))
def test_a_budget_never_costs_more_than_all(context: int, generated: int, budget: int) -> None:
    full = dense_cost(QWEN, context=context, generated=generated)
    few = sparse_cost(QWEN, context=context, generated=generated, budget=budget)
    assert few.total <= full.total * (1 + 1e-12)
    if budget >= context + generated:
        assert few.total == pytest.approx(full.total, rel=1e-9)


def test_negative_lengths_are_refused() -> None:
    with pytest.raises(InputError):
        visible_tokens(-1, 10)
