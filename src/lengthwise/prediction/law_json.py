"""Law files on disk: JSON of limited size and known version, written whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from lengthwise.data.law_files import refuse_table
from lengthwise.data.limits import LAW
from lengthwise.data.opening import read_text
from lengthwise.data.parsing import parse_json
from lengthwise.errors import ArtifactError, FileFormatError
from lengthwise.formulations.typed_json import REMEDY

SCHEMA_VERSION = 1


def check_version(version: Any) -> None:
    """Refuse a file of another schema version."""
    if version == SCHEMA_VERSION and not isinstance(version, bool):
        return
    newer = isinstance(version, int) and version > SCHEMA_VERSION
    raise ArtifactError(
        f"the schema version of a law file must be {SCHEMA_VERSION}", got=repr(version),
        remedy="upgrade lengthwise" if newer else "fit the law again with this version",
    )  # fmt: skip


def parse(path: Path) -> dict[str, Any]:
    """Read a law file as JSON; anything odd about it is an ArtifactError."""
    refuse_table(path)
    try:
        text = read_text(path, LAW)
    except FileFormatError as error:
        raise ArtifactError(error.rule, got=error.got, remedy=error.remedy) from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ArtifactError("the law file must exist and be readable text", got=f"{path}: {why}",
                            remedy="make it with lengthwise fit TABLE -o law.json",
                            ) from None  # fmt: skip
    try:
        data = parse_json(text, path.name, constant=_refuse_constant)
    except json.JSONDecodeError as error:
        cut = "cut off" if error.pos >= len(text.rstrip()) - 1 else f"line {error.lineno}"
        raise ArtifactError("a law file must be JSON", got=f"{path.name}, {cut}: {error.msg}",
                            remedy=REMEDY) from None  # fmt: skip
    except FileFormatError as error:
        raise ArtifactError(error.rule, got=error.got, remedy=error.remedy) from None
    if not isinstance(data, dict):
        raise ArtifactError("a law file must be a JSON object", got=type(data).__name__,
                            remedy="give the file that `lengthwise fit` wrote")  # fmt: skip
    return data


def _refuse_constant(name: str) -> NoReturn:
    raise ArtifactError("numbers in a law file must be finite", got=name, remedy=REMEDY)
