"""How predictions look on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lengthwise.units import format_ms, format_tokens

if TYPE_CHECKING:
    import pandas as pd

_TAIL = ("beyond data", "bound by")
COLUMNS = {
    "prefill": ("isl", "batch", "prefill", "interval", *_TAIL),
    "decode": ("context", "batch", "decode step", "interval", *_TAIL),
    "request": ("isl", "osl", "batch", "TTFT", "TPOT", "E2E", "E2E interval", *_TAIL),
}


def columns(answers: pd.DataFrame) -> tuple[str, ...]:
    """Head the columns of a table of predictions of one phase."""
    names = COLUMNS[str(answers["phase"].iloc[0])]
    return names if "batch_size" in answers else tuple(n.replace("batch", "load") for n in names)


def describe(row: pd.Series[Any], level: float) -> str:
    """Answer one point in a few lines."""
    phase = str(row["phase"])
    batch = _load(row)
    if phase == "request":
        head = f"request of {format_tokens(row['isl'])} + {format_tokens(row['osl'])} tokens"
        lines = [f"{head}, {batch}"]
        for name in ("ttft", "tpot", "e2e"):
            lines.append(f"  {name.upper():<6}{_with_interval(row, f'{name}_', level)}")
    else:
        length = row["isl"] if phase == "prefill" else row["context_len"]
        what = f"prefill of {format_tokens(length)} tokens"
        if phase == "decode":
            what = f"decode step at context {format_tokens(length)}"
        lines = [f"{what}, {batch}", f"  {_with_interval(row, '', level)}"]
    return "\n".join([*lines, *_standing(row)])


def table_rows(answers: pd.DataFrame) -> list[list[Any]]:
    """Cells of a table of predictions of one phase."""
    rows = []
    for _, row in answers.iterrows():
        beyond = f"{row['extrapolation_factor']:.3g}x" if row["extrapolation_factor"] > 1 else None
        batch = _load(row).removeprefix("batch ")
        tail = [beyond, row["regime"]]
        if row["phase"] == "request":
            times = [format_ms(row[f"{name}_ms"]) for name in ("ttft", "tpot", "e2e")]
            head = [format_tokens(row["isl"]), format_tokens(row["osl"]), batch]
            rows.append([*head, *times, _interval(row, "e2e_"), *tail])
        else:
            length = row["isl"] if row["phase"] == "prefill" else row["context_len"]
            head = [format_tokens(length), batch, format_ms(row["latency_ms"])]
            rows.append([*head, _interval(row, ""), *tail])
    return rows


def _load(row: pd.Series[Any]) -> str:
    """Say how many sequences, or how many requests in flight or per second."""
    known = [
        text.format(format_tokens(row[name]))
        for name, text in (("batch_size", "batch {}"), ("concurrency", "{} in flight"))
        if name in row
    ]
    known += [f"{row['request_rate']:g} a second"] if "request_rate" in row else []
    return ", ".join(known) or "batch 1"


def _with_interval(row: pd.Series[Any], prefix: str, level: float) -> str:
    value = row[f"{prefix or 'latency_'}ms"]
    if value != value:
        return "n/a (one output token has no gap)"
    return f"{format_ms(value):<9} {level * 100:g} % interval {_interval(row, prefix)}"


def _interval(row: pd.Series[Any], prefix: str) -> str:
    return f"{format_ms(row[f'{prefix}lo_ms'])} to {format_ms(row[f'{prefix}hi_ms'])}"


def _standing(row: pd.Series[Any]) -> list[str]:
    factor = row["extrapolation_factor"]
    if row["in_domain"]:
        where = "inside what was measured"
    elif factor > 1:
        where = f"extrapolated: {factor:.3g} times the longest length measured"
    else:
        where = "outside the batches or lengths that were measured"
    sources = str(row["provenance"]).replace("; decode: ", "\n  decode: ").split("\n")
    return [f"  {where}; bound by {row['regime']}", *(f"  {s.strip()}" for s in sources)]
