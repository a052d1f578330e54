"""OpenVINO GenAI's continuous batching in this process: every ``step()`` is timed.

The batch of a step is known exactly: no prefix cache, and without split-fuse one prefill is one
step. With split-fuse (setting ``chunk``) a prompt is prefilled in parts, each a timed step on top
of the parts before; ``run_mixed`` lets it join running sequences, so that each of its steps holds a
decode of every running sequence too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from importlib.metadata import version
from typing import Any

import numpy as np

from lengthwise.errors import InputError
from lengthwise.measurement.engine import EngineOptions, Event, Shape, Timer, check_alone, timed
from lengthwise.measurement.machine import hardware_label
from lengthwise.measurement.random_model.locate import gguf_of
from lengthwise.measurement.settings import read_settings

SETTINGS = {"chunk": 0, "cache_gib": 0, "seed": 0}
PRECISIONS = ("bf16", "f32", "f16")
FIRST_TOKEN = 5
VOCABULARY = 512
BYTES_PER_GIB = 2**30


class OpenVinoEngine:
    """A loaded ``ContinuousBatchingPipeline``; see :class:`~lengthwise.measurement.engine.Engine`.

    Parameters
    ----------
    options
        ``precision`` is the arithmetic (weights are float16). Settings: ``chunk`` (tokens of a
        step when prompts are split; 0 never splits), ``cache_gib`` (KV cache; 0 sizes it by the
        longest shape), ``seed``.
    """

    def __init__(self, options: EngineOptions) -> None:
        self._held = ExitStack()
        settings = read_settings("openvino", options.settings, SETTINGS)
        precision = options.precision or PRECISIONS[0]
        if precision not in PRECISIONS:
            raise InputError(f"the precision of openvino must be one of {', '.join(PRECISIONS)}",
                             got=repr(precision), remedy="write bf16")  # fmt: skip
        if options.device != "cpu":
            raise InputError("openvino runs on the CPU here", got=f"device {options.device!r}",
                             remedy="leave --device out")  # fmt: skip
        self.chunk: int = settings["chunk"]
        self._options, self._rng, self._next = options, np.random.default_rng(settings["seed"]), 0
        name, path = gguf_of(options, "f16", self._held)
        properties = {
            "INFERENCE_NUM_THREADS": options.threads, "INFERENCE_PRECISION_HINT": precision,
        }  # fmt: skip
        self._pipe = self._load(str(path), properties, settings["cache_gib"])
        self.labels: Mapping[str, str | int] = {
            "model": name, "hardware": hardware_label(options.threads),
            "engine": "openvino-genai", "engine_version": version("openvino-genai"),
            "precision": precision, "tp": 1,
        }  # fmt: skip
        self.notes: Mapping[str, Any] = {"properties": properties, **settings}

    def _load(self, path: str, properties: dict[str, Any], cache_gib: int) -> Any:
        import openvino_genai as genai

        scheduler = genai.SchedulerConfig()
        scheduler.cache_size = cache_gib or _cache_gib(self._options)
        most = self._options.max_tokens * self._options.max_batch
        scheduler.max_num_batched_tokens = self.chunk or max(most, 256)
        scheduler.max_num_seqs = max(64, self._options.max_batch)
        scheduler.enable_prefix_caching = False
        scheduler.dynamic_split_fuse = bool(self.chunk)
        try:
            return genai.ContinuousBatchingPipeline(path, scheduler, "CPU", properties)
        except RuntimeError as error:
            raise InputError("openvino must be able to load the model",
                             got=str(error).splitlines()[0][:200],
                             remedy="give a GGUF of a Llama or Qwen model") from None  # fmt: skip

    def run(self, shape: Shape) -> list[Event]:
        """Prefill the prompts, in one step or in chunks, and decode; prompts are random tokens."""
        if shape.running:
            return self.run_mixed(shape.running, shape.running_context, shape.isl)
        if shape.cached_tokens:
            raise InputError("openvino runs without a prefix cache here",
                             got=f"cached_tokens={shape.cached_tokens}",
                             remedy="use transformers or llamacpp for cached prefixes")  # fmt: skip
        check_alone(self.chunk, shape)
        handles = [self._add(shape.isl, shape.decode_steps + 1) for _ in range(shape.batch_size)]
        events: list[Event] = []
        parts = -(-shape.isl // self.chunk) if self.chunk else 0
        while self._pipe.has_non_finished_requests():
            with timed() as timer:
                self._pipe.step()
            number = len(events)
            if number < parts:
                done = min((number + 1) * self.chunk, shape.isl)
                events.append(Event.part(shape, done, done - number * self.chunk, timer))
            else:
                events.append(Event.of(shape, number - max(parts - 1, 0), timer))
        for handle in handles:
            handle.read_all()
        return events

    def run_mixed(self, running: int, context: int, prompt: int) -> list[Event]:
        """Let a prompt join ``running`` sequences and time every step until it is prefilled.

        Parameters
        ----------
        running
            Sequences that decode all the while.
        context
            Their prompt length, tokens.
        prompt
            Tokens of the prompt that joins; each step takes ``chunk - running`` of them.

        Returns
        -------
        One mixed event per step that holds some of the prompt and some decodes.
        """
        share = self.chunk - running
        if share < 1:
            raise InputError("a chunk must hold the running sequences and some of the prompt",
                             got=f"chunk={self.chunk}, running={running}",
                             remedy="give --engine-set chunk=512 or more")  # fmt: skip
        steps = -(-prompt // share)
        handles = [self._add(context, steps + 4 + -(-context * running // share))]
        handles += [self._add(context, steps + 4 + -(-context * running // share))
                    for _ in range(running - 1)]  # fmt: skip
        before = 0
        while before * self.chunk < context * running or before < 2:
            self._pipe.step()
            before += 1
        handles.append(self._add(prompt, 2))
        events, done = [], 0
        for index in range(steps):
            with timed() as timer:
                self._pipe.step()
            query = min(share, prompt - done)
            done += query
            events.append(_mixed(running, context + before + index, query, done, index, timer))
        while self._pipe.has_non_finished_requests():
            self._pipe.step()
        for handle in handles:
            handle.read_all()
        return events

    def _add(self, length: int, new_tokens: int) -> Any:
        import openvino
        import openvino_genai as genai

        config = genai.GenerationConfig()
        config.max_new_tokens = new_tokens
        config.ignore_eos = True
        config.do_sample = False
        ids = self._rng.integers(FIRST_TOKEN, VOCABULARY, (1, length), dtype=np.int64)
        self._next += 1
        return self._pipe.add_request(self._next, openvino.Tensor(ids), config)

    def close(self) -> None:
        """Free the pipeline and the temporary model."""
        del self._pipe
        self._held.close()


def open_engine(options: EngineOptions) -> OpenVinoEngine:
    """Load a model into a pipeline of its own."""
    return OpenVinoEngine(options)


def _mixed(
    running: int, context: int, query: int, seen: int, index: int, timer: Timer
) -> Event:  # fmt: skip
    """Describe a step of ``running`` decodes and ``query`` prompt tokens, ``seen`` so far."""
    sequences = running + 1
    sum_query, sum_context = running + query, running * context + seen
    return Event(
        phase="mixed", latency_ms=timer.wall_ms, cpu_ms=timer.cpu_ms,
        isl=None, batch_size=sequences, context_len=None, query_len=None,
        output_index=index, timestamp=timer.started,
        sum_query_len=sum_query, sum_context_len=sum_context,
        sum_query_x_context=running * context + query * seen,
    )  # fmt: skip


def _cache_gib(options: EngineOptions) -> int:
    """Size the KV cache for the largest shape of the built-in models, 1 GiB at least."""
    per_token = 64 * 2**10  # bytes; random-llama-160m needs 48 KiB in f32
    need = options.max_tokens * options.max_batch * per_token
    return int(min(max(-(-need // BYTES_PER_GIB), 1), 16))
