"""Gauges read from the state that all workers share: law, learning, drift, what waits."""

from __future__ import annotations

from collections import Counter as Tallied
from time import time
from typing import Any

import numpy as np

from lengthwise.interfaces.http.context import Context
from lengthwise.interfaces.http.metrics import Labels, gauge, head, sample
from lengthwise.interfaces.service.store import ServiceUnavailable, Store

TARGETS = ("ttft", "tpot")
TRAINER = {
    "lengthwise_training_round_seconds": (
        "gauge", "last_round_s", "Time the last round of training took."),
    "lengthwise_training_rounds_total": ("counter", "rounds", "Rounds of training."),
    "lengthwise_training_rows_total": ("counter", "rows", "Observations training went through."),
    "lengthwise_training_cpu_seconds_total": ("counter", "cpu_s", "CPU time of the trainer."),
    "lengthwise_training_resident_bytes": ("gauge", "rss_bytes", "Memory of the trainer."),
}  # fmt: skip
"""Metric to its kind, the trainer's name of it, and what it is."""
DRIFT = {
    "lengthwise_set_aside_ratio": (
        "set_aside_share", "Share of the latest rows that were not believed."),
    "lengthwise_mean_relative_error_of_all_rows": (
        "error_of_all_rows", "Mean relative error on the latest rows, believed or not."),
    "lengthwise_drift_rung": (
        "rung", "How far up the ladder against drift the law is; 0: no drift."),
    "lengthwise_interval_widening_ratio": (
        "widen", "How much intervals are widened because of drift; 1: not at all."),
}  # fmt: skip


def state_lines(context: Context) -> list[str]:
    """Text of all of them; without what is kept while the database is away."""
    if context.store is None:
        return _law(context)
    try:
        kept, is_up = _kept(context.store), True
    except ServiceUnavailable:
        kept, is_up = [], False
    up = gauge("lengthwise_store_up", "Whether what is kept can be read.", {(): float(is_up)})
    return [*_law(context), *up, *kept]


def _law(context: Context) -> list[str]:
    law, loaded_s = context.current.law, context.current.loaded_s
    by_target = ("target",)
    known: dict[Labels, float] = {
        (t,): float(e) for t in TARGETS if (e := law.error.get(t)) is not None
    }
    lines = [
        *gauge("lengthwise_law_version", "Version of the law in use.", {(): law.version}),
        *gauge("lengthwise_law_ready", "Whether the error of a target is known.",
               {(t,): float(bool(law.ready.get(t))) for t in TARGETS}, by_target),
        *gauge("lengthwise_rows_learnt", "Observations the law in use has learnt from.",
               {(t,): float(law.learnt.get(t, 0)) for t in TARGETS}, by_target),
        *gauge("lengthwise_median_relative_error",
               "Recent median absolute relative error on rows not learnt from.", known, by_target),
        *gauge("lengthwise_law_suspect",
               "1 while a target's rows contradict its law: errors told may not be true.",
               {(t,): float(t in law.suspect) for t in TARGETS}, by_target),
        *gauge("lengthwise_law_problem", "1 while the source of laws cannot be read.",
               {(): float(bool(context.current.problem))}),
    ]  # fmt: skip
    if loaded_s is not None:
        lines += gauge("lengthwise_law_age_seconds", "Time since the law was taken into use.",
                       {(): max(0.0, time() - loaded_s)})  # fmt: skip
    return lines


def _kept(store: Store) -> list[str]:
    counts = store.counts()
    live = store.get("live") or {}
    lost = sum(int(found["rows_lost"]) for found in store.damage())
    quarantined: dict[Labels, float] = {
        (reason,): float(n) for reason, n in counts["quarantined"].items()
    }
    return [
        *gauge("lengthwise_observations_stored", "Observations kept.", {(): counts["stored"]}),
        *gauge("lengthwise_observations_waiting", "Observations not learnt yet.",
               {(): counts["waiting"]}),
        *gauge("lengthwise_write_queue_bytes", "Bodies that wait for the disk.",
               {(): counts.get("waiting_bytes", 0)}),
        *_total("lengthwise_observations_accepted_total", "Observations accepted ever.",
                {(): float(counts["accepted"])}),
        *_total("lengthwise_observations_duplicate_total", "Observations sent again.",
                {(): float(counts["duplicates"])}),
        *_total("lengthwise_quarantined_total", "Observations never learnt from, by reason.",
                quarantined, ("reason",)),
        *gauge("lengthwise_observations_lost", "Observations lately lost by damage to the state.",
               {(): float(lost)}),
        *_coverage(live),
        *_events(live.get("events", [])),
        *_training(store.get("trainer") or {}),
    ]  # fmt: skip


def _total(name: str, help_text: str, values: dict[Labels, float],
           labels: tuple[str, ...] = ()) -> list[str]:  # fmt: skip
    lines = head(name, "counter", help_text)
    return lines + [sample(name, zip(labels, k, strict=True), v) for k, v in values.items()]


def _coverage(live: dict[str, Any]) -> list[str]:
    covered: dict[Labels, float] = {}
    for target in TARGETS:
        recent = live.get("recent", {}).get(target, {})
        if recent.get("observed_ms"):
            seen, lo, hi = (np.array(recent[k]) for k in ("observed_ms", "lo_ms", "hi_ms"))
            covered[(target,)] = float(((seen >= lo) & (seen <= hi)).mean())
    return gauge("lengthwise_interval_coverage_ratio",
                 "Share of recent observations inside their 90 % interval.", covered,
                 ("target",))  # fmt: skip


def _events(events: list[dict[str, Any]]) -> list[str]:
    found = Tallied((str(e.get("kind", "")), str(e.get("target", ""))) for e in events)
    return gauge("lengthwise_recent_events", "Changes noted lately, by kind and target.",
                 {k: float(n) for k, n in found.items()}, ("kind", "target"))  # fmt: skip


def _training(status: dict[str, Any]) -> list[str]:
    """Numbers of the trainer's own report; none until it made one."""
    lines: list[str] = []
    for name, (kind, key, help_text) in TRAINER.items():
        value = status.get(key)
        if isinstance(value, (int, float)):
            write = gauge if kind == "gauge" else _total
            lines += write(name, help_text, {(): float(value)})
    now_s = status.get("now_s")
    if isinstance(now_s, (int, float)):
        lines += gauge("lengthwise_training_report_age_seconds",
                       "Time since the trainer last reported.",
                       {(): max(0.0, time() - now_s)})  # fmt: skip
    targets = (status.get("learner") or {}).get("targets") or {}
    for name, (key, help_text) in DRIFT.items():
        found: dict[Labels, float] = {
            (target,): float(of[key]) for target, of in targets.items() if of.get(key) is not None
        }
        lines += gauge(name, help_text, found, ("target",))
    return lines
