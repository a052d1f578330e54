"""Honest rows of a known law, and twenty kinds of bad ones.

Every kind is a function of honest rows: it takes columns and random numbers and returns columns in
which something is wrong. ``ttft_s`` and ``tpot_s`` are what a client reports.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Columns = dict[str, Any]
NUMBERS = (
    "input_tokens", "cached_share", "kv_share", "waiting", "running", "prefill_in_flight",
    "decode_in_flight",
)  # fmt: skip
PODS = 4
NOISE = {"ttft": 0.08, "tpot": 0.05}
TARGETS = ("ttft", "tpot")
SPEED = np.array([1.0, 1.15, 0.9, 1.0])
CAP_S, HUNG_S = 30.0, 600.0


def honest(n: int, seed: int) -> tuple[Columns, dict[str, Any]]:
    """Columns of n rows with noise, and the true medians of both targets in seconds."""
    rng = np.random.default_rng(seed)
    tokens = np.exp(rng.normal(7.2, 1.0, n)).clip(16, 32000).astype(int).astype(float)
    running = rng.integers(0, 48, n).astype(float)
    waiting = np.where(running > 40, rng.integers(0, 6, n), 0).astype(float)
    cached = np.where(rng.random(n) < 0.4, rng.random(n) * 0.8, 0.0)
    kv = np.clip(running / 60 + 0.05 * rng.random(n), 0, 1)
    ahead = np.where(rng.random(n) < 0.5, rng.integers(0, 8192, n), 0).astype(float)
    pod = rng.integers(0, PODS, n)
    work = tokens * (1 - cached)
    true = {
        "ttft": SPEED[pod] * (
            0.018 + 7e-5 * work + 1.6e-9 * work * (tokens - work / 2) + 5e-5 * ahead
            + 0.05 * waiting + 3e-4 * running
        ),
        "tpot": SPEED[pod] * (
            0.009 + 1.4e-4 * running + 6e-8 * tokens + 0.003 * kv + 2e-7 * ahead
        ),
    }  # fmt: skip
    columns: Columns = {
        "input_tokens": tokens, "cached_share": cached, "kv_share": kv, "waiting": waiting,
        "running": running, "prefill_in_flight": ahead, "decode_in_flight": running * 900.0,
        "pod": np.array([f"pod-{p}" for p in pod], dtype=object),
        "pod_type": np.full(n, "", dtype=object),
        **{f"{t}_s": true[t] * np.exp(rng.normal(0, NOISE[t], n)) for t in TARGETS},
    }  # fmt: skip
    return columns, true


def take(columns: Columns, index: Any) -> Columns:
    """Select rows."""
    return {name: values[index] for name, values in columns.items()}


def _scaled(factor: float) -> Callable[[Columns, np.random.Generator], Columns]:
    def scale(rows: Columns, rng: np.random.Generator) -> Columns:
        return rows | {f"{t}_s": rows[f"{t}_s"] * factor for t in TARGETS}

    return scale


def constant(rows: Columns, rng: np.random.Generator) -> Columns:
    """Give the same latencies whatever is asked."""
    n = len(rows["ttft_s"])
    return rows | {"ttft_s": np.full(n, 2.5), "tpot_s": np.full(n, 0.25)}


def zero_tokens(rows: Columns, rng: np.random.Generator) -> Columns:
    """Prompts of no tokens."""
    return rows | {"input_tokens": np.zeros(len(rows["ttft_s"]))}


def _idle(rows: Columns, tokens: float = 300.0) -> Columns:
    zero = np.zeros(len(rows["ttft_s"]))
    names = ("cached_share", "kv_share", "waiting", "running", "prefill_in_flight",
             "decode_in_flight")  # fmt: skip
    return rows | dict.fromkeys(names, zero) | {"input_tokens": zero + tokens}


def hung(rows: Columns, rng: np.random.Generator) -> Columns:
    """Let requests hang for ten minutes on idle pods."""
    return _idle(rows) | {"ttft_s": np.full(len(rows["ttft_s"]), HUNG_S)}


def timed_out(rows: Columns, rng: np.random.Generator) -> Columns:
    """Report requests a proxy cut off as answers that took as long as it waited."""
    n = len(rows["ttft_s"])
    return rows | {"ttft_s": np.full(n, CAP_S), "tpot_s": np.full(n, np.nan)}


def garbage(rows: Columns, rng: np.random.Generator) -> Columns:
    """Random latencies over eight decades."""
    n = len(rows["ttft_s"])
    return rows | {
        "ttft_s": np.exp(rng.uniform(np.log(1e-3), np.log(8e4), n)),
        "tpot_s": np.exp(rng.uniform(np.log(2e-5), np.log(8e4), n)),
    }


def identical(rows: Columns, rng: np.random.Generator) -> Columns:
    """One wrong row again and again."""
    n = len(rows["ttft_s"])
    return _idle(rows, 500.0) | {
        "running": np.full(n, 2.0), "kv_share": np.full(n, 0.1),
        "pod": np.full(n, "pod-0", dtype=object),
        "ttft_s": np.full(n, 5.0), "tpot_s": np.full(n, 0.9),
    }  # fmt: skip


def swapped_targets(rows: Columns, rng: np.random.Generator) -> Columns:
    """TTFT and TPOT in each other's place."""
    return rows | {"ttft_s": rows["tpot_s"], "tpot_s": rows["ttft_s"]}


