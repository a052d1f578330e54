"""The simple curves: what they find, on whole prompts, chunks, decode steps and batches."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from lengthwise import LatencyLaw
from lengthwise.domain.work import Work
from lengthwise.formulations import registry
from lengthwise.formulations.shifted_power import EXPONENTS
from lengthwise.testing import samples

CURVES = ("linear", "linear-plain", "quadratic", "quadratic-plain", "shifted-power", "blend")
QUADRATIC = ("quadratic", "quadratic-plain")


def chunks(depths: object, size: int = 512) -> pd.DataFrame:
    """Chunks of one size on cached prefixes."""
    cached = np.asarray(depths)
    return pd.DataFrame(
        {"phase": "prefill", "isl": cached + size, "query_len": size, "cached_tokens": cached}
    )


DEPTHS = 512 * np.arange(12)


@pytest.mark.parametrize("name", [*CURVES, "power"])
def test_a_deeper_chunk_takes_longer(name: str) -> None:
    table = chunks(DEPTHS)
    law = registry.make(name).fit(table, 0.1 + 2e-5 * table["isl"].to_numpy())
    times = law.predict(chunks(DEPTHS[-1] + DEPTHS * 4))
    assert (np.diff(times) > 0).all()


@pytest.mark.parametrize("name", ["linear", "linear-plain", *QUADRATIC, "shifted-power", "blend"])
def test_affine_chunks_are_found(name: str) -> None:
    law = registry.make(name).fit(chunks(DEPTHS), 0.1 + 2e-5 * (DEPTHS + 512))
    far = chunks([60_000, 120_000])
    np.testing.assert_allclose(law.predict(far), 0.1 + 2e-5 * far["isl"], rtol=1e-5)


@pytest.mark.parametrize("name", [*QUADRATIC, "shifted-power"])
def test_attention_over_the_context_is_found(name: str) -> None:
    X = samples.points("prefill", samples.LENGTHS, 1)
    law = registry.make(name).fit(X, 3e-8 * X["isl"].to_numpy(float) ** 2)
    far = samples.points("prefill", [100_000], 1)
    np.testing.assert_allclose(law.predict(far), 300.0, rtol=1e-6)


@pytest.mark.parametrize("name", [*QUADRATIC, "shifted-power"])
def test_a_batch_of_prompts_costs_each_of_them(name: str) -> None:
    X = samples.points("prefill", samples.LENGTHS, 1)
    law = registry.make(name).fit(X, 3e-8 * X["isl"].to_numpy(float) ** 2)
    one, eight = law.predict(samples.points("prefill", 4096, [1, 8]))
    assert eight == pytest.approx(8 * one)


@pytest.mark.parametrize("name", ["linear-plain", *QUADRATIC, "shifted-power"])
def test_sequences_of_decode_steps_have_a_column_where_they_vary(name: str) -> None:
    X = samples.points("decode", samples.LENGTHS, samples.BATCHES["decode"])
    law = registry.make(name).fit(X, samples.times(X))
    far = samples.points("decode", [16_384, 65_536], [1, 64])
    np.testing.assert_allclose(law.predict(far), samples.times(far), rtol=1e-4)


def test_plain_fits_serve_the_long_prompts_and_relative_ones_all() -> None:
    n = np.array([64, 128, 256, 512, 4096, 8192])
    y = 0.05 + 1e-4 * n + np.where(n > 2000, 2e-9 * n**2.0, 0.0)
    X = pd.DataFrame({"phase": "prefill", "isl": n})
    plain, relative = (registry.make(k).fit(X, y).predict(X) for k in ("linear-plain", "linear"))
    assert abs(plain[-1] / y[-1] - 1) < abs(relative[-1] / y[-1] - 1)
    assert abs(plain[0] / y[0] - 1) > abs(relative[0] / y[0] - 1)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), power=st.floats(0.2, 2.5))
def test_the_exponent_is_the_best_of_the_grid(seed: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    n = np.sort(rng.choice(np.arange(1, 5000), 8, replace=False)).astype(float)
    y = (0.02 + 1e-5 * n**power) * np.exp(0.1 * rng.standard_normal(8))
    law = registry.make("shifted-power").fit(pd.DataFrame({"phase": "prefill", "isl": n}), y)
    misfits = []
    for p in EXPONENTS:
        design = np.column_stack([np.ones(8), (n / n.max()) ** p]) / y[:, None]
        misfits.append(nnls(design, np.ones(8))[1])
    found = law.predict_work(Work.of("prefill", query_len=n, context_len=n))
    assert np.sqrt(((found / y - 1) ** 2).sum()) <= min(misfits) + 1e-7


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_blend_is_the_geometric_mean(seed: int) -> None:
    X = samples.points("prefill", samples.LENGTHS, [1, 4])
    y = samples.times(X) * np.exp(0.2 * np.random.default_rng(seed).standard_normal(len(X)))
    parts = ("linear-plain", "quadratic-plain", "shifted-power")
    logs = [np.log(registry.make(p).fit(X, y).predict(X)) for p in parts]
    blend = registry.make("blend").fit(X, y).predict(X)
    np.testing.assert_allclose(blend, np.exp(np.mean(logs, axis=0)), rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from([*CURVES, "power"]), seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 4096), min_size=3, max_size=9),
)  # fmt: skip
def test_whatever_chunks_were_measured_deeper_is_never_faster(
    name: str, seed: int, sizes: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    size = np.array(sizes)
    cached = rng.integers(0, 20_000, len(size))
    table = pd.DataFrame({"phase": "prefill", "isl": cached + size, "cached_tokens": cached})
    law = registry.make(name).fit(table, np.exp(rng.normal(size=len(size))))
    grid = chunks(np.unique(np.geomspace(1, 1e6, 50).round().astype(int)))
    assert (np.diff(law.predict(grid)) >= 0).all()


@pytest.mark.parametrize(("name", "key"), [("linear", "coef_"), ("power", "exponents_")])
def test_files_of_laws_without_a_column_for_the_prefix_are_read(
    name: str, key: str, tmp_path: Path
) -> None:
    n = np.array([128, 256, 512, 1024, 2048])
    table = pd.DataFrame({"phase": "prefill", "isl": n, "latency_ms": 3.0 + 0.1 * n})
    law = LatencyLaw(name, max_extrapolation=None).fit(table)
    law.save(tmp_path / "law.json")
    text = (tmp_path / "law.json").read_text()
    assert len(_find(json.loads(text), key)) == (2 if name == "linear" else 1)
    read = LatencyLaw.load(tmp_path / "law.json")
    np.testing.assert_array_equal(read.predict(chunks(DEPTHS)), law.predict(chunks(DEPTHS)))


def _find(data: object, key: str) -> list[float]:
    """Return the first value of ``key`` anywhere in a JSON document."""
    if isinstance(data, dict):
        if key in data:
            return list(data[key])
        data = list(data.values())
    for part in data if isinstance(data, list) else []:
        if found := _find(part, key):
            return found
    return []
