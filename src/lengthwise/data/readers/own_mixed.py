"""The project's own mixed steps: a prompt joins running decodes in chunks, openvino-genai."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.rows import tidy


def read(folder: Path) -> pd.DataFrame:
    """Read ``mixed_cpu.parquet``: one row is one step of a chunk and the running decodes.

    Units and definitions
        ``sum_query_len`` is the tokens of the chunk plus one per running sequence; ``batch_size``
        counts the joining sequence too. ``output_index`` numbers the chunks of one prompt. The
        context of the running sequences counts the tokens they generated before the prompt came.
    Traps
        The last chunk of a prompt holds what is left of it and may be a few tokens. Running
        prompts that were prefilled in several steps differ by a few tokens of context.

    Returns
    -------
    DataFrame
        One row per step.
    """
    return tidy(pd.read_parquet(folder / "mixed_cpu.parquet"))
