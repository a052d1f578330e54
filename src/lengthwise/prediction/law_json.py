"""Law files on disk: JSON of limited size and known version, written whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from lengthwise.data.law_files import refuse_table
from lengthwise.errors import ArtifactError
from lengthwise.formulations.typed_json import REMEDY

SCHEMA_VERSION = 1
MAX_BYTES = 64 << 20


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
