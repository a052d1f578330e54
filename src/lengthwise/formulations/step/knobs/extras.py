"""What techniques add to a step beside its operator groups.

Each part is zero without techniques: ``scores`` (matrix of eager attention), ``index`` (choosing
what attention sees), ``dequantise``, ``adapters``, ``draft`` (guessing tokens), ``transfers``
(weights and cache from slower memory), ``launches`` (waiting for the host to launch kernels).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.domain.layers import Gemm, Recurrence
from lengthwise.formulations.step.batch import StepBatch
from lengthwise.formulations.step.counts import Counts
from lengthwise.formulations.step.groups import GROUPS
from lengthwise.formulations.step.knobs.request import Physics
from lengthwise.formulations.step.shard import cut, heads_of
from lengthwise.formulations.step.step_model import MATRIX, STREAM, StepModel

PARTS = (*GROUPS, "scores", "index", "dequantise", "adapters", "draft", "transfers", "launches")
"""All parts of a step, in the order they are reported."""
LAYERED = tuple(
    name for name in GROUPS if name not in ("logits", "host_step", "host_sequences")
)  # fmt: skip
"""Groups that every layer has its part of."""
PRODUCTS = {"projections": "attention", "feed_forward": "dense", "experts": "experts"}
"""Groups of products, and whose format their weights have."""
SCORE_PASSES = 4.0
"""Times eager attention moves its scores: written, read and written by softmax, read again."""
ADAPTER_LAUNCH_S = 2e-6
"""Floor of a thin product inside a captured graph; an assumption."""

Parts = dict[str, float]


@dataclass(frozen=True)
class Extra:
    """Parts that techniques add to a step of so many rows."""

    step: StepModel
    physics: Physics
    batch: StepBatch
    amount: Counts
    parts: Parts
    depth: float

    def common(self) -> Parts:
        """Parts that a technique adds to any step; groups slowed by the clock among them."""
        slowed = self._slowed() if self.physics.clock < 1.0 else {}
        widened = {"dequantise": self._widening(), "adapters": self._adapters()}
        return slowed | widened

    def scores(self, prompt_pairs: float, decode_pairs: float) -> Parts:
        """Score matrices through memory, and the masked half of them that is computed anyway."""
        if not self.physics.eager:
            return {"scores": 0.0}
        layers = heads = flops = 0.0
        for block in self.step.model.blocks:
            if block.mixer is None or isinstance(block.mixer, Recurrence):
                continue
            here = heads_of(block.mixer, self.step.parallelism.tp)[0]
            layers += block.count
            heads += block.count * here
            flops += block.count * block.mixer.pair_flops * here / block.mixer.heads
        pairs = prompt_pairs + decode_pairs
        hardware = self.step.hardware
        moved = SCORE_PASSES * 2.0 * heads * pairs / self.step.parallelism.dp
        masked = float(np.sum(self.batch.chunks * self.batch.query_len**2)) / 2.0
        time = moved / (STREAM * hardware.memory_bandwidth_bytes_per_s)
        time += flops * masked / (MATRIX * hardware.peak("bf16"))
        return {"scores": time * self.depth}

    def waiting(self, fetched_bytes: float, busy_s: float, layer_s: float) -> Parts:
        """Wait for the host to launch kernels, and for transfers from slower memory.

        A step takes as long as its kernels or as their launches, ``layer_s`` for each layer,
        whichever is more, as a smooth maximum.
        """
        physics, step = self.physics, self.step
        launched = max(layer_s, physics.kernels * physics.launch_s)
        host = step.model.layer_count * self.depth * launched
        launches = _either(busy_s, host) - busy_s
        busy_s += launches
        away = physics.weights_away * float(self.amount.total.weight_bytes[0]) + fetched_bytes
        link = physics.away_bytes_per_s or step.hardware.host_bytes_per_s
        moved = away / link
        late = max(0.0, moved - busy_s) if physics.overlap else moved
        return {"transfers": late, "launches": launches}

    def _slowed(self) -> Parts:
        """Kernels at a lower clock: arithmetic takes longer, bytes do not."""
        slowed = {}
        for name, amount in self.amount.groups.items():
            work = float(amount.compute_s[0])
            memory = float(amount.moved_bytes[0]) / self.amount.bandwidth
            before, after = _either(work, memory), _either(work / self.physics.clock, memory)
            slowed[name] = self.parts[name] * (after / before if before > 0 else 1.0)
        return slowed

    def _widening(self) -> float:
        if not self.physics.dequantise:
            return 0.0
        work = sum(
            float(self.amount.groups[group].compute_s[0])
            for group, part in PRODUCTS.items()
            if getattr(self.step.formats, part) != "bfloat16"
        )
        return self.physics.dequantise * work / self.physics.clock

    def _adapters(self) -> float:
        rank = self.physics.lora_rank
        if not rank:
            return 0.0
        rows, hardware = float(self.batch.tokens[0]), self.step.hardware
        held = min(float(self.physics.adapters), float(self.batch.sequences[0]))
        work = moved = launches = 0.0
        for count, gemm in _matrices(self.step):
            n, k = cut(gemm, self.step.parallelism.tp)
            work += count * 2.0 * rows * rank * (n + k)
            moved += count * 2.0 * held * rank * (n + k)
            launches += count * 2.0 * ADAPTER_LAUNCH_S
        products = work / (MATRIX * hardware.peak("bf16"))
        read = moved / (STREAM * hardware.memory_bandwidth_bytes_per_s)
        return (_either(products, read) + launches) * self.depth


def _matrices(step: StepModel) -> list[tuple[int, Gemm]]:
    """Matrices of the blocks that adapters are put beside, with their number."""
    found = []
    for block in step.model.blocks:
        own = block.mixer.projections if block.mixer is not None else ()
        after = block.ffn.gemms(step.model.hidden) if block.ffn is not None else ()
        found += [(block.count, g) for g in (*own, *after) if g.split != "none"]
    return found


def _either(work: float, memory: float) -> float:
    """Smooth maximum of two times."""
    high = max(work, memory)
    if high <= 0.0:
        return 0.0
    return float(high * ((work / high) ** 4 + (memory / high) ** 4) ** 0.25)
