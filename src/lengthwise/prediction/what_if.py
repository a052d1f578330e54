"""Other settings of the same request: techniques one at a time, more processors, another one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lengthwise.data.hardware_catalog import find_hardware
from lengthwise.domain.hardware import HardwareSpec
from lengthwise.errors import LengthwiseError
from lengthwise.formulations.step.knobs.base import Value
from lengthwise.formulations.step.knobs.registry import apply_knobs
from lengthwise.formulations.step.knobs.request import Request
from lengthwise.formulations.step.knobs.times import RequestTimes, memory_of, request_times
from lengthwise.formulations.step.profile import DeviceProfile

Setting = Value

LADDER = ("l40s", "a100_sxm", "h100_sxm", "h200_sxm", "b200_sxm")
"""Processors with measured kernels, slower memory first."""
LONG = 16384
"""Prompt tokens from which attention is worth thinning out."""


@dataclass(frozen=True)
class Change:
    """What one other setting does.

    Attributes
    ----------
    label
        For people.
    settings
        What was set.
    ttft_s, tpot_s, e2e_s
        Times with it.
    ratios
        Those times over the ones without it.
    max_concurrency
        Requests that fit in memory with it.
    fits
        Whether the weights and one request fit in memory.
    """

    label: str
    settings: Mapping[str, Any]
    ttft_s: float
    tpot_s: float
    e2e_s: float
    ratios: Mapping[str, float]
    max_concurrency: float
    fits: bool

    @classmethod
    def between(
        cls, label: str, settings: Mapping[str, Any], before: RequestTimes, request: Request
    ) -> Change:
        """Compare the times of a changed request with those before."""
        after = request_times(request)
        ratios = {name: getattr(after, f"{name}_s") / getattr(before, f"{name}_s")
                  for name in ("ttft", "tpot", "e2e")}  # fmt: skip
        fits = memory_of(request, request.context).fits
        return cls(label, dict(settings), after.ttft_s, after.tpot_s, after.e2e_s, ratios,
                   after.max_concurrency, fits)  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain values, times in milliseconds."""
        return {
            "label": self.label, "settings": dict(self.settings), "ttft_ms": self.ttft_s * 1e3,
            "tpot_ms": self.tpot_s * 1e3, "e2e_ms": self.e2e_s * 1e3, "ratios": dict(self.ratios),
            "max_concurrency": self.max_concurrency, "fits": self.fits,
        }  # fmt: skip


def changes_of(
    request: Request, before: RequestTimes, families: Mapping[str, Mapping[str, Setting]]
) -> Iterator[Change]:
    """Give the effect of each technique alone, then of all together."""
    for family, settings in families.items():
        name = next(iter(settings)).replace("_", "-") if len(settings) == 1 else family
        label = f"{name} {', '.join(map(_written, settings.values()))}"
        yield Change.between(label, settings, before, apply_knobs(request, settings))
    if len(families) > 1:
        every = {k: v for settings in families.values() for k, v in settings.items()}
        yield Change.between("all together", every, before, apply_knobs(request, every))


def possible_changes(request: Request, before: RequestTimes, taken: set[str]) -> Iterator[Change]:
    """Give the effect of settings worth a thought, leaving out techniques already ``taken``."""
    for label, settings in _techniques(request):
        if taken & set(settings):
            continue
        yield Change.between(label, settings, before, apply_knobs(request, settings))
    for label, settings, other in _deployments(request):
        try:
            yield Change.between(label, settings, before, other)
        except LengthwiseError:  # no curves for it, or it cannot be cut so
            continue


def _techniques(request: Request) -> Iterator[tuple[str, dict[str, Setting]]]:
    formats, many = request.step.formats, request.concurrency > 1
    if formats.attention == formats.dense == "bfloat16":
        if request.step.hardware.peak_flops.keys() & {"fp8", "int8"}:
            yield "8-bit weights, inputs", {"weight_bits": 8, "activation_bits": 8}
        yield "4-bit weights", {"weight_bits": 4}
    if formats.kv_bits > 8:
        yield "8-bit cache", {"kv_bits": 8}
    yield "half prompt cached", {"prefix_hit_rate": 0.5}
    if not (request.physics.drafts or request.physics.own_heads):
        yield "3 guesses at 70 %", {"speculative_tokens": 3, "acceptance": 0.7}
    if many:
        yield "mixed 2,048-chunks", {"prefill_chunk": 2048, "mixed_steps": True}
        yield "prompts elsewhere", {"disaggregated": True}
    if request.isl >= LONG:
        yield "10 % of prompt pairs", {"prefill_density": 0.1, "prefill_index_cost": 0.1}
        yield "10 % of cache read", {"kv_read": 0.1, "kv_selection_cost": 0.05}


def _deployments(request: Request) -> Iterator[tuple[str, dict[str, Any], Request]]:
    step = request.step
    if request.concurrency > 1:
        half = max(1.0, request.concurrency // 2)
        yield f"{half:g} in flight", {"concurrency": half}, replace(request, concurrency=half)
    heads = {b.mixer.heads for b in step.model.blocks if b.mixer is not None}
    tp = step.parallelism.tp * 2
    if all(number % tp == 0 for number in heads):
        cut = replace(step, parallelism=replace(step.parallelism, tp=tp))
        yield f"tp {tp}", {"tp": tp}, replace(request, step=cut)
    above = faster_than(step.hardware)
    if above is not None:
        profile = DeviceProfile(above, step.profile.engine)
        other = replace(step, hardware=above, profile=profile)
        yield f"on {above.name}", {"hardware": above.name}, replace(request, step=other)


def faster_than(hardware: HardwareSpec) -> HardwareSpec | None:
    """Give the next processor with measured kernels and faster memory; None: there is none.

    >>> faster_than(find_hardware("h100_sxm")).name
    'h200_sxm'
    """
    bandwidth = hardware.memory_bandwidth_bytes_per_s
    known = (find_hardware(name) for name in LADDER)
    return next((x for x in known if x.memory_bandwidth_bytes_per_s > 1.05 * bandwidth), None)


def _written(value: Setting) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, (int, float)) else value
