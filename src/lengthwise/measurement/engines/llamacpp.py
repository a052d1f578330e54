"""llama.cpp: its own server, started and stopped here, read through the clock of the server.

Every streamed token carries the server's ``timings``: ``prompt_ms`` is the prefill and differences
of ``predicted_ms`` are the decode steps, so that no HTTP, parsing or client time is in a row
(``client_ms`` has it beside). With the setting ``chunk`` the server takes a prompt in batches of
that many tokens and reports after each: every one is a row. CPU time is that of the server process.
With several sequences the prompts are sent together, each in a slot of its own; the server may
prefill them in more than one step, so the prefill is the client's time from sending to the last
first token. Decode steps are read from the slot that started last, while all of them run. CPU time
is read when a token arrives here, which may be milliseconds late: that of the decode steps of a
request is read at its ends and shared out by their times, and so is that of the parts of a prompt.
"""

from __future__ import annotations

import http.client
import json
import math
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from lengthwise.errors import InputError, LengthwiseError
from lengthwise.measurement.engine import MS_PER_NS, EngineOptions, Event, Shape, Timer, check_alone
from lengthwise.measurement.machine import hardware_label
from lengthwise.measurement.random_model.locate import gguf_of
from lengthwise.measurement.settings import read_settings

SETTINGS = {"chunk": 0, "batch": 0, "ubatch": 512, "flash": ("auto", "on", "off"),
            "temperature": 0.0, "seed": 0}  # fmt: skip
FLASH = {"auto": -1, "on": 1, "off": 0}
START_S = 60.0
STOP_S = 5.0
TIMEOUT_S = 600.0
SPARE_TOKENS = 16
FIRST_TOKEN = 5
ANSWER = "a"
"""What is generated: the server holds back bytes that are not a whole character yet, and a model
with random weights can go on with such bytes for ever."""
VOCABULARY = 512


class EngineDiedError(LengthwiseError):
    """The engine stopped answering; what was measured before is kept."""


@dataclass
class _Stream:
    """What came back for one sequence, a list entry per token."""

    arrived_ns: list[int] = field(default_factory=list)
    cpu_ns: list[int] = field(default_factory=list)
    timings: list[dict[str, float]] = field(default_factory=list)
    parts: list[tuple[float, float, int]] = field(default_factory=list)
    """Prompt tokens done, milliseconds and CPU nanoseconds so far, after each part of a prompt."""
    problem: str = ""


