"""The file of a step law: JSON, versioned; it holds numbers and executes nothing.

::

    kind             "lengthwise-step-law"
    schema_version   1
    lengthwise_version, created (UTC date)
    formulation      "step"
    parameters       of StepLaw
    coefficients     factors on operator groups; interference of requests by engine
    heads            by quantity: process (rows, corrections, scales), trees (flat arrays), own
                     samples, known and unknown quantiles, error on left-out rows
    training         rows, deployments, only (labels, if it was one), longest_isl; null without a
                     fit

Times are seconds, corrections natural logarithms.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import lengthwise
from lengthwise.calibration.step.coefficients import StepCoefficients
from lengthwise.calibration.step.heads import Head
from lengthwise.data.law_files import STEP_LAW, refuse_other_kind
from lengthwise.data.output import write_text
from lengthwise.errors import ArtifactError
from lengthwise.formulations.typed_json import REMEDY
from lengthwise.prediction.law_json import SCHEMA_VERSION, check_version, parse
from lengthwise.prediction.step_checks import check_coefficients, check_head, check_training

if TYPE_CHECKING:
    from lengthwise.prediction.step_law import StepLaw

KIND = STEP_LAW


def write_step_law(path: str | Path, law: StepLaw) -> None:
    """Write a law file at once or not at all."""
    data = {
        "kind": KIND, "schema_version": SCHEMA_VERSION,
        "lengthwise_version": lengthwise.__version__,
        "created": datetime.now(UTC).date().isoformat(), "formulation": "step",
        "parameters": law.get_params(), "coefficients": law.coefficients_.to_dict(),
        "heads": {name: head.to_dict() for name, head in law.heads_.items()},
        "training": law.training_,
    }  # fmt: skip
    write_text(path, json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n")


def read_step_law(path: str | Path, law: StepLaw) -> None:
    """Fill a law from a file.

    Raises
    ------
    ArtifactError
        If it is not a step law, of another schema version, damaged or too large.
    """
    data = parse(Path(path))
    if data.get("kind") != KIND:
        refuse_other_kind(Path(path), KIND, data.get("kind"))
    check_version(data.get("schema_version"))
    try:
        law.set_params(**data["parameters"])
        law.coefficients_ = check_coefficients(StepCoefficients.from_dict(data["coefficients"]))
        heads = {name: Head.from_dict(x) for name, x in data["heads"].items()}
        law.heads_ = {name: check_head(name, head) for name, head in heads.items()}
        law.training_ = check_training(data["training"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise ArtifactError("a law file must be complete", got=f"{type(error).__name__}: {error}",
                            remedy=REMEDY) from None  # fmt: skip
