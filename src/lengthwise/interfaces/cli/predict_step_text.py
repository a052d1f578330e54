"""How answers of the step law look on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lengthwise.units import format_ms, format_tokens

if TYPE_CHECKING:
    from lengthwise.domain.memory import MemoryUse

_TAIL = ("bound by", "in domain")
COLUMNS = {
    "prefill": ("isl", "batch", "prefill", "interval", *_TAIL),
    "decode": ("context", "batch", "decode step", "interval", *_TAIL),
    "request": ("isl", "osl", "in flight", "TTFT", "TPOT", "E2E", "E2E interval", *_TAIL),
}


def describe(record: dict[str, Any], memory: MemoryUse) -> str:
    """Answer one point in a few lines."""
    level = f"{record['level'] * 100:g} % interval"
    if record["phase"] == "request":
        head = (f"request of {format_tokens(record['isl'])} + {format_tokens(record['osl'])} "
                f"tokens, {_load(record)} in flight")  # fmt: skip
        lines = [
            f"  {q.upper():<6}{_time(record, f'{q}_', level)}" for q in ("ttft", "tpot", "e2e")
        ]
    else:
        decode = record["phase"] == "decode"
        what = (f"decode step at context {format_tokens(record['context_len'])}" if decode
                else f"prefill of {format_tokens(record['isl'])} tokens")  # fmt: skip
        head, lines = f"{what}, batch {_load(record)}", [f"  {_time(record, '', level)}"]
    where = f"{record['model']} on {_hardware(record)}"
    tail = [*_standing(record), *_techniques(record), *_memory(memory), *_energy(record)]
    return "\n".join([head, f"  {where}", *lines, *tail])


def table_row(record: dict[str, Any]) -> list[Any]:
    """Cells of a table of answers of one phase."""
    tail = [record["regime"], "yes" if record["in_domain"] else "no"]
    if record["phase"] == "request":
        times = [format_ms(_number(record[f"{q}_ms"])) for q in ("ttft", "tpot", "e2e")]
        head = [format_tokens(record["isl"]), format_tokens(record["osl"]), _load(record)]
        return [*head, *times, _interval(record, "e2e_"), *tail]
    length = record["context_len" if record["phase"] == "decode" else "isl"]
    return [format_tokens(length), _load(record), format_ms(record["latency_ms"]),
            _interval(record, ""), *tail]  # fmt: skip


def _time(record: dict[str, Any], prefix: str, level: str) -> str:
    value = record[f"{prefix or 'latency_'}ms"]
    if value is None:
        return "n/a (one output token has no gap)"
    return f"{format_ms(value):<9} {level} {_interval(record, prefix)}"


def _interval(record: dict[str, Any], prefix: str) -> str:
    low, high = (format_ms(_number(record[f"{prefix}{end}_ms"])) for end in ("lo", "hi"))
    return f"{low} to {high}"


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _load(record: dict[str, Any]) -> str:
    return format_tokens(record.get("concurrency") or record.get("batch_size") or 1)


def _hardware(record: dict[str, Any]) -> str:
    gpus = int(record.get("tp") or 1) * int(record.get("pp") or 1) * int(record.get("dp") or 1)
    parts = [f"{gpus} x {record['hardware']}" if gpus > 1 else str(record["hardware"])]
    parts += [f"{k} {record[k]}" for k in ("tp", "pp", "ep", "dp") if (record.get(k) or 1) > 1]
    return ", ".join(parts + [str(record[k]) for k in ("engine", "precision") if record.get(k)])


def _standing(record: dict[str, Any]) -> list[str]:
    factor = record["extrapolation_factor"]
    beyond = f"; {factor:.3g} times the longest length measured" if factor > 1 else ""
    lines = [f"  bound by {record['regime']}{beyond}", f"  {record['provenance']}"]
    if record.get("saturated"):
        lines.append(f"  saturated: about {record['running']:.0f} run at a time, the rest wait")
    return lines


def _techniques(record: dict[str, Any]) -> list[str]:
    knobs = record.get("techniques") or {}
    text = ", ".join(f"{name.replace('_', ' ')} {_setting(x)}" for name, x in knobs.items())
    return [f"  with {text}"] if text else []


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _energy(record: dict[str, Any]) -> list[str]:
    energy = record.get("energy")
    if not energy:
        return []
    return [f"  energy: {energy['joules_per_request']:.3g} J per request, "
            f"{energy['joules_per_output_token']:.3g} J per output token, "
            f"{energy['mean_watts']:.0f} W per GPU ({energy['constraint']})"]  # fmt: skip


def _memory(memory: MemoryUse) -> list[str]:
    gb = 1e9
    used = (f"  memory per GPU: weights {memory.weights_bytes / gb:.1f} GB, cache "
            f"{memory.kv_bytes / gb:.1f} GB of {memory.available_bytes / gb:.1f} GB")  # fmt: skip
    return [used] if memory.fits else [used, f"  {memory.why_not}"]
