"""What a per-token study found, as objects and ready for JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from lengthwise.evaluation.per_token.diagnosis import Diagnosis
from lengthwise.evaluation.per_token.divide import Division
from lengthwise.evaluation.per_token.events import Events
from lengthwise.evaluation.per_token.features import Level, Presence
from lengthwise.evaluation.per_token.figures import Figures
from lengthwise.evaluation.per_token.thesis import PUBLISHED, ThesisFigures
from lengthwise.evaluation.per_token.worth import Worth
from lengthwise.evaluation.result import jsonable


@dataclass(frozen=True)
class Score:
    """One predictor on one division; where it failed, ``reason`` stands in for ``figures``."""

    division: str
    predictor: str
    features: str
    figures: Figures | None
    reason: str = ""


@dataclass(frozen=True)
class SubjectStudy:
    """The study of one model on one machine in one engine.

    Attributes
    ----------
    events
        What was studied.
    thesis
        The thesis's own figures, of these events.
    divisions
        The ways of holding events out.
    scores
        Every predictor on every division.
    diagnosis
        Where the error of the pooled events comes from.
    presence
        Which features are there, constant or absent.
    worth
        What each group of features buys.
    predictions
        Predictions of the test events: ``row``, ``division``, ``predictor``, ``features``,
        ``actual_ms``, ``predicted_ms``.
    """

    events: Events
    thesis: ThesisFigures
    divisions: tuple[Division, ...]
    scores: tuple[Score, ...]
    diagnosis: Diagnosis
    presence: tuple[Presence, ...]
    worth: tuple[Worth, ...]
    predictions: pd.DataFrame

    def score(self, division: str, predictor: str, features: str | None = None) -> Score:
        """Find a score, by the first set of features it was given where none is named."""
        for one in self.scores:
            if (one.division, one.predictor) == (division, predictor) and features in (
                None, one.features,
            ):  # fmt: skip
                return one
        raise KeyError((division, predictor, features))

    def to_dict(self) -> dict[str, Any]:
        """Give everything but the single predictions, ready for JSON."""
        diagnosis = asdict(self.diagnosis)
        slow = diagnosis["slow"]
        slow["rows"] = self.events.frame["row"].to_numpy()[slow.pop("mask")].tolist()
        found: dict[str, Any] = jsonable({
            "subject": self.events.name, "events": len(self.events),
            "requests": int(self.events.frame["request_code"].nunique()),
            "requests_from": self.events.requests_from, "set_aside": self.events.set_aside,
            "notes": self.events.notes,
            "thesis_protocol": asdict(self.thesis) | {"one_event_ms": self.thesis.one_event_ms},
            "divisions": [
                {"name": d.name, "title": d.title, "folds": len(d.folds), "skipped": d.skipped}
                for d in self.divisions
            ],
            "scores": [asdict(score) for score in self.scores],
            "diagnosis": diagnosis,
            "features": [asdict(p) for p in self.presence],
            "worth": [asdict(worth) for worth in self.worth],
        })  # fmt: skip
        return found


@dataclass(frozen=True)
class PerTokenStudy:
    """Studies of all subjects of a table.

    Attributes
    ----------
    subjects
        One study per model, machine and engine.
    seed, features
        How it was made.
    """

    subjects: tuple[SubjectStudy, ...]
    seed: int
    features: Level

    def to_dict(self) -> dict[str, Any]:
        """Give the study, ready for JSON; the thesis's published figures stand beside ours."""
        published = asdict(PUBLISHED) | {"one_event_ms": PUBLISHED.one_event_ms}
        return {
            "seed": self.seed, "feature_level": self.features,
            "published_by_the_thesis": published,
            "subjects": [subject.to_dict() for subject in self.subjects],
        }  # fmt: skip
