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
        domain                          length, new_tokens, sequences: [least, greatest]
        errors                          held out, in range and at the long end, percent
        trials                          sets of terms that were tried, with held-out errors
        state                           parameters and fitted attributes; what predictions use
    calibration      conformal scores by phase
    population       reference fits by phase, for deployments nobody measured
    fallback         the same for formulations without a population: one state by phase

Times are seconds, lengths tokens; null is a number that does not exist. All but ``created`` depends
on the data alone. Loading checks everything it reads and then tries every law.
"""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import lengthwise
from lengthwise.calibration.intervals import Calibration
from lengthwise.calibration.lawset import LawSet
from lengthwise.calibration.phase_law import Domain, PhaseLaw
from lengthwise.calibration.pooling import Population
from lengthwise.calibration.select import Trial
from lengthwise.domain.work import Work
from lengthwise.errors import ArtifactError, FileFormatError
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
from lengthwise.prediction.training import HeldOutError, Training

KIND = "lengthwise-law"
SCHEMA_VERSION = 1
MAX_BYTES = 64 << 20
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
        If the formulation cannot be written as numbers.
    FileFormatError
        If the folder does not exist or cannot be written.
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
    _write(Path(path), json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_law(path: str | Path) -> tuple[LawSet, dict[str, Any], Training, Errors]:
    """Read a law file: laws, parameters of LatencyLaw, training summary and error table.

    Raises
    ------
    ArtifactError
        If it is not a law file, of another schema version, damaged or too large.
    """
    data = _parse(Path(path))
    if data.get("kind") != KIND:
        raise ArtifactError(f"a law file says kind {KIND!r}", got=repr(data.get("kind")),
                            remedy="give the file that `lengthwise fit` wrote")  # fmt: skip
    _check_version(data.get("schema_version"))
    for name in ("formulation", "parameters", "training", "laws", "calibration", "population",
                 "fallback"):  # fmt: skip
        if name not in data:
            raise ArtifactError(f"a law file must have {name}", got="none", remedy=REMEDY)
    formulation = str(data["formulation"])
    law_set, errors = _laws_from_json(formulation, data)
    parameters = mapping(data["parameters"], "parameters")
    return law_set, parameters, read_dataclass(Training, data["training"], "training"), errors


def _law_to_json(law: PhaseLaw, errors: Errors) -> dict[str, Any]:
    skipped = ("law", "held_out", "trials")
    plain = {f.name: getattr(law, f.name) for f in fields(law) if f.name not in skipped}
    return {
        **to_json(plain), "equation": equation_of(law.law), "terms": terms_of(law.law),
        "coefficients": to_json(coefficients_of(law.law)),
        "errors": to_json(errors[law.deployment, law.phase]), "trials": to_json(law.trials),
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
        phase: from_state(formulation, state, f"fallback.{phase}")
        for phase, state in mapping(data["fallback"], "fallback").items()
    }
    law_set.columns_ = tuple(dict.fromkeys(c for law in law_set.laws_.values() for c in law.labels))
    return law_set, errors


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
    )
    _try(law, where)
    return law, read_dataclass(HeldOutError, entry.get("errors"), f"{where}.errors")


def _try(law: PhaseLaw, where: str) -> None:
    """Predict at the ends of the domain: whatever is left wrong in a state shows here."""
    if law.phase not in getattr(law.law, "phases_", ()):
        raise wrong(f"{where}.state must be of phase {law.phase}", law.law.phases_)
    ends = np.array(law.domain.length)
    if not (np.isfinite(ends).all() and (ends > 0).all()):
        raise wrong(f"{where}.domain.length must be positive", law.domain.length)
    query = ends if law.phase == "prefill" else np.ones(2)
    work = Work.of(law.phase, query_len=query, context_len=ends)
    try:
        seconds = law.law.predict_work(work)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError) as error:
        raise wrong(f"{where}.state must be one that predicts", error) from None
    if seconds.shape != (2,) or not np.isfinite(seconds).all():
        raise wrong(f"{where}.state must predict finite times", seconds)


def _checked(calibration: Calibration, where: str) -> Calibration:
    bins = len(calibration.scores)
    if bins != len(calibration.edges) + 1 or not all(len(s) for s in calibration.scores):
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


def _check_version(version: Any) -> None:
    if version == SCHEMA_VERSION and not isinstance(version, bool):
        return
    newer = isinstance(version, int) and version > SCHEMA_VERSION
    raise ArtifactError(
        f"the schema version of a law file must be {SCHEMA_VERSION}", got=repr(version),
        remedy="upgrade lengthwise" if newer else "fit the law again with this version",
    )  # fmt: skip


def _parse(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ArtifactError(f"a law file has at most {MAX_BYTES >> 20} MiB",
                                got=f"{size / (1 << 20):.0f} MiB",
                                remedy="fit fewer deployments into one law")  # fmt: skip
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ArtifactError("the law file must exist and be readable text", got=f"{path}: {why}",
                            remedy="make it with lengthwise fit TABLE -o law.json",
                            ) from None  # fmt: skip
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        cut = "cut off" if error.pos >= len(text.rstrip()) - 1 else f"line {error.lineno}"
        raise ArtifactError("a law file must be JSON", got=f"{path.name}, {cut}: {error.msg}",
                            remedy=REMEDY) from None  # fmt: skip
    except (RecursionError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError("a law file must be JSON", got=str(error)[:80], remedy=REMEDY) from None
    if not isinstance(data, dict):
        raise ArtifactError("a law file must be a JSON object", got=type(data).__name__,
                            remedy="give the file that `lengthwise fit` wrote")  # fmt: skip
    return data


def _refuse_constant(name: str) -> NoReturn:
    raise ArtifactError("numbers in a law file must be finite", got=name, remedy=REMEDY)


def _write(path: Path, text: str) -> None:
    if path.is_dir():
        raise FileFormatError("a law is written to a file", got=f"the folder {path}",
                              remedy="name a file, for example law.json")  # fmt: skip
    if not path.parent.is_dir():
        raise FileFormatError("the folder to write to must exist", got=str(path.parent),
                              remedy="make it first")  # fmt: skip
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise FileFormatError(f"{path} must be writable", got=str(error),
                              remedy="check space and rights") from None  # fmt: skip
    finally:
        part.unlink(missing_ok=True)


__all__ = ["KIND", "MAX_BYTES", "SCHEMA_VERSION", "read_law", "write_law"]
