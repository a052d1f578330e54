"""A real llama.cpp server with a random model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lengthwise.data.table import load
from lengthwise.interfaces.cli.measure_server import measure_server

pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")

from lengthwise.measurement.engine import EngineOptions
from lengthwise.measurement.engines import open_engine


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
def test_lengths_are_met_and_times_agree_with_the_server(
    arguments: Callable[..., dict[str, Any]], tmp_path: Path, endpoint: str
) -> None:
    engine = open_engine("llamacpp", EngineOptions(max_tokens=1024, max_batch=2))
    try:
        given = arguments(isl=[50, 400], osl=[12], concurrency=[1], endpoint=endpoint, requests=5)
        assert measure_server(engine.url, **given) == 0  # type: ignore[attr-defined]
    finally:
        engine.close()
    table = load(tmp_path / "table.parquet")
    assert (table["status"] == "ok").all()
    assert (table["osl"] == 12).all()
    assert (table["isl"] - table["asked_isl"]).abs().max() <= 5  # whole words
    assert (table["cached_tokens"].fillna(0) <= 1).all()
    assert set(table["engine"]) == {"llama.cpp"}
    assert (table["ttft_ms"] > table["server_prefill_ms"]).all()
    assert np.median(table["tpot_ms"] / table["server_tpot_ms"]) == pytest.approx(1.0, abs=0.3)
    long, short = (table.loc[table["asked_isl"] == n, "ttft_ms"].median() for n in (400, 50))
    assert long > short
