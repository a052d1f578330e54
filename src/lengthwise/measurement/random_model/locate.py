"""From the name of a model to a GGUF file: an existing one, or one written with random weights."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from lengthwise.errors import InputError
from lengthwise.measurement.engine import EngineOptions
from lengthwise.measurement.random_model.gguf_file import FILE_TYPE, write_gguf
from lengthwise.measurement.random_model.shape import shape_of

MAGIC = b"GGUF"


def gguf_of(options: EngineOptions, precision: str, held: ExitStack) -> tuple[str, Path]:
    """Give the name of the model and a GGUF file of it.

    Parameters
    ----------
    options
        Model, longest context and, when a folder is named, where to write.
    precision
        Quantisation of a random model.
    held
        Closes the temporary folder when no folder is named.

    Raises
    ------
    InputError
        If a file is no GGUF file, or nothing of that name exists.
    """
    if options.model.endswith(".gguf"):
        path = Path(options.model)
        if not path.is_file() or path.open("rb").read(4) != MAGIC:
            raise InputError("the model must be a GGUF file that exists", got=repr(options.model),
                             remedy="check the path")  # fmt: skip
        return path.stem, path
    if precision not in FILE_TYPE:
        raise InputError(f"the precision of a random GGUF must be one of {', '.join(FILE_TYPE)}",
                         got=repr(precision), remedy="write f16")  # fmt: skip
    shape = shape_of(options.model, options.max_tokens)
    folder = options.folder or Path(held.enter_context(tempfile.TemporaryDirectory()))
    try:
        path = write_gguf(shape, folder / f"{shape.name}-{precision}.gguf", precision)
    except BaseException:
        held.close()
        raise
    return shape.name, path
