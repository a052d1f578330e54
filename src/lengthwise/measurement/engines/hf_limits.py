"""Which shapes a loaded model of transformers can run: checked before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from lengthwise.errors import InputError
from lengthwise.measurement.engine import EngineOptions, Shape
from lengthwise.measurement.engines.hf_memory import Footprint, check_shape

FORGETFUL = ("mamba", "falcon_mamba", "jamba", "zamba")
"""Their scan in transformers starts from nothing when several tokens follow a cached prefix."""


@dataclass(frozen=True)
class Limits:
    """What decides whether a shape can be run.

    Attributes
    ----------
    options
        What the engine was opened for.
    cache
        ``dynamic``, ``static`` or ``none``.
    architecture
        ``model_type`` of the configuration.
    footprint
        Memory of a step.
    """

    options: EngineOptions
    cache: str
    architecture: str
    footprint: Footprint

    def check(self, shape: Shape, beams: int) -> None:
        """Refuse a shape that makes no sense, is too long, or does not fit in memory."""
        self._make_sense(shape)
        if shape.longest > self.options.max_tokens:
            raise InputError(
                "the engine must be opened for the longest sequence",
                got=f"{shape.longest} tokens where max_tokens={self.options.max_tokens}",
                remedy="raise max_tokens, or measure shorter prompts",
            )
        if shape.cached_tokens and (self.cache == "none" or self.architecture in FORGETFUL):
            raise InputError("cached tokens need a cache from which a prompt can go on",
                             got=f"cache={self.cache}, {self.architecture}",
                             remedy="write cache=dynamic, and measure Mamba-1 without a prefix",
                             )  # fmt: skip
        reserved = self.options.max_tokens if self.cache == "static" else 0
        check_shape(self.footprint.step_bytes(shape, beams, reserved), shape, self.options.device)

    def _make_sense(self, shape: Shape) -> None:
        if shape.running:
            raise InputError("mixed steps need continuous batching", got="engine transformers",
                             remedy="measure them with the engine openvino")  # fmt: skip
        if shape.isl < 1 or shape.batch_size < 1 or not 0 <= shape.cached_tokens < shape.isl:
            raise InputError(
                "a shape needs a sequence, a token, and fewer cached tokens than prompt tokens",
                got=f"isl={shape.isl}, batch_size={shape.batch_size}, "
                    f"cached_tokens={shape.cached_tokens}", remedy="mend the shape",
            )  # fmt: skip
