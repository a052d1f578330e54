"""How a learner begins: from its stored state, from a law, or from nothing."""

from __future__ import annotations

import json
from contextlib import suppress

from lengthwise.calibration.online.learner import OnlineLearner
from lengthwise.calibration.online.settings import LearnerSettings
from lengthwise.errors import LengthwiseError
from lengthwise.formulations.online.law import OnlineLaw
from lengthwise.interfaces.service.current import parse_law, read_kept, seed
from lengthwise.interfaces.service.settings import ServiceSettings
from lengthwise.interfaces.service.store import Store


def resume(text: str) -> OnlineLearner | None:
    """Read the stored state of a learner; None when this version cannot."""
    try:
        return OnlineLearner.from_dict(json.loads(text))
    except Exception:  # whatever is wrong with it, it is learnt again
        return None


def begin(settings: ServiceSettings, store: Store) -> OnlineLearner:
    """Begin from the active law, the seed, or the last good law of this directory."""
    learner_settings = LearnerSettings(min_rows=settings.min_rows)
    return OnlineLearner(learner_settings, prior=_prior(settings, store))


def _prior(settings: ServiceSettings, store: Store) -> OnlineLaw | None:
    found = store.active()
    with suppress(LengthwiseError):
        if found is not None and found[2] is not None:
            return parse_law(found[2])
    law = seed(settings)
    if law is None:
        with suppress(LengthwiseError, OSError, UnicodeDecodeError):
            law = read_kept(settings.state / "law.json")
    return law
