"""llama.cpp ``benches/``: llama-batched-bench and llama-bench on DGX Spark and an M2 Ultra."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lengthwise.data.readers.rows import mean_context, tidy

HARDWARE = {"dgx-spark.md": "dgx-spark-gb10", "mac-m2-ultra.md": "m2-ultra"}
_PRECISION = r"\b(MXFP4|Q\d_\w+|BF16|F16)\b"


def read(folder: Path) -> pd.DataFrame:
    """Read ``batched_bench.csv`` and ``llama_bench.csv``: prefill and decode rows.

    Units and definitions
        llama-batched-bench: ``T_PP`` s is the prefill of all B prompts of PP tokens (one prefill
        row), ``T_TG`` s is TG decode steps of the whole batch (one decode row: T_TG / TG at the
        mean context PP + (TG + 1) / 2, a half rounded up).
        llama-bench: speeds in tokens/s for one sequence. ``pp`` after ``depth`` tokens is a prefill
        of ``tokens`` new ones on ``cached_tokens`` = depth; ``tg`` is a decode row whose context
        is the mean over the steps. ``latency_std_ms`` is the spread over the repeats of the tool.
    Traps
        The first row of each model (one sequence, 512 tokens) holds warm-up and is marked so; on
        the DGX Spark its prefill is up to twice too long. llama.cpp splits a prompt into ubatches
        (512 or 2,048 tokens), so a prefill row is the sum of several passes. T_PP and T_TG carry
        three decimals of a second.

    Returns
    -------
    DataFrame
        552 rows: 216 prefill, 216 decode (batched-bench), then 120 from llama-bench.
    """
    batched = pd.read_csv(folder / "batched_bench.csv")
    single = pd.read_csv(folder / "llama_bench.csv")
    precision = single["model"].str.extract(_PRECISION)[0]
    by_model = dict(zip(single["section"], precision, strict=True))
    table = pd.concat([*_batched(batched), *_single(single)], ignore_index=True)
    table["precision"] = table["model"].map(by_model).str.lower()
    return tidy(table)


def _base(raw: pd.DataFrame, file: str) -> pd.DataFrame:
    return pd.DataFrame({
        "model": raw["section"], "hardware": raw["file"].map(HARDWARE), "engine": "llama.cpp",
        "tp": 1, "clock": "server", "source": f"llamacpp_benches/{file}",
    })  # fmt: skip


def _batched(raw: pd.DataFrame) -> list[pd.DataFrame]:
    sizes = raw[["PP", "TG", "B"]].astype(int)
    first = ~raw.duplicated(["file", "section"])
    base = _base(raw, "batched_bench.csv").assign(
        isl=sizes["PP"], batch_size=sizes["B"], warmup=first & (sizes["B"] == 1)
    )
    prefill = base.assign(phase="prefill", latency_ms=1e3 * raw["T_PP_s"])
    decode = base.assign(
        phase="decode", latency_ms=1e3 * raw["T_TG_s"] / sizes["TG"], osl=sizes["TG"],
        context_len=mean_context(sizes["PP"], sizes["TG"]),
    )  # fmt: skip
    return [prefill, decode]


def _single(raw: pd.DataFrame) -> list[pd.DataFrame]:
    base = _base(raw, "llama_bench.csv").assign(batch_size=1, warmup=False)
    is_prefill = raw["kind"] == "pp"
    steps = raw["tokens"].where(is_prefill, 1)
    latency = 1e3 * steps / raw["ts"]
    base = base.assign(latency_ms=latency, latency_std_ms=latency * raw["ts_std"] / raw["ts"])
    prefill = base[is_prefill].assign(
        phase="prefill", isl=raw["depth"] + raw["tokens"], cached_tokens=raw["depth"],
        query_len=raw["tokens"],
    )  # fmt: skip
    decode = base[~is_prefill].assign(
        phase="decode", osl=raw["tokens"], context_len=mean_context(raw["depth"], raw["tokens"])
    )
    return [prefill, decode]
