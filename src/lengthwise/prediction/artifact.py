"""The law file: JSON, versioned, complete; it holds numbers and executes nothing.

::

    kind             "lengthwise-law"
    schema_version   1
    lengthwise_version, created (UTC date)
    formulation      name in the registry
    parameters       of LatencyLaw
    training         rows, rows_used, sha256, columns, lengths {phase: [shortest, longest]}
    laws             one object per deployment and phase:
        deployment, phase, labels       what was measured
        equation, terms                 the law in words
        coefficients                    name, unit, value, lo, hi (90 %), identified
        n_points, n_rows, noise         behind the fit; noise of repeats, relative
        domain                          length, new_tokens, sequences: [least, greatest]; chunk:
                                        largest step of prompts measured in steps, or null;
                                        outputs: [least, greatest] of requests under load, or null
        errors                          held out, in range and at the long end, percent
        trials                          sets of terms with their weights and held-out errors
        suspects                        points that count for little: position by length, the point
                                        as a table names it, measured_ms, expected_ms, probability
        rival                           simple formula that predicted the long end better: name,
                                        its error and the law's, folds; or null
        state                           parameters and fitted attributes; what predictions use
    calibration      conformal scores by phase
    population       reference fits by phase, for deployments nobody measured
    fallback         the same for formulations without a population: one state by phase

Times are seconds, lengths tokens; null is a number that does not exist. All but ``created`` depends
on the data alone. Loading checks everything it reads and then tries every law.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import lengthwise
from lengthwise.calibration.intervals import Calibration
from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import Domain, PhaseLaw
from lengthwise.calibration.pooling import Population
from lengthwise.calibration.rivals import Rival
from lengthwise.calibration.suspects import Suspect
from lengthwise.calibration.trials import Trial
from lengthwise.data.law_files import LAW, refuse_other_kind
from lengthwise.data.output import write_text
from lengthwise.errors import ArtifactError
from lengthwise.formulations.base import Formulation
from lengthwise.formulations.state import from_state, to_state
from lengthwise.formulations.typed_json import (
    REMEDY,
    from_json,
    mapping,
    read_dataclass,
    read_float,
    to_json,
    wrong,
)
from lengthwise.prediction.coefficients import coefficients_of, equation_of, terms_of
from lengthwise.prediction.law_checks import check_physics
from lengthwise.prediction.law_json import SCHEMA_VERSION, check_version, parse
from lengthwise.prediction.training import HeldOutError, Training

KIND = LAW
DRIFT_COLUMNS = 5
"""Residual, scale, doublings beyond the data in length and in batch, deployment."""

Errors = dict[tuple[str, str], HeldOutError]


def write_law(
    path: str | Path, law_set: LawSet, parameters: dict[str, Any], training: Training,
    errors: Errors,
) -> None:  # fmt: skip
    """Write a law file at once or not at all.

    Raises
    ------
    InputError
        If the formulation cannot be written as numbers, or the folder does not exist.
    OutputError
        If the file cannot be written.
    """
    laws = [_law_to_json(law, errors) for _, law in sorted(law_set.laws_.items())]
    data = {
        "kind": KIND, "schema_version": SCHEMA_VERSION,
        "lengthwise_version": lengthwise.__version__,
        "created": datetime.now(UTC).date().isoformat(), "formulation": law_set.formulation,
        "parameters": parameters, "training": to_json(training), "laws": laws,
        "calibration": to_json(law_set.calibration_), "population": to_json(law_set.population_),
        "fallback": {phase: to_state(law) for phase, law in law_set.fallback_.items()},
    }  # fmt: skip
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_law(path: str | Path) -> tuple[LawSet, dict[str, Any], Training, Errors]:
    """Read a law file: laws, parameters of LatencyLaw, training summary and error table.

    Raises
    ------
    ArtifactError
        If it is not a law file, of another schema version, damaged or too large.
    """
    data = parse(Path(path))
    if data.get("kind") != KIND:
        refuse_other_kind(Path(path), KIND, data.get("kind"))
    check_version(data.get("schema_version"))
    for name in ("formulation", "parameters", "training", "laws", "calibration", "population",
                 "fallback"):  # fmt: skip
        if name not in data:
            raise ArtifactError(f"a law file must have {name}", got="none", remedy=REMEDY)
    formulation = str(data["formulation"])
    try:
        law_set, errors = _laws_from_json(formulation, data)
    except ArtifactError:
        raise
    except Exception as error:  # a value of another kind than was written, of whatever kind
        raise ArtifactError("a law file must be as it was written",
                            got=f"{type(error).__name__}: {error!s:.120}",
                            remedy=REMEDY) from error  # fmt: skip
    parameters = mapping(data["parameters"], "parameters")
    return law_set, parameters, read_dataclass(Training, data["training"], "training"), errors


def _law_to_json(law: PhaseLaw, errors: Errors) -> dict[str, Any]:
    skipped = ("law", "held_out", "trials", "suspects", "rival")
    plain = {f.name: getattr(law, f.name) for f in fields(law) if f.name not in skipped}
    return {
        **to_json(plain), "equation": equation_of(law.law), "terms": terms_of(law.law),
        "coefficients": to_json(coefficients_of(law.law)),
        "errors": to_json(errors[law.deployment, law.phase]), "trials": to_json(law.trials),
        "suspects": to_json(law.suspects), "rival": to_json(law.rival),
        "state": to_state(law.law),
    }  # fmt: skip


def _laws_from_json(formulation: str, data: dict[str, Any]) -> tuple[LawSet, Errors]:
    if not isinstance(data["laws"], list) or not data["laws"]:
        raise wrong("laws must be a list of at least one law", data["laws"])
    law_set, errors = LawSet(formulation=formulation), {}
    law_set.laws_ = {}
    for i, entry in enumerate(data["laws"]):
        law, error = _law_from_json(formulation, mapping(entry, f"laws[{i}]"), f"laws[{i}]")
        law_set.laws_[law.deployment, law.phase] = law
        errors[law.deployment, law.phase] = error
    phases = {phase for _, phase in law_set.laws_}
    law_set.calibration_ = _by_phase(Calibration, data["calibration"], "calibration", phases)
    law_set.calibration_ = {
        phase: _checked(calibration, f"calibration.{phase}")
        for phase, calibration in law_set.calibration_.items()
    }
    law_set.population_ = _by_phase(Population, data["population"], "population", phases)
    law_set.fallback_ = {
        phase: _fallback(formulation, state, phase, law_set)
        for phase, state in mapping(data["fallback"], "fallback").items()
    }
    law_set.columns_ = tuple(dict.fromkeys(c for law in law_set.laws_.values() for c in law.labels))
    return law_set, errors


def _fallback(formulation: str, state: Any, phase: str, law_set: LawSet) -> Formulation:
    """Read the law of a phase for deployments nobody measured; it holds where others do."""
    where = f"fallback.{phase}"
    law = from_state(formulation, state, where)
    for other in (one for one in law_set.laws_.values() if one.phase == phase):
        check_physics(law, phase, other.domain, where)
    return law


def _law_from_json(
    formulation: str, entry: dict[str, Any], where: str
) -> tuple[PhaseLaw, HeldOutError]:
    for name in ("deployment", "phase", "labels", "domain", "n_points", "n_rows", "state"):
        if name not in entry:
            raise ArtifactError(f"{where} must have {name}", got="none", remedy=REMEDY)
    law = PhaseLaw(
        from_json(str, entry["deployment"], f"{where}.deployment"),
        from_json(str, entry["phase"], f"{where}.phase"),
        from_json(dict[str, object], entry["labels"], f"{where}.labels"),
        from_state(formulation, entry["state"], f"{where}.state"),
        read_dataclass(Domain, entry["domain"], f"{where}.domain"),
        from_json(int, entry["n_points"], f"{where}.n_points"),
        from_json(int, entry["n_rows"], f"{where}.n_rows"),
        read_float(entry.get("noise"), f"{where}.noise"),
        from_json(tuple[Trial, ...], entry.get("trials", []), f"{where}.trials"),
        suspects=from_json(tuple[Suspect, ...], entry.get("suspects", []), f"{where}.suspects"),
        rival=from_json(Rival | None, entry.get("rival"), f"{where}.rival"),
    )
    _try(law, where)
    return law, read_dataclass(HeldOutError, entry.get("errors"), f"{where}.errors")


def _try(law: PhaseLaw, where: str) -> None:
    """Predict inside and beyond the domain: whatever is left wrong in a state shows here."""
    if law.phase not in getattr(law.law, "phases_", ()):
        raise wrong(f"{where}.state must be of phase {law.phase}", law.law.phases_)
    if law.domain.chunk is not None and not law.domain.chunk >= 1:
        raise wrong(f"{where}.domain.chunk must be at least 1", law.domain.chunk)
    check_physics(law.law, law.phase, law.domain, where)
    equation_of(law.law)


def _checked(calibration: Calibration, where: str) -> Calibration:
    bins = len(calibration.scores)
    if bins != len(calibration.edges) + 1 or not all(
        len(s) and s.ndim == 1 for s in calibration.scores
    ):
        raise wrong(f"{where} must have scores in {len(calibration.edges) + 1} bins", bins)
    drift = calibration.drift
    if not drift.size:
        return replace(calibration, drift=np.empty((0, DRIFT_COLUMNS)))
    if drift.ndim != 2 or drift.shape[1] != DRIFT_COLUMNS:
        raise wrong(f"{where}.drift must have {DRIFT_COLUMNS} columns", drift.shape)
    return calibration


def _by_phase(cls: type, data: Any, where: str, phases: set[str]) -> dict[str, Any]:
    found = {k: read_dataclass(cls, v, f"{where}.{k}") for k, v in mapping(data, where).items()}
    unknown = set(found) - phases
    if unknown:
        raise wrong(f"{where} must be of phases that have a law", sorted(unknown))
    return found


__all__ = ["KIND", "SCHEMA_VERSION", "read_law", "write_law"]