def swapped_tokens(rows: Columns, rng: np.random.Generator) -> Columns:
    """Tokens of the answer where those of the prompt belong."""
    return rows | {
        "input_tokens": np.exp(rng.normal(4.5, 0.8, len(rows["ttft_s"]))).clip(2).round()
    }


def one_client(rows: Columns, rng: np.random.Generator) -> Columns:
    """One client whose clock is off by some seconds, at any pod."""
    return rows | {"ttft_s": rows["ttft_s"] + 3.0, "tpot_s": rows["tpot_s"] * 20.0}


def one_pod(rows: Columns, rng: np.random.Generator) -> Columns:
    """One pod that honest rows come from too, 50 times too slow."""
    pod = np.full(len(rows["ttft_s"]), "pod-0", dtype=object)
    return _scaled(50.0)(rows, rng) | {"pod": pod}


def junk_types(rows: Columns, rng: np.random.Generator) -> Columns:
    """Pod types that nobody has, with latencies ten times too long."""
    kinds = np.array([f"junk-{i}" for i in range(len(rows["ttft_s"]))], dtype=object)
    return _scaled(10.0)(rows, rng) | {"pod_type": kinds}


def drifting(rows: Columns, rng: np.random.Generator) -> Columns:
    """Latencies that creep up to 20 times and back again."""
    n = len(rows["ttft_s"])
    factor = 20.0 ** (1 - np.abs(np.linspace(-1, 1, n)))
    return rows | {f"{t}_s": rows[f"{t}_s"] * factor for t in TARGETS}


def reversed_length(rows: Columns, rng: np.random.Generator) -> Columns:
    """Long prompts fast and short ones slow."""
    return rows | {"ttft_s": 400.0 / rows["input_tokens"], "tpot_s": 0.3 / (1 + rows["running"])}


def duplicated(rows: Columns, rng: np.random.Generator) -> Columns:
    """One honest row again and again."""
    return take(rows, np.zeros(len(rows["ttft_s"]), dtype=int))


def tpot_zero(rows: Columns, rng: np.random.Generator) -> Columns:
    """No TPOT, and a TTFT of the whole answer."""
    n = len(rows["ttft_s"])
    whole = rows["ttft_s"] + rows["tpot_s"] * rng.integers(100, 800, n)
    return rows | {"ttft_s": whole, "tpot_s": np.zeros(n)}


def whole_answer(rows: Columns, rng: np.random.Generator) -> Columns:
    """TTFT of the whole answer, TPOT right."""
    whole = rng.integers(100, 800, len(rows["ttft_s"]))
    return rows | {"ttft_s": rows["ttft_s"] + rows["tpot_s"] * whole}


def stale(rows: Columns, rng: np.random.Generator) -> Columns:
    """Replay a few rows from before an update that halved everything."""
    few = rng.integers(0, min(200, len(rows["ttft_s"])), len(rows["ttft_s"]))
    return _scaled(2.0)(take(rows, few), rng)


KINDS: dict[str, Callable[[Columns, np.random.Generator], Columns]] = {
    "times_1000": _scaled(1e3), "over_1000": _scaled(1e-3), "times_60": _scaled(60.0),
    "times_1e6": _scaled(1e6), "constant": constant, "zero_tokens": zero_tokens, "hung": hung,
    "timed_out": timed_out, "garbage": garbage, "identical": identical,
    "swapped_targets": swapped_targets, "swapped_tokens": swapped_tokens,
    "one_client": one_client, "one_pod": one_pod, "junk_types": junk_types,
    "drifting": drifting, "reversed_length": reversed_length, "duplicated": duplicated,
    "tpot_zero": tpot_zero, "whole_answer": whole_answer, "stale": stale,
}  # fmt: skip


def mixed(kind: str, share: float, where: str, n: int, seed: int) -> tuple[Columns, int]:
    """Honest rows with a share of bad ones among, before or after them; also how many are bad.

    ``where``: spread, burst (all at once in the middle), start, end.
    """
    rng = np.random.default_rng([seed, 17])
    good, _ = honest(n, seed)
    bad_n = round(share * n / (1 - share))
    bad = KINDS[kind](take(good, rng.integers(0, n, bad_n)), rng)
    both = {name: np.concatenate([good[name], bad[name]]) for name in good}
    half = n // 2
    new = np.arange(n, n + bad_n)
    if where == "spread":
        order = np.empty(n + bad_n, dtype=int)
        at = np.zeros(n + bad_n, dtype=bool)
        at[rng.choice(n + bad_n, bad_n, replace=False)] = True
        order[at], order[~at] = new, np.arange(n)
    elif where == "burst":
        order = np.concatenate([np.arange(half), new, np.arange(half, n)])
    elif where == "start":
        order = np.concatenate([new, np.arange(n)])
    else:
        order = np.concatenate([np.arange(n), new])
    return take(both, order), bad_n
