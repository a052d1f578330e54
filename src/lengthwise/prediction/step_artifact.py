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
    training         rows, deployments, longest_isl; null without a fit

Times are seconds, corrections natural logarithms.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import lengthwise
from lengthwise.calibration.step.coefficients import StepCoefficients
from lengthwise.calibration.step.heads import Head
from lengthwise.calibration.step.kinship import LEVELS, SETTINGS, SHARES
from lengthwise.calibration.step.process import Process
from lengthwise.errors import ArtifactError
from lengthwise.formulations.typed_json import REMEDY
from lengthwise.prediction.law_json import SCHEMA_VERSION, check_version, parse, write_text

if TYPE_CHECKING:
    from lengthwise.prediction.step_law import StepLaw

KIND = "lengthwise-step-law"


def is_step_law(path: str | Path) -> bool:
    """Whether a file says it is a step law, without reading all of it.

    >>> is_step_law("no-such-file.json")
    False
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            return f'"{KIND}"' in file.read(200)
    except (OSError, UnicodeDecodeError):
        return False


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
    write_text(Path(path), json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n")


def read_step_law(path: str | Path, law: StepLaw) -> None:
    """Fill a law from a file.

    Raises
    ------
    ArtifactError
        If it is not a step law, of another schema version, damaged or too large.
    """
    data = parse(Path(path))
    if data.get("kind") != KIND:
        raise ArtifactError(f"the file of a step law says kind {KIND!r}",
                            got=repr(data.get("kind")),
                            remedy="make it with lengthwise fit TABLE --formulation step",
                            )  # fmt: skip
    check_version(data.get("schema_version"))
    try:
        law.set_params(**data["parameters"])
        law.coefficients_ = StepCoefficients.from_dict(data["coefficients"])
        law.heads_ = {name: _checked(Head.from_dict(x)) for name, x in data["heads"].items()}
        law.training_ = _training(data["training"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ArtifactError("a law file must be complete", got=f"{type(error).__name__}: {error}",
                            remedy=REMEDY) from None  # fmt: skip


def _checked(head: Head) -> Head:
    if head.process is not None:
        _check_process(head.process)
    numbers = [head.known, head.unknown]
    if head.trees is not None:
        numbers += [head.trees.threshold, head.trees.value, np.array([head.trees.base])]
    if head.own is not None:
        own = head.own
        numbers += [own.settings, own.left, np.array([own.spread])]
        if own.settings.shape != (len(own.left), len(SETTINGS)):
            raise ValueError("samples of a head must have one length")
    if not all(np.isfinite(x).all() for x in numbers):
        raise ValueError("numbers of a head must be finite")
    if not (np.diff(head.known) >= 0).all():
        raise ValueError("quantiles must not fall")
    return head


def _check_process(process: Process) -> None:
    n, kin = len(process.y), process.kin
    shapes = (
        kin.settings.shape == (n, len(SETTINGS)) and kin.shares.shape == (n, len(SHARES))
        and len(kin.labels) == len(LEVELS) and all(len(x) == n for x in kin.labels)
        and process.noise.shape == (n,) and process.spreads.offset.shape == (len(LEVELS),)
    )  # fmt: skip
    numbers = (kin.settings, kin.shares, process.y, process.noise, process.spreads.vector)
    if not n or not shapes or not all(np.isfinite(x).all() for x in numbers):
        raise ValueError("arrays of a process must have one length and finite numbers")
    if not (process.noise > 0).all():
        raise ValueError("noise must be positive")


def _training(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"rows": int(value["rows"]), "deployments": [str(x) for x in value["deployments"]],
            "longest_isl": float(value["longest_isl"])}  # fmt: skip
