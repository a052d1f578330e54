"""Where the time of a request goes, what binds it, and what would change it.

    MFU = seconds of the arithmetic at peak / seconds taken
    MBU = seconds of the bytes at full bandwidth / seconds taken

Both are 100 % at most; the larger one says how far a phase is from what the processor can do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lengthwise.domain.memory import MemoryUse
from lengthwise.formulations.step.knobs.deploy import deployed
from lengthwise.formulations.step.knobs.registry import apply_knobs, find_knob, parse_knobs
from lengthwise.formulations.step.knobs.request import Request
from lengthwise.formulations.step.knobs.steps import Work
from lengthwise.formulations.step.knobs.times import RequestTimes, memory_of, request_times
from lengthwise.prediction.what_if import Change, Setting, changes_of, possible_changes

FLOOR = 0.25
SHORT_S = 60e-6
"""Kernels of a layer that take less than this, and whose work needs less than the share ``FLOOR``
of that, are bound by their launches."""
RESOURCE = {
    "host_step": "overhead", "host_layers": "overhead", "host_sequences": "overhead",
    "launches": "overhead", "adapters": "overhead", "collectives": "network",
    "transfers": "network", "scores": "memory", "index": "memory", "draft": "memory",
    "dequantise": "compute",
}  # fmt: skip
"""What the parts wait for that are not kernels of the roofline."""
HALF = 0.5


@dataclass(frozen=True)
class Phase:
    """One decode step, or the steps of one prompt.

    Attributes
    ----------
    seconds, steps
        Time of all steps, and how many there are.
    parts
        Seconds by operator group.
    resources
        Share of the time that waits for each resource.
    regime
        The resource with the largest share.
    flops, moved_bytes, sent_bytes
        Work of one processor.
    mfu, mbu
        Share of its peak arithmetic and of its bandwidth that is used.
    floor_s
        Seconds that the same work takes at least.
    """

    seconds: float
    steps: float
    parts: Mapping[str, float]
    resources: Mapping[str, float]
    regime: str
    flops: float
    moved_bytes: float
    sent_bytes: float
    mfu: float
    mbu: float
    floor_s: float

    @classmethod
    def of(cls, work: Work) -> Phase:
        """Analyse the work of a phase."""
        counts, seconds, steps = work.counts, work.seconds, work.steps
        total = counts.total
        resources = _resources(work)
        return cls(
            seconds, steps, {k: v for k, v in work.parts.items() if v > 0}, resources,
            max(resources, key=lambda name: resources[name]),
            steps * float(total.flops[0]), steps * float(total.moved_bytes[0]),
            steps * float(counts.sent_bytes[0]), steps * float(counts.compute_s[0]) / seconds,
            steps * float(counts.memory_s[0]) / seconds, steps * float(counts.floor_s[0]),
        )  # fmt: skip


@dataclass(frozen=True)
class Explanation:
    """What :func:`explain` found; seconds and bytes, milliseconds in :meth:`to_dict`.

    Attributes
    ----------
    request
        The request, techniques included.
    knobs
        Techniques that were set.
    times
        TTFT, TPOT and E2E with their parts.
    prefill, decode
        The two phases.
    regime
        What binds the request by phase: a resource, ``capacity`` or ``network``.
    memory
        What is kept on one processor.
    effects
        What each technique that was set does, alone and together.
    what_if
        What other settings would do.
    remarks
        What was taken in place of missing curves.
    """

    request: Request
    knobs: Mapping[str, Setting]
    times: RequestTimes
    prefill: Phase
    decode: Phase
    regime: Mapping[str, str]
    memory: MemoryUse
    effects: tuple[Change, ...] = ()
    what_if: tuple[Change, ...] = ()
    remarks: tuple[str, ...] = field(default=())

    @property
    def weight_format(self) -> str:
        """Format the weights are stored in."""
        step = deployed(self.request.step, self.request.physics)
        return step.precision or step.model.weight_format

    @property
    def kv_bits(self) -> float:
        """Bits of a cached value."""
        return deployed(self.request.step, self.request.physics).formats.kv_bits

    def to_dict(self) -> dict[str, Any]:
        """Plain values, times in milliseconds."""
        request, times = self.request, self.times
        step = request.step
        return {
            "model": step.model.name, "weight_format": self.weight_format,
            "kv_bits": self.kv_bits, "hardware": step.hardware.name,
            "engine": step.profile.engine, "parallelism": asdict(step.parallelism),
            "isl": request.isl, "osl": request.osl, "concurrency": request.concurrency,
            "cached_tokens": request.found_tokens, "knobs": dict(self.knobs),
            "ttft_ms": times.ttft_s * 1e3, "tpot_ms": times.tpot_s * 1e3,
            "e2e_ms": times.e2e_s * 1e3, "longest_pause_ms": times.pause_s * 1e3,
            "ttft_parts_ms": _in_ms(times.ttft_parts), "tpot_parts_ms": _in_ms(times.tpot_parts),
            "tokens_per_step": times.tokens_per_step, "running": times.running,
            "max_concurrency": times.max_concurrency, "regime": dict(self.regime),
            "prefill": _phase_dict(self.prefill), "decode_step": _phase_dict(self.decode),
            "memory": self.memory.to_dict(),
            "effects": [change.to_dict() for change in self.effects],
            "what_if": [change.to_dict() for change in self.what_if],
            "remarks": list(self.remarks),
        }  # fmt: skip


def explain(request: Request, knobs: Mapping[str, Any] | None = None) -> Explanation:
    """Explain the times of a request.

    Parameters
    ----------
    request
        Plain request: deployment, lengths, load.
    knobs
        Settings of techniques by name.

    Returns
    -------
    Explanation
        Parts, limits, memory, and what techniques and other settings do.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> from lengthwise.formulations.step.step_model import StepModel
    >>> step = StepModel.of(find_model("llama3.1-8b"), find_hardware("h100_sxm"), precision="bf16")
    >>> found = explain(Request(step, isl=8192, osl=512, concurrency=16), {"prefix_hit_rate": 0.5})
    >>> found.prefill.regime, found.decode.regime, found.effects[0].label
    ('compute', 'memory', 'prefix-hit-rate 0.5')
    """
    given = parse_knobs(knobs or {})
    plain, changed = request_times(request), apply_knobs(request, given)
    times = request_times(changed) if given else plain
    remarks = tuple(f"{what}: {why}" for what, why in sorted(_remarks(changed).items()))
    sequences = max(1, int(min(times.running, times.capacity)))
    return Explanation(
        changed, given, times, Phase.of(times.prompt), Phase.of(times.decode), _regimes(times),
        memory_of(changed, changed.context, sequences),
        tuple(changes_of(request, plain, _by_family(given))),
        tuple(possible_changes(changed, times, set(given))),
        remarks,
    )  # fmt: skip


def _remarks(request: Request) -> Mapping[str, str]:
    return deployed(request.step, request.physics).profile.remarks


def _by_family(given: Mapping[str, Setting]) -> dict[str, dict[str, Setting]]:
    """Group settings by technique: guesses, their acceptance and their cost are one."""
    families: dict[str, dict[str, Setting]] = {}
    for name, value in given.items():
        families.setdefault(find_knob(name).family, {})[name] = value
    return families


def _resources(work: Work) -> dict[str, float]:
    found = dict.fromkeys(("compute", "memory", "network", "overhead"), 0.0)
    for name, seconds in work.parts.items():
        found[RESOURCE.get(name) or _bound(work, name, seconds)] += seconds
    return {name: seconds / work.seconds for name, seconds in found.items()}


def _bound(work: Work, name: str, seconds: float) -> str:
    """Say what one group of kernels waits for."""
    amount = work.counts.groups[name]
    compute = work.steps * float(amount.compute_s[0])
    memory = work.steps * float(amount.moved_bytes[0]) / work.counts.bandwidth
    short = seconds < SHORT_S * work.steps * work.layers
    if short and max(compute, memory) < FLOOR * seconds:
        return "overhead"
    return "compute" if compute > memory else "memory"


def _regimes(times: RequestTimes) -> dict[str, str]:
    """Name what binds the first token and the ones after it."""
    first, each = times.ttft_parts, times.tpot_parts
    ttft = Phase.of(times.prompt).regime
    if first["queue for memory"] > HALF * times.ttft_s:
        ttft = "capacity"
    elif first["network"] + first["cache sent over"] > HALF * times.ttft_s:
        ttft = "network"
    tpot = "network" if each["network"] > HALF * times.tpot_s else Phase.of(times.decode).regime
    return {"ttft": ttft, "tpot": tpot}


def _in_ms(parts: Mapping[str, float]) -> dict[str, float]:
    return {name: seconds * 1e3 for name, seconds in parts.items()}


def _phase_dict(phase: Phase) -> dict[str, Any]:
    shares = {name: seconds / phase.seconds for name, seconds in phase.parts.items()}
    return {
        "time_ms": phase.seconds * 1e3, "steps": phase.steps, "parts_ms": _in_ms(phase.parts),
        "shares": shares, "regime": phase.regime, "resources": dict(phase.resources),
        "flops": phase.flops, "moved_bytes": phase.moved_bytes, "sent_bytes": phase.sent_bytes,
        "mfu": phase.mfu, "mbu": phase.mbu, "floor_ms": phase.floor_s * 1e3,
        "times_the_floor": phase.seconds / phase.floor_s,
    }  # fmt: skip
