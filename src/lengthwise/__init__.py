"""Predict how long a large language model takes to answer, at lengths nobody measured.

>>> import pandas as pd
>>> table = pd.DataFrame({"phase": "prefill", "isl": [512, 1024], "latency_ms": [25, 50]})
>>> law = __getattr__("LatencyLaw")().fit(table)
>>> law.estimate(isl=4096).in_domain
False

Names are imported on first use, so that ``import lengthwise`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lengthwise.data.checks import check_table
    from lengthwise.data.datasets import table as dataset
    from lengthwise.data.hardware_catalog import find_hardware, load_hardware
    from lengthwise.data.model_files import load_model
    from lengthwise.data.report import Flag, ImportReport
    from lengthwise.data.table import load as load_table
    from lengthwise.data.table import read_table, write_table
    from lengthwise.domain.estimate import Estimate
    from lengthwise.domain.hardware import HardwareSpec
    from lengthwise.domain.memory import MemoryUse, memory_use
    from lengthwise.domain.model import ModelSpec, find_model
    from lengthwise.domain.model_config import parse_config
    from lengthwise.domain.parallelism import Parallelism
    from lengthwise.errors import (
        ArtifactError,
        ColumnError,
        DataWarning,
        FileFormatError,
        FitWarning,
        GateError,
        InputError,
        LengthwiseError,
        MissingExtraError,
        NothingUsableError,
        OutputError,
        RefusedError,
    )
    from lengthwise.evaluation.leaderboard import compare, leaderboard
    from lengthwise.evaluation.protocol import evaluate
    from lengthwise.evaluation.result import EvaluationResult
    from lengthwise.formulations.base import Formulation
    from lengthwise.formulations.registry import names as formulation_names
    from lengthwise.formulations.registry import register as register_formulation
    from lengthwise.formulations.step.batch import StepBatch
    from lengthwise.formulations.step.compiled import CompiledStep
    from lengthwise.formulations.step.step_model import StepModel
    from lengthwise.prediction.advice import Suggestion
    from lengthwise.prediction.estimates import RequestEstimate
    from lengthwise.prediction.latency_law import LatencyLaw
    from lengthwise.prediction.step_law import StepLaw

__version__ = "0.1.0"

_ERRORS = (
    "ArtifactError", "ColumnError", "DataWarning", "FileFormatError", "FitWarning", "GateError",
    "InputError", "LengthwiseError", "MissingExtraError", "NothingUsableError", "OutputError",
    "RefusedError",
)  # fmt: skip

_HOMES: dict[str, tuple[str, str]] = {
    "CompiledStep": ("formulations.step.compiled", "CompiledStep"),
    "Estimate": ("domain.estimate", "Estimate"),
    "EvaluationResult": ("evaluation.result", "EvaluationResult"),
    "Flag": ("data.report", "Flag"),
    "Formulation": ("formulations.base", "Formulation"),
    "HardwareSpec": ("domain.hardware", "HardwareSpec"),
    "ImportReport": ("data.report", "ImportReport"),
    "LatencyLaw": ("prediction.latency_law", "LatencyLaw"),
    "MemoryUse": ("domain.memory", "MemoryUse"),
    "ModelSpec": ("domain.model", "ModelSpec"),
    "Parallelism": ("domain.parallelism", "Parallelism"),
    "RequestEstimate": ("prediction.estimates", "RequestEstimate"),
    "StepBatch": ("formulations.step.batch", "StepBatch"),
    "StepLaw": ("prediction.step_law", "StepLaw"),
    "StepModel": ("formulations.step.step_model", "StepModel"),
    "Suggestion": ("prediction.advice", "Suggestion"),
    "check_table": ("data.checks", "check_table"),
    "compare": ("evaluation.leaderboard", "compare"),
    "dataset": ("data.datasets", "table"),
    "evaluate": ("evaluation.protocol", "evaluate"),
    "find_hardware": ("data.hardware_catalog", "find_hardware"),
    "find_model": ("domain.model", "find_model"),
    "formulation_names": ("formulations.registry", "names"),
    "leaderboard": ("evaluation.leaderboard", "leaderboard"),
    "load_hardware": ("data.hardware_catalog", "load_hardware"),
    "load_model": ("data.model_files", "load_model"),
    "load_table": ("data.table", "load"),
    "memory_use": ("domain.memory", "memory_use"),
    "parse_config": ("domain.model_config", "parse_config"),
    "read_table": ("data.table", "read_table"),
    "register_formulation": ("formulations.registry", "register"),
    "write_table": ("data.table", "write_table"),
    **{name: ("errors", name) for name in _ERRORS},
}
"""Module and name of everything public."""

__all__ = [
    "ArtifactError",
    "ColumnError",
    "CompiledStep",
    "DataWarning",
    "Estimate",
    "EvaluationResult",
    "FileFormatError",
    "FitWarning",
    "Flag",
    "Formulation",
    "GateError",
    "HardwareSpec",
    "ImportReport",
    "InputError",
    "LatencyLaw",
    "LengthwiseError",
    "MemoryUse",
    "MissingExtraError",
    "ModelSpec",
    "NothingUsableError",
    "OutputError",
    "Parallelism",
    "RefusedError",
    "RequestEstimate",
    "StepBatch",
    "StepLaw",
    "StepModel",
    "Suggestion",
    "__version__",
    "check_table",
    "compare",
    "dataset",
    "evaluate",
    "find_hardware",
    "find_model",
    "formulation_names",
    "leaderboard",
    "load_hardware",
    "load_model",
    "load_table",
    "memory_use",
    "parse_config",
    "read_table",
    "register_formulation",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lengthwise' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    found = getattr(import_module(f"{__name__}.{module}"), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
