"""The deployment that techniques leave: formats, windows, sizes of matrices, clock."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from lengthwise.domain.layers import Attention, Experts, FeedForward, Gemm, LatentAttention, Layer
from lengthwise.domain.model import ModelSpec
from lengthwise.errors import InputError
from lengthwise.formulations.step.formats import Formats
from lengthwise.formulations.step.knobs.request import Physics
from lengthwise.formulations.step.profile import DeviceProfile
from lengthwise.formulations.step.step_model import StepModel

NARROW = "w4a8"
"""Kernels over 4-bit weights that multiply in 8 bits."""
NARROW_BYTES = 0.515
"""Bytes of a 4-bit weight with a 16-bit scale for 128 of them."""


@lru_cache(maxsize=256)
def _deployed(step: _Key, physics: Physics) -> StepModel:
    found = _in_formats(step.model, physics)
    model = found.model
    if physics.window is not None:
        model = _windowed(model, int(physics.window))
    if physics.pruned:
        model = replace(model, blocks=tuple(_thinner(b, physics.pruned) for b in model.blocks),
                        counted_parameters=None)  # fmt: skip
    return found if model is found.model else replace(found, model=model)


class _Key:
    """A step model by identity: it holds curves and cannot be hashed by value."""

    def __init__(self, step: StepModel) -> None:
        self.model = step

    def __hash__(self) -> int:
        return id(self.model)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.model is self.model


def deployed(step: StepModel, physics: Physics) -> StepModel:
    """Give the step model of a deployment whose techniques are switched on.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> from lengthwise.domain.model import find_model
    >>> step = StepModel.of(find_model("llama3.1-8b"), find_hardware("h100_sxm"), precision="bf16")
    >>> deployed(step, Physics(weight_bits=4)).formats.dense
    'int4_wo'
    """
    return _deployed(_Key(step), physics)


def _in_formats(step: StepModel, physics: Physics) -> StepModel:
    weights, inputs = physics.weight_bits, physics.activation_bits
    formats, precision, profile = step.formats, step.precision, step.profile
    if weights is not None or inputs is not None:
        kernel, precision = _kernel(step, weights, inputs)
        formats = Formats(kernel, kernel, kernel, kernel, formats.kv_bits)
        if kernel == NARROW:
            profile = _narrow(step)
    if physics.kv_bits is not None:
        formats = replace(formats, kv_bits=physics.kv_bits)
    same = (formats, precision, profile) == (step.formats, step.precision, step.profile)
    if same:
        return step
    return replace(step, formats=formats, precision=precision, profile=profile)


def _kernel(step: StepModel, weights: float | None, inputs: float | None) -> tuple[str, str]:
    """Name the kernels and the stored format for bits of weights and of inputs."""
    inputs = 16.0 if inputs is None else inputs
    weights = inputs if weights is None else weights
    if weights > inputs:
        raise InputError("weights are not wider than the inputs they multiply",
                         got=f"weight_bits={weights:g}, activation_bits={inputs:g}",
                         remedy=f"--weight-bits {inputs:g}")  # fmt: skip
    eight = ("fp8", "fp8") if "fp8" in step.hardware.peak_flops else ("sq", "int8")
    found = {
        (16, 16): ("bfloat16", "bf16"), (8, 16): ("int8_wo", "int8"), (4, 16): ("int4_wo", "int4"),
        (8, 8): eight, (4, 8): (NARROW, "int4"), (4, 4): ("nvfp4", "nvfp4"),
    }  # fmt: skip
    return found[int(weights), int(inputs)]


def _narrow(step: StepModel) -> DeviceProfile:
    """Kernels of 8-bit products that read 4-bit weights: their curves at other ceilings.

    No public table holds such kernels; their efficiency is taken to be that of plain 8 bits.
    """
    eight = "fp8" if "fp8" in step.hardware.peak_flops else "sq"
    profile = DeviceProfile(step.hardware, step.profile.engine)
    product: Any = profile.gemm(eight)
    experts: Any = profile.experts("fp8")
    profile.remarks[f"gemm {NARROW}"] = f"{eight} kernels over 4-bit weights"
    curves = profile._curves
    for kind, curve in (("gemm", product), ("experts", experts)):
        thin = replace(curve.ceilings, weight_bytes=NARROW_BYTES)
        curves[kind, NARROW] = replace(curve, ceilings=thin)
    return profile


def _windowed(model: ModelSpec, window: int) -> ModelSpec:
    blocks = tuple(_seeing(block, window, model.name) for block in model.blocks)
    if all(block is old for block, old in zip(blocks, model.blocks, strict=True)):
        return model
    return replace(model, blocks=blocks)


def _seeing(block: Layer, window: int, name: str) -> Layer:
    mixer = block.mixer
    if isinstance(mixer, LatentAttention):
        raise InputError("a sliding window needs attention with keys and values of its own",
                         got=f"{name}, which has latent attention",
                         remedy="use --kv-read and --prefill-density")  # fmt: skip
    if not isinstance(mixer, Attention) or mixer.compress:
        return block
    if mixer.window is not None and mixer.window <= window:
        return block
    return replace(block, mixer=replace(mixer, window=window))


def _thinner(block: Layer, share: float) -> Layer:
    """Take rows or columns out of the matrices of a layer; heads of the cache stay."""
    mixer, ffn = block.mixer, block.ffn
    if mixer is not None:
        mixer = replace(mixer, projections=tuple(_less(g, share) for g in mixer.projections))
    if isinstance(ffn, FeedForward):
        ffn = replace(ffn, inner=_kept(ffn.inner, share))
    elif isinstance(ffn, Experts):
        ffn = replace(ffn, inner=_kept(ffn.inner, share),
                      shared_inner=_kept(ffn.shared_inner, share))  # fmt: skip
    return replace(block, mixer=mixer, ffn=ffn)


def _less(gemm: Gemm, share: float) -> Gemm:
    if gemm.split == "none":
        return gemm
    if gemm.split == "columns":
        return replace(gemm, n=_kept(gemm.n, share))
    return replace(gemm, k=_kept(gemm.k, share))


def _kept(size: int, share: float) -> int:
    """Give what is left of a size, in whole tiles of 16 as kernels want them."""
    return 0 if size == 0 else max(16, round(size * (1.0 - share) / 16) * 16)
