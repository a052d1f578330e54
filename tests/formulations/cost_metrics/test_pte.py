"""Prefill-token equivalents of agents' trajectories."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from lengthwise.data.hardware_catalog import find_hardware
from lengthwise.domain.model import find_model
from lengthwise.errors import InputError
from lengthwise.formulations.cost_metrics.pte import (
    Turn,
    gamma,
    prefill_token_equivalents,
    served,
)
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.step_model import StepModel

LLAMA, CARD = find_model("llama3.1-8b"), find_hardware("h100_sxm")
turns_of = st.lists(
    st.builds(Turn, st.integers(0, 5000), st.integers(0, 2000), st.booleans()), max_size=8
)


def pte(turns: list[Turn]) -> float:
    return prefill_token_equivalents(turns, LLAMA, CARD)


def test_gamma_is_time_of_a_context_token_over_time_of_a_prefill_token() -> None:
    read = 131072 / 3.35e12
    compute = 2 * LLAMA.parameters / 989e12
    assert gamma(LLAMA, CARD) == pytest.approx(read / compute)
    assert gamma(LLAMA, CARD, kv_bits=8) == pytest.approx(read / compute / 2)


@given(turns_of)
def test_a_lost_cache_costs_its_context_again(turns: list[Turn]) -> None:
    kept = [Turn(turn.added, turn.generated) for turn in turns]
    lost = [Turn(turn.added, turn.generated, evicted=True) for turn in turns]
    again = sum(sum(t.added + t.generated for t in kept[:i]) for i in range(len(kept)))
    assert pte(lost) - pte(kept) == pytest.approx(again, rel=1e-6, abs=1e-3)


@given(turns_of)
def test_cache_reads_are_the_sum_of_live_contexts(turns: list[Turn]) -> None:
    context, reads = 0.0, 0.0
    for turn in turns:
        context += turn.added
        reads += sum(context + i + 0.5 for i in range(turn.generated))
        context += turn.generated
    assert served(turns).context_reads == pytest.approx(reads, rel=1e-9)


@pytest.mark.parametrize("batch", [1, 16, 64])
@pytest.mark.parametrize("name", ["llama3.1-8b", "qwen3-32b"])
def test_pte_ranks_wall_clock_better_than_token_counts(batch: int, name: str) -> None:
    """A request waits for whole steps, so the weights are its own to read: ``batch=1``."""
    ours, theirs = ranks(name, batch, shared=False)
    assert ours > theirs + 0.02
    assert ours > 0.95


@pytest.mark.parametrize("batch", [16, 64])
@pytest.mark.parametrize("name", ["llama3.1-8b", "qwen3-32b"])
def test_pte_ranks_processor_time_better_than_token_counts(batch: int, name: str) -> None:
    """The plain metric is about a share of a large batch."""
    ours, theirs = ranks(name, batch, shared=True)
    assert ours > theirs + 0.02
    assert ours > 0.95


def ranks(name: str, batch: int, *, shared: bool) -> tuple[float, float]:
    """Rank correlation with simulated seconds, of PTE and of token counts."""
    model, random = find_model(name), np.random.default_rng(7)
    step = StepModel.of(model, CARD, precision="bf16")
    trajectories = [trajectory(random) for _ in range(60)]
    clock = [seconds(step, turns, batch, shared=shared) for turns in trajectories]
    tokens = [sum(t.added + t.generated for t in turns) for turns in trajectories]
    costs = [
        prefill_token_equivalents(turns, model, CARD, batch=None if shared else 1)
        for turns in trajectories
    ]
    return float(spearmanr(costs, clock)[0]), float(spearmanr(tokens, clock)[0])


def trajectory(random: np.random.Generator) -> list[Turn]:
    lost = random.random() * 0.9
    return [
        Turn(float(random.integers(200, 6000)), float(random.integers(20, 300)),
             bool(random.random() < lost))
        for _ in range(random.integers(2, 12))
    ]  # fmt: skip


def seconds(step: StepModel, turns: list[Turn], batch: int, *, shared: bool) -> float:
    """Time of one trajectory among ``batch``: all of its steps, or its share of decode steps."""
    done = served(turns)
    context, new = np.array(done.prompt), np.array(done.prefilled)
    count = np.array(done.generated)
    prefill = step.seconds(StepBatch.of(chunks=1, query_len=new, chunk_context=context))
    decode = step.seconds(StepBatch.of(decodes=batch, context_len=context + count / 2))
    return float(prefill.sum() + (count * decode).sum() / (batch if shared else 1))


def test_negative_turns_are_refused() -> None:
    with pytest.raises(InputError):
        Turn(-1, 5)
    with pytest.raises(InputError):
        prefill_token_equivalents([Turn(1, 1)], LLAMA, CARD, batch=0)
