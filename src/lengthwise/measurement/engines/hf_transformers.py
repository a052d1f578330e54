"""Hugging Face transformers in this process, step by step, on a CPU or a GPU.

The loop is our own: no stopping at an end token, no bookkeeping of ``generate``. One step is one
forward pass, logits of the last position, and the choice of the next tokens.
The settings are in :mod:`lengthwise.measurement.engines.hf_settings`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from lengthwise.errors import InputError
from lengthwise.measurement.engine import EngineOptions, Event, Shape
from lengthwise.measurement.engines.hf_cache import Caches
from lengthwise.measurement.engines.hf_clock import Lap, time_gaps, time_steps
from lengthwise.measurement.engines.hf_decoding import Beams, Choice, Greedy, Sample
from lengthwise.measurement.engines.hf_generation import Forward, Generation
from lengthwise.measurement.engines.hf_limits import Limits
from lengthwise.measurement.engines.hf_load import (
    TYPES,
    cache_argument,
    check_device,
    last_logits_only,
    load_model,
    precision_of,
    quiet,
)
from lengthwise.measurement.engines.hf_memory import footprint_of
from lengthwise.measurement.engines.hf_models import config_of
from lengthwise.measurement.engines.hf_settings import columns, settings_of, variant
from lengthwise.measurement.machine import hardware_label, versions

if TYPE_CHECKING:
    import torch

KERNELS = ("torch", "transformers", "flash-attn", "mamba-ssm", "causal-conv1d")
"""Packages whose presence changes the time of a step."""


class TransformersEngine:
    """A loaded model; see :class:`~lengthwise.measurement.engine.Engine`."""

    def __init__(self, options: EngineOptions) -> None:
        import torch
        from transformers.utils import logging

        self._settings = settings_of(options)
        self._options, self._precision = options, precision_of(options)
        check_device(options, self._settings["attention"], self._settings["compile"] == "1")
        self._before = torch.get_num_threads(), logging.get_verbosity()
        logging.set_verbosity_error()
        torch.set_num_threads(options.threads)
        with quiet():
            self._open()

    def _open(self) -> None:
        import torch

        name, config = config_of(self._options)
        seed = self._settings["seed"]
        self._model = load_model(
            config, self._options.device, self._precision, self._settings["attention"], seed
        )
        self._config: Any = self._model.config
        self._attention = str(self._config._attn_implementation)
        self._keep = last_logits_only(self._model)
        footprint = footprint_of(
            self._config, getattr(torch, TYPES[self._precision]).itemsize,
            fused=self._attention != "eager", all_logits=not self._keep,
        )  # fmt: skip
        self._prompts = torch.Generator().manual_seed(seed)
        self._sampling = torch.Generator(self._options.device).manual_seed(seed)
        self._caches = Caches(self._settings["cache"], self._config, self._options.max_tokens,
                              self._fill)  # fmt: skip
        self._limits = Limits(self._options, self._settings["cache"], self._config.model_type,
                              footprint)  # fmt: skip
        self._prefill, self._decode = self._passes()
        self.labels: Mapping[str, str | int] = {
            "model": name, "hardware": self._hardware(), "engine": "transformers",
            "engine_version": version("transformers") + variant(self._settings),
            "precision": self._precision, "tp": 1,
        }  # fmt: skip
        self.notes: Mapping[str, Any] = self._describe()

    def adjust(self, settings: Mapping[str, str]) -> None:
        """Change settings of ``hf_settings.PER_REQUEST``; the loaded model stays.

        Raises
        ------
        InputError
            If they do not go with the others.
        """
        options = replace(self._options, settings={**self._options.settings, **settings})
        self._settings, self._options = settings_of(options), options
        number = version("transformers") + variant(self._settings)
        self.labels = {**self.labels, "engine_version": number}
        self.notes = self._describe()

    def _hardware(self) -> str:
        if self._options.device == "cpu":
            return hardware_label(self._options.threads)
        import torch

        return "-".join(re.findall(r"[a-z0-9]+", torch.cuda.get_device_name().lower()))

    def _passes(self) -> tuple[Forward, Forward]:
        """Give the forward passes of prefill and decode.

        CUDA graphs need fixed shapes and addresses: decode steps over a static cache.
        """
        import torch

        plain: Forward = self._model
        if self._settings["compile"] == "0":
            return plain, plain
        if self._options.device == "cuda" and self._settings["cache"] == "static":
            return plain, torch.compile(self._model, mode="reduce-overhead", fullgraph=False)
        compiled: Forward = torch.compile(self._model, dynamic=True)
        return compiled, compiled

    def _describe(self) -> dict[str, Any]:
        notes: dict[str, Any] = {
            **self._settings, "attention": self._attention, "threads": self._options.threads,
            "device": self._options.device, "versions": versions(KERNELS),
            "max_position_embeddings": getattr(self._config, "max_position_embeddings", None),
            "architecture": type(self._model).__name__, "weights": "random",
            "logits": "last position" if self._keep else "all positions",
        }  # fmt: skip
        if self._settings["cache"] == "static":
            notes["static_cache_tokens"] = self._options.max_tokens
        if self._settings["beams"] > 1:
            notes["beam_search"] = "the prefill step also copies the cache to the beams"
        return notes

    def tokens(self, batch_size: int, length: int) -> torch.Tensor:
        """Draw fresh random tokens, shape (batch_size, length), on the CPU."""
        import torch

        vocabulary = self._config.get_text_config().vocab_size
        return torch.randint(vocabulary, (batch_size, length), generator=self._prompts)

    def run(self, shape: Shape) -> list[Event]:
        """Prefill the prompts together and decode; every event is one step.

        Raises
        ------
        InputError
            If the shape is longer than the engine was opened for, or does not fit in memory.
        """
        import torch

        self._limits.check(shape, self._settings["beams"])
        torch.set_num_threads(self._options.threads)
        try:
            with torch.inference_mode(), quiet():
                laps = self._laps(shape)
        except torch.OutOfMemoryError:
            raise InputError("the memory of the GPU must hold what is measured",
                             got=f"isl={shape.isl}, batch_size={shape.batch_size}",
                             remedy="measure fewer tokens or sequences") from None  # fmt: skip
        except RuntimeError as error:
            if self._settings["compile"] == "0":
                raise
            raise InputError("torch.compile must work for this model on this machine",
                             got=" ".join(str(error).split())[:200],
                             remedy="write compile=0") from None  # fmt: skip
        return [self._event(shape, index, lap) for index, lap in enumerate(laps)]

    def _laps(self, shape: Shape) -> list[Lap]:
        ids = self.tokens(shape.batch_size, shape.isl).to(self._options.device)
        cache = self._caches.empty(shape.batch_size)
        arguments = self._arguments(cache)
        generation = Generation(self._prefill, self._decode, arguments, cache, self._choice(), ids,
                                shape.cached_tokens)  # fmt: skip
        steps = shape.decode_steps + 1
        if self._settings["loop"] == "thesis":
            return time_gaps(generation.step, steps)
        return time_steps(generation.step, steps, self._options.device)

    def _arguments(self, cache: Any) -> dict[str, Any]:
        given = {**self._keep, "use_cache": cache is not None}
        return given if cache is None else {**given, cache_argument(self._model): cache}

    def _fill(self, cache: Any, batch_size: int) -> None:
        ids = self.tokens(batch_size, 1).to(self._options.device)
        self._model(input_ids=ids, **self._arguments(cache))

    def _choice(self) -> Choice:
        s = self._settings
        if s["beams"] > 1:
            return Beams(s["beams"], s["temperature"], self._sampling)
        if s["decoding"] == "sample":
            return Sample(s["temperature"], s["top_k"], self._sampling)
        return Greedy()

    def _event(self, shape: Shape, index: int, lap: Lap) -> Event:
        event = Event.of(shape, index, lap.timer, **columns(self._settings))
        if lap.gpu_ms is not None:
            extra = {**event.extra, "gpu_ms": lap.gpu_ms, "wall_ms": lap.timer.wall_ms}
            event = replace(event, latency_ms=lap.gpu_ms, extra=extra)
        if index and self._settings["cache"] == "none":
            event = replace(event, query_len=event.context_len)
        if index:
            event = replace(event, batch_size=shape.batch_size * self._settings["beams"])
        return event

    def close(self) -> None:
        """Free the model and give the threads back."""
        import torch
        from transformers.utils import logging

        del self._model, self._prefill, self._decode, self._caches
        torch.set_num_threads(self._before[0])
        logging.set_verbosity(self._before[1])
        if self._options.device == "cuda":
            torch.cuda.empty_cache()


def open_engine(options: EngineOptions) -> TransformersEngine:
    """Build a model with random weights."""
    return TransformersEngine(options)
