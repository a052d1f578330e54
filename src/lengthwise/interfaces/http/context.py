"""What every handler needs: settings, store, the law in use, and what is counted of both."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lengthwise.interfaces.http.metrics import (
    TPOT_BOUNDS_S,
    TTFT_BOUNDS_S,
    Counter,
    Histogram,
)
from lengthwise.interfaces.http.problems import HttpError
from lengthwise.interfaces.service.current import CurrentLaw
from lengthwise.interfaces.service.settings import ServiceSettings
from lengthwise.interfaces.service.store import Store
from lengthwise.units import FloatArray

NOT_READY = "Models not ready"
"""What llm-d's client reads in a 503."""


@dataclass(frozen=True)
class Counts:
    """What is counted of predictions and observations in this worker."""

    predictions: Counter = field(default_factory=lambda: Counter(
        "lengthwise_predictions_total", "Rows predicted, by whether the law knows such rows.",
        ("domain",)))  # fmt: skip
    ttft: Histogram = field(default_factory=lambda: Histogram(
        "lengthwise_predicted_time_to_first_token_seconds",
        "Predicted TTFT, on the bounds of vLLM's histogram.", TTFT_BOUNDS_S))  # fmt: skip
    tpot: Histogram = field(default_factory=lambda: Histogram(
        "lengthwise_predicted_time_per_output_token_seconds",
        "Predicted TPOT, on the bounds of vLLM's histogram.", TPOT_BOUNDS_S))  # fmt: skip
    ttft_error: Histogram = field(default_factory=lambda: Histogram(
        "lengthwise_time_to_first_token_absolute_error_seconds",
        "Observed TTFT against the law in use when it arrived.", TTFT_BOUNDS_S))  # fmt: skip
    tpot_error: Histogram = field(default_factory=lambda: Histogram(
        "lengthwise_time_per_output_token_absolute_error_seconds",
        "Observed TPOT against the law in use when it arrived.", TPOT_BOUNDS_S))  # fmt: skip
    observations: Counter = field(default_factory=lambda: Counter(
        "lengthwise_observations_total", "Observations taken, by what became of them.",
        ("result",)))  # fmt: skip

    def predicted(self, ttft_s: FloatArray, tpot_s: FloatArray, inside: int) -> None:
        """Count predicted rows; times of shape (n,), seconds."""
        self.ttft.observe(ttft_s)
        self.tpot.observe(tpot_s)
        if inside:
            self.predictions.add(inside, "inside")
        if len(ttft_s) - inside:
            self.predictions.add(len(ttft_s) - inside, "outside")

    def lines(self) -> list[str]:
        """Text of all metrics here."""
        metrics = (self.predictions, self.ttft, self.tpot, self.ttft_error, self.tpot_error,
                   self.observations)  # fmt: skip
        return [line for metric in metrics for line in metric.lines()]


@dataclass(frozen=True)
class Context:
    """Settings, store and law of this worker.

    Attributes
    ----------
    store
        None in a prediction replica.
    """

    settings: ServiceSettings
    store: Store | None
    current: CurrentLaw
    counts: Counts = field(default_factory=Counts)

    @property
    def is_ready(self) -> bool:
        """Whether predictions are given: always, unless 503 is wanted until the error is known."""
        return self.current.ready or not self.settings.unready_503

    @property
    def suspect(self) -> dict[str, Any]:
        """What the probes add while errors that are told may not be true."""
        why = dict(self.current.law.suspect)
        return {"suspect": why} if why else {}

    def require_ready(self) -> None:
        """Raise an `HttpError` 503 while predictions are not given."""
        if not self.is_ready:
            raise HttpError(
                503, "the error of the law must be known before it answers",
                got="too few observations so far", remedy="observe, or start without --unready-503",
                detail=NOT_READY,
            )  # fmt: skip

    @property
    def kept(self) -> Store:
        """The store; `HttpError` 404 in a prediction replica, which has none."""
        if self.store is None:
            raise HttpError(404, "this endpoint needs the training role",
                            got="a prediction replica", remedy="ask the trainer")  # fmt: skip
        return self.store

    @property
    def objective(self) -> str:
        """`mean` or `quantile`, as llm-d spells them."""
        return self.settings.objective

    @property
    def alpha(self) -> float | None:
        """The quantile that llm-d's endpoints predict; None: the mean."""
        return self.settings.alpha if self.settings.objective == "quantile" else None

    @property
    def loaded_at(self) -> str | None:
        """When the law was taken into use."""
        loaded_s = self.current.loaded_s
        return None if loaded_s is None else when(loaded_s)


def when(time_s: float) -> str:
    """Time as RFC 3339 with an offset.

    >>> when(0.25)
    '1970-01-01T00:00:00.250000+00:00'
    """
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="microseconds")
