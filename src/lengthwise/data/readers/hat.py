"""HAT (Wang et al. 2020, arXiv 2005.14187): latency of 2,000 sampled Transformers per device."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.rows import tidy

SENTENCE_LENGTH = {"iwslt14deen": 23, "wmt14ende": 30}
"""Tokens of the dummy sentence, per task (``latency_dataset.py`` of the source)."""


def read(folder: Path) -> pd.DataFrame:
    """Read the four ``hat_*.csv``: one row is one encoder-decoder architecture.

    Units and definitions
        ``ttft_ms`` is the encoder alone, ``e2e_ms`` encoder plus decoder: the measuring script of
        the source times them apart and runs the decoder once per output token. The sentence is
        fixed, 30 tokens in and out for WMT and 23 for IWSLT; one sentence, a beam of 5 (fairseq's
        default) in the decoder. Means over the runs without the outer tenths, ms;
        ``latency_std_*`` are their standard deviations. ``architecture`` numbers the rows of a file
        and the remaining columns describe it (embedding, layers, averages over layers).
    Traps
        Length does not vary, so these rows test laws over *architectures* and transfer between
        devices, not laws in length. The first Raspberry Pi rows are far slower than later rows of
        similar size. A true first token also needs one decoder step, which is not in ``ttft_ms``.

    Returns
    -------
    DataFrame
        8,000 request rows.
    """
    return tidy(pd.concat([_one(f) for f in sorted(folder.glob("hat_*.csv"))], ignore_index=True))


def _one(file: Path) -> pd.DataFrame:
    _, task, kind, device = file.stem.split("_")
    raw = pd.read_csv(file)
    encoder, decoder = raw.pop("latency_mean_encoder"), raw.pop("latency_mean_decoder")
    return raw.assign(
        phase="request", ttft_ms=encoder, e2e_ms=encoder + decoder, isl=SENTENCE_LENGTH[task],
        osl=SENTENCE_LENGTH[task], batch_size=1, model=f"hat-{task}", hardware=f"{kind}-{device}",
        engine="fairseq", precision="fp32", clock="server", architecture=raw.index,
        source=f"hat/{file.name}",
    )  # fmt: skip
