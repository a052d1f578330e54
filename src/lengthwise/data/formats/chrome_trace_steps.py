"""Which annotations of a trace are steps, and what their names say of phase, length and batch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from lengthwise.data.formats.fields import Row


class Annotation(NamedTuple):
    """A named stretch of host time, microseconds of the trace."""

    start: float
    end: float
    name: str


_PROFILER = re.compile(r"ProfilerStep#\d+")
_VLLM = re.compile(r"execute_context_(\d+)\((\d+)\)_generation_(\d+)\((\d+)\)")
_PHASE = re.compile(r"(?<![a-z])(prefill|decode)(?![a-z])", re.I)
_SIZE = re.compile(r"\b(isl|osl|context_len|query_len|cached_tokens|batch_size|batch|bs)[=:](\d+)")
_BATCH = {"batch": "batch_size", "bs": "batch_size"}


def steps_of(annotations: Sequence[Annotation]) -> list[Annotation]:
    """Choose the steps, in order, none within another.

    Annotations that name a phase win over ``ProfilerStep#``, those over all others.
    """
    for wanted in (says_phase, lambda name: bool(_PROFILER.match(name)), lambda _: True):
        chosen = [item for item in annotations if wanted(item.name)]
        if chosen:
            return outermost(chosen)
    return []


def outermost(annotations: Sequence[Annotation]) -> list[Annotation]:
    """Sort by start and leave out what begins inside another."""
    outer: list[Annotation] = []
    for item in sorted(annotations, key=lambda a: (a.start, -a.end)):
        if not outer or item.start >= outer[-1].end:
            outer.append(item)
    return outer


def says_phase(name: str) -> bool:
    """Whether the name of an annotation tells the phase."""
    return bool(_PHASE.search(name) or _VLLM.search(name))


def said_by(name: str) -> Row:
    """Read phase, lengths and batch out of the name of an annotation.

    >>> said_by("prefill isl=512 batch=4")
    {'phase': 'prefill', 'isl': 512, 'batch_size': 4}
    >>> said_by("execute_context_2(1024)_generation_0(0)")
    {'phase': 'prefill', 'batch_size': 2, 'isl': 512}
    """
    engine = _VLLM.search(name)
    if engine:
        return _of_vllm(*map(int, engine.groups()))
    row: Row = {}
    phase = _PHASE.search(name)
    if phase:
        row["phase"] = phase[1].lower()
    for key, value in _SIZE.findall(name):
        row[_BATCH.get(key, key)] = int(value)
    return row


def _of_vllm(prompts: int, prompt_tokens: int, decodes: int, _: int) -> Row:
    """Sizes of a vLLM step: prompts (or chunks) with their tokens, and sequences that decode."""
    if prompts and decodes:
        return {"phase": "mixed", "batch_size": prompts + decodes}
    if decodes:
        return {"phase": "decode", "batch_size": decodes}
    row: dict[str, Any] = {"phase": "prefill", "batch_size": prompts}
    return row | ({"isl": prompt_tokens // prompts} if prompts else {})
