"""Settings that vary: which combinations, in how many loads, and what is refused beforehand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from lengthwise.errors import InputError
from lengthwise.evaluation.per_token.features import SETTINGS as FEATURES
from lengthwise.measurement.engine import EngineOptions
from lengthwise.measurement.engines.options import PER_REQUEST, SETTINGS
from lengthwise.measurement.plan import plan_of
from lengthwise.measurement.variation import OPTIONS, Variation, variation_of
from lengthwise.measurement.varied_run import measured_variation

NO_FEATURE = {"seed", "batch"}
"""Settings that are no features: a seed changes no time; --batch gives the prompts of a step."""


def varied(engine: str, /, options: EngineOptions | None = None, **values: str) -> Variation:
    given = {name: text.split(",") for name, text in values.items()}
    plan = plan_of([16, 64], [1, 2], decode_steps=3, repeats=1)
    options = options or EngineOptions(max_tokens=80, max_batch=2)
    return variation_of(engine, options, plan, given)


def measured(variation: Variation) -> pd.DataFrame:
    parts = measured_variation(variation, lambda progress: None, "test")
    return pd.concat([part.table for part in parts], ignore_index=True)


def test_only_what_needs_a_load_makes_one() -> None:
    found = varied("transformers", beams="1,2,4", temperature="0,0.7", precision="f32,int8")
    assert [dict(load.values) for load in found.loads] == [
        {"precision": "f32"}, {"precision": "int8"}
    ]  # fmt: skip
    assert [load.options.precision for load in found.loads] == ["f32", "int8"]
    for load in found.loads:
        assert len(set(load.plan.shapes)) == 4 * 6
        assert len({shape.settings for shape in load.plan.shapes}) == 6  # type: ignore[attr-defined]
    assert found.runs == 2 * (2 + 24 + 25 + 1)


def test_settings_of_a_request_are_shuffled_and_loads_have_the_rest() -> None:
    found = varied("transformers", temperature="0,1", attention="sdpa,eager")
    assert [load.options.settings["attention"] for load in found.loads] == ["sdpa", "eager"]
    order = [v.shape.settings for v in found.loads[0].plan.visits() if v.repeat == 0]  # type: ignore[attr-defined]
    assert order != sorted(order)


def test_values_are_numbers_where_all_of_a_name_are() -> None:
    found = varied("transformers", temperature="0,0.7", attention="sdpa,eager")
    assert found.value("temperature", "0.7") == 0.7
    assert found.value("attention", "eager") == "eager"


@pytest.mark.parametrize("name", ["quantisation", "quantization", "precision"])
def test_a_quantisation_is_a_precision(name: str) -> None:
    assert list(varied("llamacpp", **{name: "q8_0,q4_0"}).varied) == ["precision"]


def test_nothing_varied_is_one_load() -> None:
    (load,) = varied("openvino").loads
    assert len(load.plan.shapes) == 4


def test_every_setting_that_can_vary_is_a_feature_of_the_study() -> None:
    names = {name for settings in SETTINGS.values() for name in settings} | set(OPTIONS)
    assert names - NO_FEATURE <= set(FEATURES)
    for engine, settings in PER_REQUEST.items():
        assert set(settings) <= set(SETTINGS[engine])


@pytest.mark.parametrize(("engine", "values", "words"), [
    ("openvino", {"temperature": "0,1"}, "Remedy: measure llamacpp or transformers"),
    ("llamacpp", {"beams": "1,2"}, "Remedy: measure transformers"),
    ("llamacpp", {"batch": "1,2"}, "Remedy: write --batch 1,2"),
    ("transformers", {"batch_size": "1,2"}, "Remedy: write --batch 1,2"),
    ("transformers", {"speed": "1,2"}, "transformers can vary precision, threads, attention"),
    ("openvino", {"precision": "bf16,q4_0"}, "precision of openvino must be one of"),
    ("llamacpp", {"precision": "f16,int8"}, "precision of llamacpp must be one of"),
    ("transformers", {"precision": "f32,q4_0"}, "precision of transformers on cpu must be"),
    ("transformers", {"beams": "1,two"}, "beams of transformers must be a number"),
    ("transformers", {"beams": "1,2", "cache": "dynamic,static"}, "a cache that grows"),
    ("transformers", {"temperature": "0,-1"}, "must not be negative"),
    ("llamacpp", {"temperature": "0,-1"}, "temperature of llamacpp must be a number from 0"),
    ("transformers", {"threads": "1,0"}, "threads must be whole numbers from 1"),
    ("transformers", {"precision": "f32", "quantisation": "int8"}, "a setting varies once"),
], ids=str)  # fmt: skip
def test_what_an_engine_does_not_know_is_refused_beforehand(
    engine: str, values: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        varied(engine, **values)


def test_a_file_has_the_precision_it_has() -> None:
    with pytest.raises(InputError, match="GGUF file is the file's own"):
        varied("llamacpp", EngineOptions(model="some.gguf"), precision="f16,q8_0")


def test_set_and_varied_is_refused() -> None:
    with pytest.raises(InputError, match="beams is either set or varied"):
        varied("transformers", EngineOptions(settings={"beams": "2"}), beams="1,2")


def test_a_seed_of_the_command_gives_way_to_varied_ones() -> None:
    found = varied("transformers", EngineOptions(settings={"seed": "0"}), seed="1,2")
    assert [load.options.settings["seed"] for load in found.loads] == ["1", "2"]


def settings_in(table: pd.DataFrame, *names: str) -> set[tuple[Any, ...]]:
    return set(table[list(names)].itertuples(index=False, name=None))


def test_llama_cpp_is_loaded_once_per_quantisation() -> None:
    pytest.importorskip("xllamacpp")
    table = measured(varied("llamacpp", quantisation="q8_0,q4_0", temperature="0,0.8"))
    assert settings_in(table, "precision", "temperature", "batch_size", "isl") == {
        (p, t, b, n) for p in ("q8_0", "q4_0") for t in (0.0, 0.8) for b in (1, 2) for n in (16, 64)
    }  # fmt: skip
    assert table["request"].nunique() == 2 * (2 + 8 + 9 + 1)
    per_request = table.groupby("request")[["precision", "temperature", "isl"]].nunique()
    assert (per_request == 1).all(axis=None)
    assert (
        table.groupby("precision")["timestamp"]
        .agg(["min", "max"])
        .sort_values("min")["max"]
        .is_monotonic_increasing
    )
    assert table[["latency_ms", "cpu_util_percent", "memory_used_mib"]].notna().all(axis=None)


def test_openvino_varies_its_arithmetic() -> None:
    pytest.importorskip("openvino_genai")
    table = measured(varied("openvino", precision="bf16,f32"))
    assert settings_in(table, "precision", "batch_size") == {
        (p, b) for p in ("bf16", "f32") for b in (1, 2)
    }


def test_transformers_varies_beams_and_temperature_on_one_model() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    found = varied("transformers", beams="1,3", temperature="0,0.7", precision="f32,int8")
    table = measured(found)
    decode = table[table["phase"] == "decode"]
    assert settings_in(decode, "beams", "batch_size") == {(1, 1), (1, 2), (3, 3), (3, 6)}
    assert settings_in(table, "beams", "temperature", "precision") == {
        (b, t, p) for b in (1.0, 3.0) for t in (0.0, 0.7) for p in ("f32", "int8")
    }
    versions = table.groupby(["beams", "temperature"])["engine_version"].unique()
    words = {key: str(found[0]).partition("+")[2] for key, found in versions.items()}
    assert words == {
        (1.0, 0.0): "", (1.0, 0.7): "sample", (3.0, 0.0): "beams3", (3.0, 0.7): "sample.beams3"
    }  # fmt: skip
