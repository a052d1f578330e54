"""How an explanation looks on a terminal."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lengthwise.interfaces.cli.common import print_table, width
from lengthwise.units import format_ms, format_tokens

if TYPE_CHECKING:
    from lengthwise.formulations.step.knobs import RequestTimes
    from lengthwise.prediction.explain import Explanation, Phase
    from lengthwise.prediction.what_if import Change

NAMES = {
    "projections": "attention projections", "attention_prefill": "attention",
    "attention_decode": "attention", "recurrence": "recurrence", "feed_forward": "feed-forward",
    "experts": "experts", "collectives": "between processors", "logits": "logits",
    "elementwise": "norms, sums, gates", "scores": "score matrix",
    "index": "choosing what to see", "dequantise": "widening weights", "adapters": "adapters",
    "draft": "guessing tokens", "transfers": "waiting for transfers",
    "launches": "waiting for launches", "host_step": "host",
    "host_layers": "host", "host_sequences": "host",
}  # fmt: skip
_TIE = "\u00a0"
_UNIT = re.compile(r"(?<=\d) (?=[A-Za-z%µ])")
"""The space between a number and its unit."""
SMALL = 0.005
"""Shares below this, in both phases, are added up as the rest."""
TINY = 0.0005
"""Shares below which there is no rest."""
CHANGED = ("TTFT", "TPOT", "E2E", "fit")


def show(found: Explanation) -> None:
    """Print an explanation."""
    print("\n".join(_head(found)))
    print("\n" + "\n".join(_times(found)))
    both = (found.prefill, found.decode)
    _table(["where the time goes", "prefill", "share", "decode step", "share "], _parts(*both))
    _table(["what the processor allows", "prefill", "decode step"], _limits(*both))
    print(_gap() + "\n".join(_memory(found)))
    if found.effects:
        _table(["with", *CHANGED], _changed(found.effects))
    _table(["what if", *CHANGED], _changed(found.what_if))
    for i, remark in enumerate(found.remarks):
        print(("" if i else _gap()) + _wrapped(f"note: {remark}", ""))


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    print(_gap(), end="")
    print_table(columns, list(rows))


def _gap() -> str:
    """Give the blank line between parts; on a terminal tables bring their own."""
    return "" if sys.stdout.isatty() or "COLUMNS" in os.environ else "\n"


def _head(found: Explanation) -> Iterator[str]:
    step, request, times = found.request.step, found.request, found.times
    cut = ", ".join(f"{k} {v}" for k, v in vars(step.parallelism).items() if v > 1)
    where = step.hardware.name + (f" ({cut})" if cut else "")
    formats = f"weights {found.weight_format}, cache {found.kv_bits:g} bits"
    yield f"{step.model.name} on {where}, {step.profile.engine}, {formats}"
    lengths = f"{format_tokens(request.isl)} prompt and {format_tokens(request.osl)} output tokens"
    load = f"{format_tokens(request.concurrency)} in flight"
    if times.running < 0.98 * request.concurrency:
        load += f", {format_tokens(times.running)} running at a time"
    yield f"{lengths}, {load}"


def _times(found: Explanation) -> Iterator[str]:
    times, regime = found.times, found.regime
    rows = [
        ("TTFT", times.ttft_s, _sum(times.ttft_parts), f"bound by {regime['ttft']}"),
        ("TPOT", times.tpot_s, _per_token(times), f"bound by {regime['tpot']}"),
    ]  # fmt: skip
    for name, seconds, parts, bound in rows:
        yield f"  {name}   {format_ms(seconds * 1e3):<8} {bound}"
        yield _wrapped(parts, " " * 9)
    yield f"  E2E    {format_ms(times.e2e_s * 1e3):<8} longest pause between tokens " + format_ms(
        times.pause_s * 1e3
    )


def _per_token(times: RequestTimes) -> str:
    if times.tokens_per_step == 1:
        return _sum(times.tpot_parts)
    whole = f"{format_ms(times.decode.seconds * 1e3)} for {times.tokens_per_step:.2f} tokens"
    step = _sum({"decode step": times.tpot_parts["decode step"]})
    rest = _sum({name: s for name, s in times.tpot_parts.items() if name != "decode step"})
    return f"{step} ({whole})" + (f" + {rest}" if rest else "")


def _sum(parts: Mapping[str, float]) -> str:
    total = sum(parts.values())
    shown = {name: s for name, s in parts.items() if s > SMALL * total}
    return " + ".join(f"{name} {format_ms(s * 1e3)}" for name, s in shown.items())


def _limits(*both: Phase) -> Iterator[tuple[str, ...]]:
    def row(name: str, *cells: str) -> tuple[str, ...]:
        return (name, *cells)

    yield row("time", *(format_ms(p.seconds * 1e3) for p in both))
    yield row("bound by", *(f"{p.regime} ({100 * p.resources[p.regime]:.0f} %)" for p in both))
    yield row("physical limit", *(format_ms(p.floor_s * 1e3) for p in both))
    yield row("time over limit", *(f"{p.seconds / p.floor_s:.2f}" for p in both))
    yield row("peak arithmetic used (MFU)", *(_percent(p.mfu) for p in both))
    yield row("bandwidth used (MBU)", *(_percent(p.mbu) for p in both))
    yield row("arithmetic", *(_scaled(p.flops, "FLOP") for p in both))
    yield row("bytes moved", *(_scaled(p.moved_bytes, "B") for p in both))
    if any(p.sent_bytes for p in both):
        yield row("bytes sent", *(_scaled(p.sent_bytes, "B") for p in both))


def _parts(prefill: Phase, decode: Phase) -> Iterator[tuple[Any, ...]]:
    left, right = _named(prefill), _named(decode)
    rest = [0.0, 0.0]
    for name in dict.fromkeys((*NAMES.values(), *left, *right)):
        one, two = left.get(name, 0.0), right.get(name, 0.0)
        if one < SMALL * prefill.seconds and two < SMALL * decode.seconds:
            rest = [rest[0] + one, rest[1] + two]
            continue
        yield (name, *_cell(one, prefill), *_cell(two, decode))
    if rest[0] > TINY * prefill.seconds or rest[1] > TINY * decode.seconds:
        yield ("the rest", *_cell(rest[0], prefill), *_cell(rest[1], decode))
    yield ("sum", format_ms(prefill.seconds * 1e3), None, format_ms(decode.seconds * 1e3), None)


def _named(phase: Phase) -> dict[str, float]:
    """Sum parts under the names people see."""
    found: dict[str, float] = {}
    for name, seconds in phase.parts.items():
        found[NAMES[name]] = found.get(NAMES[name], 0.0) + seconds
    return found


def _cell(seconds: float, phase: Phase) -> tuple[str | None, str | None]:
    if seconds == 0:
        return None, None
    return format_ms(seconds * 1e3), _percent(seconds / phase.seconds)


def _memory(found: Explanation) -> Iterator[str]:
    use, times = found.memory, found.times
    rest = use.activation_bytes + use.other_bytes
    gb = [x / 1e9 for x in (use.weights_bytes, use.kv_bytes, rest, use.available_bytes)]
    yield (
        f"memory   {gb[0]:.1f} GB weights + {gb[1]:.1f} cache + {gb[2]:.1f} other, "
        f"of {gb[3]:.1f} usable per processor"
    )
    if use.why_not:
        yield _wrapped(f"does not fit: {use.why_not}", " " * 9)
    elif times.capacity < float("inf"):
        yield f"         {format_tokens(times.max_concurrency)} such requests fit at a time"
    for note in use.notes:
        yield _wrapped(note, " " * 9)


def _changed(changes: Sequence[Change]) -> Iterator[tuple[str, ...]]:
    """Give times with their change, and how many requests fit in memory."""
    columns = []
    for name in ("ttft", "tpot", "e2e"):
        by = [_difference(change.ratios[name]) for change in changes]
        wide = max(map(len, by), default=0)
        times = [format_ms(getattr(change, f"{name}_s") * 1e3) for change in changes]
        columns.append([f"{t} {b:>{wide}}" for t, b in zip(times, by, strict=True)])
    for i, change in enumerate(changes):
        limit = change.max_concurrency
        fit = "0" if not change.fits else "n/a" if limit == float("inf") else f"{limit:,.0f}"
        yield (change.label, *(column[i] for column in columns), fit)


def _difference(ratio: float) -> str:
    if ratio >= 10:
        return f"{ratio:.0f} x"
    percent = round(100 * (ratio - 1.0))
    return "same" if percent == 0 else f"{percent:+d} %"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"


def _scaled(value: float, unit: str) -> str:
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def _wrapped(text: str, indent: str) -> str:
    """Break lines, never between a number and its unit.

    >>> lines = _wrapped("takes 41.9 ms " * 90, "").splitlines()
    >>> {line.split()[-1] for line in lines} <= {"takes", "ms"}
    True
    """
    tied = _UNIT.sub(_TIE, text)
    lines = textwrap.fill(tied, width(), initial_indent=indent, subsequent_indent=indent,
                          break_on_hyphens=False)  # fmt: skip
    return lines.replace(_TIE, " ")
