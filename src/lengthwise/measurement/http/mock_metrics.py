"""The histograms of vLLM, filled by the mock server."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

TTFT_BOUNDS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
ITL_BOUNDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0)
E2E_BOUNDS = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0)
TOKEN_BOUNDS = (1.0, 10.0, 100.0, 1000.0, 10000.0, 100000.0)
NS = 1e-9


class _Histogram:
    def __init__(self, name: str, bounds: Sequence[float]) -> None:
        self.name, self.bounds = name, bounds
        self.counts, self.total, self.n = [0] * len(bounds), 0.0, 0

    def add(self, value: float) -> None:
        self.n, self.total = self.n + 1, self.total + value
        for i, bound in enumerate(self.bounds):
            self.counts[i] += value <= bound

    def lines(self, labels: str) -> list[str]:
        counts = zip(self.bounds, self.counts, strict=True)
        return [
            f"# HELP {self.name} Histogram.", f"# TYPE {self.name} histogram",
            *(f'{self.name}_bucket{{{labels},le="{b}"}} {c:.1f}' for b, c in counts),
            f'{self.name}_bucket{{{labels},le="+Inf"}} {self.n:.1f}',
            f"{self.name}_sum{{{labels}}} {self.total}",
            f"{self.name}_count{{{labels}}} {self.n:.1f}",
        ]  # fmt: skip


class Metrics:
    """Histograms of time to first token, gaps, whole requests, and lengths."""

    def __init__(self, model: str) -> None:
        self._labels = f'engine="0",model_name="{model}"'
        self._ttft = _Histogram("vllm:time_to_first_token_seconds", TTFT_BOUNDS)
        self._itl = _Histogram("vllm:inter_token_latency_seconds", ITL_BOUNDS)
        self._e2e = _Histogram("vllm:e2e_request_latency_seconds", E2E_BOUNDS)
        self._prompt = _Histogram("vllm:request_prompt_tokens", TOKEN_BOUNDS)
        self._output = _Histogram("vllm:request_generation_tokens", TOKEN_BOUNDS)

    def observe(
        self, received_ns: int, sent_ns: Sequence[int], closed_ns: int, isl: int, osl: int
    ) -> None:
        """Add one complete request."""
        self._ttft.add((sent_ns[0] - received_ns) * NS)
        for before, after in pairwise(sent_ns):
            self._itl.add((after - before) * NS)
        self._e2e.add((closed_ns - received_ns) * NS)
        self._prompt.add(isl)
        self._output.add(osl)

    def text(self) -> str:
        """Write the metrics as Prometheus text."""
        every = (self._ttft, self._itl, self._e2e, self._prompt, self._output)
        done = f"vllm:request_success_total{{{self._labels}}} {float(self._e2e.n)}"
        lines = [line for one in every for line in one.lines(self._labels)]
        return "\n".join([*lines, "# TYPE vllm:request_success counter", done]) + "\n"
