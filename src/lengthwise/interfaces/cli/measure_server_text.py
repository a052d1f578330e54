"""How a measurement of a server looks: live line, final table, warnings."""

from __future__ import annotations

import sys
import time
from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Any

from lengthwise.interfaces.cli.common import log, print_table
from lengthwise.measurement.http.summary import MANY

if TYPE_CHECKING:
    from lengthwise.measurement.http.client import Client
    from lengthwise.measurement.http.record import Record
    from lengthwise.measurement.http.server_run import ServerRun

REDRAW_S, LOG_S = 0.2, 5.0
RECENT = 200
NAMES = {"ttft_ms": "TTFT (ms)", "tpot_ms": "TPOT (ms)", "itl_ms": "ITL (ms)",
         "e2e_ms": "E2E (ms)", "client_queue_ms": "client queue (ms)"}  # fmt: skip


class Live:
    """One line of progress: redrawn on a terminal, logged now and then elsewhere."""

    def __init__(self, points: int, quiet: bool) -> None:
        self._points, self._quiet = points, quiet
        self._tty = sys.stderr.isatty()
        self._next = 0.0
        self._client: Client | None = None

    def begin(self, outcome: ServerRun, client: Client) -> None:
        """Begin a point."""
        self.end()
        self._client, self._point = client, outcome.results[-1].point
        self._number = outcome.results[-1].number + 1
        self._done = self._failed = 0
        self._ttft: deque[float] = deque(maxlen=RECENT)
        self._itl: deque[float] = deque(maxlen=RECENT)
        self._start = time.monotonic()
        self._next = self._start + (0 if self._tty else LOG_S)
        if len(outcome.results) == 1 and not self._quiet:
            target = client.target
            prompts = "token ids" if target.ids else "words"
            engine = f" on {target.engine} {target.engine_version}".rstrip()
            log(f"{target.model}{engine if target.engine else ''} at {target.origin}"
                f"{target.path}, prompts of {prompts}")  # fmt: skip
        if not self._tty and not self._quiet:
            log(f"point {self._number} of {self._points}: {self._point.title}")

    def show(self, record: Record) -> None:
        """Take a finished request."""
        self._done, self._failed = self._done + record.ok, self._failed + (not record.ok)
        if record.ttft_ms is not None:
            self._ttft.append(record.ttft_ms)
        if record.tpot_ms is not None:
            self._itl.append(record.tpot_ms)
        now = time.monotonic()
        if self._quiet or now < self._next:
            return
        self._next = now + (REDRAW_S if self._tty else LOG_S)
        text = self._text(now)
        if self._tty:
            print(f"\r\x1b[2K{text[:118]}", end="", file=sys.stderr, flush=True)
        else:
            log(text)

    def end(self) -> None:
        """Take the line away."""
        if self._tty and self._client is not None and not self._quiet:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)

    def _text(self, now: float) -> str:
        total = f"/{self._point.total}" if self._point.total else ""
        rate = (self._done + self._failed) / max(now - self._start, 1e-3)
        figures = [
            f"{name} {median(values):.1f} ms"
            for name, values in (("TTFT", self._ttft), ("ITL", self._itl)) if values
        ]  # fmt: skip
        in_flight = self._client.in_flight if self._client else 0
        return ", ".join([
            f"[{self._number}/{self._points}] {self._point.title}: {self._done}{total} done",
            f"{self._failed} failed", f"{rate:.1f} req/s", *figures, f"{in_flight} in flight",
        ])  # fmt: skip


def show_summary(points: list[dict[str, Any]]) -> None:
    """Print the figures: every metric of a single point, or a line for each of several."""
    if len(points) == 1:
        _show_one(points[0])
    else:
        _show_many(points)
    starred = any(0 < p["metrics"]["e2e_ms"]["n"] < MANY for p in points)
    if starred:
        print(f"* p99 of fewer than {MANY} requests is little more than their maximum")
    failures = [item for point in points for item in point["failures"].items()]
    for label, example in {label: f["example"] for label, f in reversed(failures)}.items():
        n = sum(f["n"] for name, f in failures if name == label)
        print(f"{n} failed with {label}, for example: {example}")
    server = points[0].get("server") if len(points) == 1 else None
    if server:
        print(_server_line(server))


def _show_one(point: dict[str, Any]) -> None:
    few = point["metrics"]["e2e_ms"]["n"] < MANY
    rows = [
        [NAMES[name], *(_cell(stats[k]) for k in ("mean", "p50", "p90")),
         _cell(stats["p99"], few), f"{stats['n']:,}"]
        for name, stats in point["metrics"].items()
    ]  # fmt: skip
    print_table(("metric (unit)", "mean", "p50", "p90", "p99", "n"), rows, title=_title(point))
    if point["requests_per_s"] is not None:
        print(f"throughput: {point['requests_per_s']:.2f} requests/s, "
              f"{point['output_tokens_per_s']:.1f} output tokens/s, "
              f"{point['total_tokens_per_s']:.1f} tokens/s in and out")  # fmt: skip


def _show_many(points: list[dict[str, Any]]) -> None:
    columns = ("isl", "osl", "load", "TTFT p50 (ms)", "p99", "TPOT p50 (ms)", "ITL p99 (ms)",
               "E2E p50 (ms)", "req/s", "output tok/s", "n", "failed")  # fmt: skip
    rows = []
    for point in points:
        m, p = point["metrics"], point["point"]
        few = m["e2e_ms"]["n"] < MANY
        rows.append([
            p["isl"], p["osl"], p["load"], _cell(m["ttft_ms"]["p50"]),
            _cell(m["ttft_ms"]["p99"], few), _cell(m["tpot_ms"]["p50"]),
            _cell(m["itl_ms"]["p99"], few), _cell(m["e2e_ms"]["p50"]),
            _cell(point["requests_per_s"]), _cell(point["output_tokens_per_s"]),
            m["e2e_ms"]["n"], point["failed"],
        ])  # fmt: skip
    print_table(columns, rows)


def _title(point: dict[str, Any]) -> str:
    p = point["point"]
    return f"isl {p['isl']}, osl {p['osl']}, {p['load']}"


def _cell(value: float | None, few: bool = False) -> str:
    if value is None:
        return "-"
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 100 else 1
    return f"{value:.{digits}f}{'*' if few else ''}"


def _server_line(server: dict[str, Any]) -> str:
    names = {"ttft_ms": "TTFT", "itl_ms": "ITL", "e2e_ms": "E2E", "client_queue_ms": "queue"}
    means = [f"{title} {server[name]['mean']:.2f} ms" for name, title in names.items()
             if name in server]  # fmt: skip
    return f"means by the server itself (warm-up included): {', '.join(means)}"
