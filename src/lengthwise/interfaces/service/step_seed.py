"""A law to begin with, from the step law, written by a process of its own."""

from __future__ import annotations

import json
from multiprocessing import get_context
from pathlib import Path

from lengthwise.errors import InputError, LengthwiseError


def write_seed_apart(directory: Path, model: str, hardware: str, tp: int = 1) -> Path:
    """Write the seed in a process that ends: what it imports would stay in the worker's memory."""
    with get_context("spawn").Pool(1) as pool:
        found = pool.apply(_guarded, (directory, model, hardware, tp))
    if isinstance(found, Path):
        return found
    rule, got, remedy = found
    raise InputError(rule, got=got, remedy=remedy)


def _guarded(directory: Path, model: str, hardware: str, tp: int) -> Path | tuple[str, str, str]:
    try:
        return write_seed(directory, model, hardware, tp)
    except LengthwiseError as error:  # in parts, since errors do not travel between processes
        return error.rule, error.got, error.remedy


def write_seed(directory: Path, model: str, hardware: str, tp: int = 1) -> Path:
    """Write the law of a model on a processor as ``step_seed.json``; gives its path."""
    from lengthwise.prediction.online_seed import from_step_law  # heavy: only in that process

    law = from_step_law(model, hardware, tp=tp)
    path = directory / "step_seed.json"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(law.to_dict()), encoding="utf-8")
    except OSError as error:
        raise InputError("the state directory must be one we can write to",
                         got=f"{directory} ({error.strerror})",
                         remedy="give another with --state DIR") from None  # fmt: skip
    return path