class LlamaCppEngine:
    """A llama.cpp server of our own; see :class:`~lengthwise.measurement.engine.Engine`.

    Parameters
    ----------
    options
        ``precision`` is the quantisation of a random model (``q8_0`` by default). Settings:
        ``chunk`` (tokens of a prompt in one step, each step a row; 0 takes prompts as they are, in
        physical batches, and times them whole), ``batch`` and ``ubatch`` (tokens of a logical and a
        physical batch), ``flash``, ``temperature`` (0 for the likeliest token), ``seed``.
    """

    def __init__(self, options: EngineOptions) -> None:
        self._held = ExitStack()
        settings = read_settings("llamacpp", options.settings, SETTINGS)
        if options.device != "cpu":
            raise InputError("llamacpp runs on the CPU here", got=f"device {options.device!r}",
                             remedy="start a GPU build yourself and give its URL")  # fmt: skip
        self._temperature = temperature_of(settings)
        self._rng = np.random.default_rng(settings["seed"])
        precision = options.precision or "q8_0"
        name, path = gguf_of(options, precision, self._held)
        batch = settings["batch"] or max(2048, options.max_tokens * options.max_batch)
        self.chunk: int = settings["chunk"]
        if self.chunk:
            batch = settings["ubatch"] = self.chunk
        command = [
            sys.executable, "-m", "lengthwise.measurement.engines.llamacpp_server", str(path),
            "--threads", str(options.threads), "--slots", str(options.max_batch),
            "--context", str(options.max_tokens + SPARE_TOKENS), "--batch", str(batch),
            "--ubatch", str(settings["ubatch"]), "--flash", str(FLASH[settings["flash"]]),
        ]  # fmt: skip
        self._server = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            self._address = _wait_for(self._server)
        except BaseException:
            self.close()
            raise
        self.labels: Mapping[str, str | int] = {
            "model": name, "hardware": hardware_label(options.threads), "engine": "llama.cpp",
            "engine_version": f"xllamacpp {version('xllamacpp')}", "precision": precision, "tp": 1,
        }  # fmt: skip
        self.notes: Mapping[str, Any] = settings | {"batch": batch, "slots": options.max_batch}

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://{self._address}"

    @property
    def pid(self) -> int:
        """Process of the server."""
        return self._server.pid

    def adjust(self, settings: Mapping[str, str]) -> None:
        """Set what belongs to a request, not to the server: ``temperature``."""
        self._temperature = temperature_of(read_settings("llamacpp", settings, SETTINGS))

    def run(self, shape: Shape) -> list[Event]:
        """Send the prompts together and read the server's timings."""
        if shape.running:
            raise InputError("mixed steps need an engine with known steps", got="llamacpp",
                             remedy="measure them with openvino")  # fmt: skip
        check_alone(self.chunk, shape)
        prompts = self._rng.integers(FIRST_TOKEN, VOCABULARY, (shape.batch_size, shape.isl))
        if shape.cached_tokens:
            self._together(prompts[:, : shape.cached_tokens], 1, keep=True)
        spare = SPARE_TOKENS - 2 if shape.batch_size > 1 else 0
        started, cpu = time.time(), self._cpu_ns()
        sent_ns = time.perf_counter_ns()
        streams = self._together(prompts, shape.decode_steps + 1 + spare,
                                 keep=shape.cached_tokens > 0)  # fmt: skip
        last = max(streams, key=lambda s: s.arrived_ns[0])
        client_ms = (last.arrived_ns[0] - sent_ns) * MS_PER_NS
        timings = last.timings[0]
        together = shape.batch_size > 1
        first = Timer(client_ms if together else timings["prompt_ms"],
                      (last.cpu_ns[0] - cpu) * MS_PER_NS, started)  # fmt: skip
        prefill = Event.of(shape, 0, first, client_ms=client_ms)
        cached = timings.get("cache_n", 0)
        events = [replace(prefill, cached_tokens=cached, query_len=shape.isl - cached,
                          clock="client" if together else "server")]  # fmt: skip
        if self.chunk:
            events = _parts(shape, last, started, cpu)
        count = min(shape.decode_steps + 1, len(last.timings))
        share = _cpu_share(last, count - 1)
        for i in range(1, count):
            wall = last.timings[i]["predicted_ms"] - last.timings[i - 1]["predicted_ms"]
            gap = (last.arrived_ns[i] - last.arrived_ns[i - 1]) * MS_PER_NS
            step = Timer(wall, wall * share,
                         started + (last.arrived_ns[i - 1] - sent_ns) * 1e-9)  # fmt: skip
            events.append(Event.of(shape, i, step, client_ms=gap))
        return events

    def _together(self, prompts: Any, tokens: int, *, keep: bool) -> list[_Stream]:
        streams = [_Stream() for _ in prompts]
        threads = [
            threading.Thread(target=self._stream, args=(p.tolist(), tokens, slot, keep, stream))
            for slot, (p, stream) in enumerate(zip(prompts, streams, strict=True))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for stream in streams:
            if stream.problem or not stream.timings:
                code = self._server.poll()
                state = "it is still running" if code is None else f"it ended with code {code}"
                raise EngineDiedError(
                    "llama.cpp must answer every request",
                    got=f"{stream.problem or 'an empty answer'} ({state})",
                    remedy="use fewer tokens or slots, or see whether memory ran out; go on with "
                    "--resume",
                )  # fmt: skip
        return streams

    def _stream(
        self, prompt: list[int], tokens: int, slot: int, keep: bool, into: _Stream
    ) -> None:  # fmt: skip
        body = json.dumps({
            "prompt": prompt, "n_predict": tokens, "ignore_eos": True, "stream": True,
            "timings_per_token": True, "cache_prompt": keep, "temperature": self._temperature,
            "id_slot": slot,
            "return_progress": bool(self.chunk), "logit_bias": [[ANSWER, 1000.0]],
        })  # fmt: skip
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT_S)
        try:
            connection.request("POST", "/completion", body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            if reply.status != 200:
                into.problem = f"HTTP {reply.status}: {reply.read(200).decode(errors='replace')}"
            for line in reply if reply.status == 200 else ():
                if line.startswith(b"data: "):
                    self._take(into, json.loads(line[6:]))
        except (OSError, http.client.HTTPException, ValueError) as error:
            into.problem = f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    def _take(self, into: _Stream, chunk: dict[str, Any]) -> None:
        if chunk.get("stop"):
            return
        if "prompt_progress" in chunk:
            done, ms = chunk["prompt_progress"]["processed"], chunk["timings"]["prompt_ms"]
            into.parts.append((done, ms, self._cpu_ns()))
            return
        into.arrived_ns.append(time.perf_counter_ns())
        into.cpu_ns.append(self._cpu_ns())
        into.timings.append(chunk["timings"])

    def _cpu_ns(self) -> int:
        """CPU time of the server process, all its threads; 0 where the system does not tell."""
        try:
            return time.clock_gettime_ns((~self._server.pid << 3) | 2)
        except (OSError, AttributeError):
            return 0

    def close(self) -> None:
        """Stop the server that was started here."""
        self._server.terminate()
        try:
            self._server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        if self._server.stdout:
            self._server.stdout.close()
        self._held.close()


def _cpu_share(stream: _Stream, last: int) -> float:
    """CPU time over wall time of the decode steps up to ``last``; 0 where nothing is known."""
    wall_ms = stream.timings[last]["predicted_ms"] - stream.timings[0]["predicted_ms"]
    return (stream.cpu_ns[last] - stream.cpu_ns[0]) * MS_PER_NS / wall_ms if wall_ms > 0 else 0.0


def _parts(shape: Shape, stream: _Stream, started: float, cpu_ns: int) -> list[Event]:
    """One event per part of a prompt; the server's first report is of nothing done."""
    events = []
    total_ms = stream.parts[-1][1] - stream.parts[0][1]
    share = (stream.parts[-1][2] - cpu_ns) * MS_PER_NS / total_ms if total_ms > 0 else 0.0
    for (before, from_ms, _), (done, ms, _) in pairwise(stream.parts):
        step = Timer(ms - from_ms, (ms - from_ms) * share, started + from_ms * 1e-3)
        events.append(Event.part(shape, int(done), int(done - before), step))
    return events


def temperature_of(settings: Mapping[str, Any]) -> float:
    """Check the temperature at which tokens are drawn.

    >>> temperature_of({"temperature": 0.8})
    0.8
    """
    temperature = float(settings["temperature"])
    if not 0 <= temperature < math.inf:
        raise InputError("temperature of llamacpp must be a number from 0", got=f"{temperature:g}",
                         remedy="write temperature=0 for the likeliest token")  # fmt: skip
    return temperature


def open_engine(options: EngineOptions) -> LlamaCppEngine:
    """Start a server and wait until it listens."""
    return LlamaCppEngine(options)


def _wait_for(server: subprocess.Popen[str]) -> str:
    """Read the address from the server's first line."""
    assert server.stdout is not None
    ready, _, _ = select.select([server.stdout], [], [], START_S)
    line = server.stdout.readline() if ready else ""
    if not line.startswith("listening "):
        raise InputError("llama.cpp must load the model and listen",
                         got=f"nothing after {START_S:g} s" if not ready else "the server ended",
                         remedy="check that the GGUF file is whole and that memory suffices"
                         )  # fmt: skip
    return urlsplit(line.split()[1]).netloc
