"""What a span of an inference call says, under the names of all conventions and versions.

OpenTelemetry's own changed (``gen_ai.system``, ``usage.prompt_tokens``); vLLM and SGLang add
``gen_ai.latency.*``; OpenLLMetry has an event per chunk; OpenInference has ``llm.token_count.*``
and an event at the first token; the Vercel AI SDK has milliseconds.
"""

from __future__ import annotations

import math
import re
from typing import Any

from lengthwise.data.formats.failures import BROKEN_OFF
from lengthwise.data.formats.fields import first, number, tokens
from lengthwise.data.formats.otel_attributes import SERVER, Span
from lengthwise.units import ms_to_s

_INFERENCE = {"chat", "text_completion", "generate_content", "completion", "llm_request", "llm"}
_GENAI = (
    "gen_ai.provider.name", "gen_ai.system", "gen_ai.request.model", "gen_ai.operation.name",
    "gen_ai.response.model", "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens",
    "openinference.span.kind",
)  # fmt: skip
INPUT = (
    "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
)  # fmt: skip
OUTPUT = (
    "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens",
    "llm.token_count.completion",
)  # fmt: skip
CACHED = (
    "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached", "gen_ai.usage.cached_tokens",
    "llm.token_count.prompt_details.cache_read",
)  # fmt: skip
REASONING = (
    "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)  # fmt: skip
_FIRST = (
    "gen_ai.response.time_to_first_chunk", "gen_ai.response.time_to_first_token",
    "gen_ai.latency.time_to_first_token", "gen_ai.server.time_to_first_token",
)  # fmt: skip
_FIRST_MS = "ai.response.msToFirstChunk"
_MODEL = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "llm.request.model")
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_FINISH = (
    "gen_ai.response.finish_reasons", "gen_ai.response.finish_reason",
    "gen_ai.completion.0.finish_reason", "llm.output_messages.0.message.finish_reason",
)  # fmt: skip
_CHUNK_EVENTS = {"gen_ai.content.completion.chunk", "llm.content.completion.chunk"}
_FIRST_EVENTS = {*_CHUNK_EVENTS, "First Token Stream Event", "ai.stream.firstChunk"}
_ENGINES = {
    "vllm": "vllm", "sglang": "sglang", "fastdeploy": "fastdeploy", "lmdeploy": "lmdeploy",
    "tensorrt": "tensorrt-llm", "trtllm": "tensorrt-llm", "llama.cpp": "llama.cpp",
    "text-generation": "tgi",
}  # fmt: skip
_AT_ONCE_S = 5e-5
_WORDS = re.compile(r"\w+")


def operation(span: Span) -> str | None:
    """Return what a GenAI span does, None for another span; ``chat`` where it does not say."""
    said = span.attributes
    if not any(name in said for name in _GENAI):
        return None
    named = span.name if span.name in _INFERENCE else "chat"
    return str(first(
        said.get("gen_ai.operation.name"), said.get("openinference.span.kind"),
        said.get("llm.request.type"), named,
    )).lower()  # fmt: skip


def is_inference(name: str) -> bool:
    """Return whether an operation generates tokens."""
    return name in _INFERENCE


def said(span: Span, names: tuple[str, ...]) -> Any:
    """Return the first of several attributes that a span has."""
    return first(*(span.attributes.get(name) for name in names))


def count(span: Span, names: tuple[str, ...]) -> float:
    """Return a token count; NaN when the span has none."""
    return tokens(said(span, names), names[0])


def ttft_s(span: Span, osl: float) -> float:
    """Return the time to the first of ``osl`` tokens, s, by the clock of the span; else NaN."""
    told = number(said(span, _FIRST), _FIRST[0])
    if math.isnan(told):
        told = float(ms_to_s(number(span.attributes.get(_FIRST_MS), _FIRST_MS)))
    if math.isnan(told) and not _came_at_once(span, osl):
        times = [time for name, time in span.events if name in _FIRST_EVENTS]
        told = min(times) - span.start if times else math.nan
    return told if told > 0 else math.nan


def _chunks(span: Span) -> list[float]:
    return [time for name, time in span.events if name in _CHUNK_EVENTS]


def _came_at_once(span: Span, osl: float) -> bool:
    """Whether an answer of several tokens came in one piece, so that no first token was seen."""
    chunks = _chunks(span)
    return bool(chunks) and osl >= 2 and max(chunks) - min(chunks) < _AT_ONCE_S * (osl - 1)


def e2e_s(span: Span) -> float:
    """Return how long the call took, s."""
    return number(first(span.attributes.get("gen_ai.latency.e2e"), span.end - span.start), "e2e")


def decode_s(span: Span, osl: float) -> float:
    """Return the time from the first of ``osl`` tokens to the last, s; NaN where nothing says."""
    told = span.attributes.get("gen_ai.latency.time_in_model_decode")
    if told is not None:
        return number(told, "gen_ai.latency.time_in_model_decode")
    chunks = _chunks(span)
    return max(chunks) - min(chunks) if len(chunks) > 1 else e2e_s(span) - ttft_s(span, osl)


def failure(span: Span) -> str | None:
    """Return why a call failed; None for one that did not."""
    finish = {word.lower() for word in _WORDS.findall(str(said(span, _FINISH)))}
    broken = sorted(finish & BROKEN_OFF)
    return span.error or (broken[0] if broken else None)


def model(span: Span) -> Any:
    """Return the model that answered, or was asked for."""
    return said(span, _MODEL)


def engine(span: Span) -> str | None:
    """Return the engine of a server's span; of a client's, the provider it names."""
    provider = said(span, _PROVIDER)
    if span.clock != SERVER:
        return None if provider is None else str(provider)
    hints = f"{span.scope} {span.attributes.get('service.name')} {span.name}".lower()
    known = next((name for word, name in _ENGINES.items() if word in hints), None)
    if known or provider:
        return known or str(provider)
    return "vllm" if "gen_ai.latency.e2e" in span.attributes else None
