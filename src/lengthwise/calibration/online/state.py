"""State of a learner as plain JSON: learning goes on exactly where it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lengthwise.calibration.online.doubt import Doubt
from lengthwise.calibration.online.drift import Detector
from lengthwise.calibration.online.events import Event
from lengthwise.calibration.online.gate import Gate
from lengthwise.calibration.online.history import History
from lengthwise.calibration.online.labels import Labels
from lengthwise.calibration.online.ladder import Ladder
from lengthwise.calibration.online.memory import Memory
from lengthwise.calibration.online.model import Model
from lengthwise.calibration.online.pace import Pace
from lengthwise.calibration.online.packing import pack, unpack
from lengthwise.calibration.online.repeats import Repeats
from lengthwise.calibration.online.residuals import Residuals
from lengthwise.calibration.online.score import Score
from lengthwise.calibration.online.settings import LearnerSettings
from lengthwise.calibration.online.target import TargetLearner
from lengthwise.calibration.online.trial import Shadow
from lengthwise.calibration.online.trusted import Shelf
from lengthwise.calibration.online.weighing import Weighing
from lengthwise.errors import ArtifactError, LengthwiseError
from lengthwise.formulations.online.context import Frame

if TYPE_CHECKING:
    from lengthwise.calibration.online.learner import OnlineLearner

SCHEMA_VERSION = 1
_COUNTS = ("seen", "learnt", "version", "fits", "since_fit", "soon", "unsummed", "followed",
           "explained_at", "begun", "confirmed_at")  # fmt: skip


def describe(target: TargetLearner) -> dict[str, Any]:
    """Tell people what a target has learnt."""
    return {
        "suspect": target.suspect, "set_aside_share": target.gate.share,
        "error_of_all_rows": target.score.ordinary,
        "ready": target.ready, "seen": target.seen, "learnt": target.learnt,
        "error": target.error, "version": target.version, "fits": target.fits,
        "memory": len(target.memory), "held_out": len(target.holdout),
        "correction": target.weighing.on and target.model.correction is not None,
        "correction_share": target.model.trust if target.model.correction is not None else 0.0,
        "rung": target.ladder.rung, "widen": target.ladder.widen, "gamma": target.model.gamma,
        "long_run": target.long_run, "followed": target.followed,
        "changed_by": float(np.exp(target.shift)),
    }  # fmt: skip


def learner_to_dict(learner: OnlineLearner) -> dict[str, Any]:
    """Write a learner."""
    return {
        "kind": "online_learner", "schema_version": SCHEMA_VERSION,
        "settings": learner.settings.to_dict(), "labels": learner.labels.to_dict(),
        "frame": learner.frame.to_dict(), "events": [e.to_dict() for e in learner.events],
        "ignored": learner.ignored, "repeats": learner.repeats.to_dict(),
        "rng": learner._rng.bit_generator.state,
        "targets": {name: target_to_dict(t) for name, t in learner.targets.items()},
    }  # fmt: skip


def learner_from_dict(kind: type[OnlineLearner], data: Mapping[str, Any]) -> OnlineLearner:
    """Read a learner back."""
    if not isinstance(data, Mapping) or data.get("schema_version") != SCHEMA_VERSION:
        raise ArtifactError(
            f"the state of a learner has schema version {SCHEMA_VERSION}",
            got=str(data.get("schema_version") if isinstance(data, Mapping) else type(data)),
            remedy="learn anew from the stored observations",
        )
    try:
        learner = kind(LearnerSettings.from_dict(data["settings"]))
        learner.labels = Labels.from_dict(data["labels"])
        learner.frame = Frame.from_dict(data["frame"])
        learner.events = [Event.from_dict(e) for e in data["events"]]
        learner.ignored = int(data["ignored"])
        if "repeats" in data:
            learner.repeats = Repeats.from_dict(data["repeats"])
        learner._rng.bit_generator.state = data["rng"]
        for name, target in learner.targets.items():
            read_target(target, data["targets"][name])
        learner._law = None
    except LengthwiseError:
        raise
    except (LookupError, ArithmeticError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            "the state of a learner must be complete and undamaged",
            got=f"{type(error).__name__}: {error}",
            remedy="learn anew from the stored observations",
        ) from None
    return learner


def target_to_dict(target: TargetLearner) -> dict[str, Any]:
    """Write one target."""
    shadow, detector = target.shadow, target.detector
    return {
        "model": target.model.to_dict(), "anchor": target.anchor.to_dict(),
        "prior": [pack(p) for p in target.prior], "memory": target.memory.to_dict(),
        "holdout": target.holdout.to_dict(), "residuals": target.residuals.to_dict(),
        "anchored": list(target.anchored), "ladder": target.ladder.to_dict(), "shift": target.shift,
        "counts": {name: getattr(target, name) for name in _COUNTS},
        "score": target.score.to_dict(), "gate": target.gate.to_dict(),
        "doubt": target.doubt.to_dict(), "shelf": target.shelf.to_list(),
        "history": target.history.to_list(),
        "weighing": target.weighing.to_dict(), "pace": target.pace.to_dict(),
        "detector": None if detector is None else detector.to_dict(),
        "shadow": None if shadow is None else {
            "model": shadow.model.to_dict(), "rows": shadow.rows,
            "before": float(shadow.before), "after": float(shadow.after),
        },
    }  # fmt: skip


def read_target(target: TargetLearner, data: Mapping[str, Any]) -> None:
    """Read one target back into a new learner."""
    target.model, target.anchor = Model.from_dict(data["model"]), Model.from_dict(data["anchor"])
    mean, covariance = (unpack(p) for p in data["prior"])
    target.prior = (mean, covariance)
    target.memory = Memory.from_dict(data["memory"])
    target.holdout = Memory.from_dict(data["holdout"])
    target.residuals = Residuals.from_dict(data["residuals"])
    target.ladder = Ladder.from_dict(data["ladder"])
    target.shift = float(data["shift"])
    target.anchored = int(data["anchored"][0]), int(data["anchored"][1])
    for name in _COUNTS:
        setattr(target, name, int(data["counts"].get(name, 0)))
    if "score" in data:
        target.score, target.gate = Score.from_dict(data["score"]), Gate.from_dict(data["gate"])
        target.doubt, target.shelf = Doubt.from_dict(data["doubt"]), Shelf.from_list(data["shelf"])
    else:  # written before rows were doubted
        target.score.believed = target.score.every = unpack(data["errors"])
        target.doubt.trust = target.learnt
    target.history = History.from_list(data.get("history", ()))
    target.pace = Pace.from_dict(data["pace"]) if "pace" in data else Pace()
    target.weighing = Weighing.from_dict(data["weighing"]) if "weighing" in data else Weighing()
    if target.detector is not None:
        target.detector = Detector.from_dict(data["detector"])
    if data["shadow"] is not None:
        shadow = Shadow(Model.from_dict(data["shadow"]["model"]))
        shadow.rows = int(data["shadow"]["rows"])
        shadow.before, shadow.after = (float(data["shadow"][k]) for k in ("before", "after"))
        target.shadow = shadow
