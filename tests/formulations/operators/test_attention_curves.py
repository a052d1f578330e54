"""Shipped curves of attention keep physical laws at every size, and fits find known curves."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.calibration.operators.attention_fit import (
    decode_seconds,
    fit_decode,
    fit_prefill,
    prefill_seconds,
)
from lengthwise.data.kernel_profiles import load_curves, source
from lengthwise.errors import InputError
from lengthwise.formulations.operators import decode_terms, prefill_terms
from lengthwise.formulations.operators.attention_decode import DecodeAttentionCurve
from lengthwise.formulations.operators.attention_prefill import PrefillAttentionCurve
from lengthwise.formulations.operators.cell import Cell
from lengthwise.formulations.operators.device import Device
from lengthwise.formulations.operators.latent_decode import LatentDecodeCurve
from lengthwise.formulations.operators.latent_prefill import LatentPrefillCurve

SYSTEMS = ("a100_sxm", "b200_sxm", "gb200", "h100_sxm", "h200_sxm", "l40s", "generic")


def shipped(kind: str, curve: Any) -> dict[str, Any]:
    return {
        "-".join((system, r["engine"], r["dtype"], r["kv_dtype"], r.get("kind", ""))):
        curve.from_dict(r["coefficients"])
        for system in SYSTEMS for r in load_curves(kind, system)
    }  # fmt: skip


PREFILL: dict[str, PrefillAttentionCurve] = shipped("attention_prefill", PrefillAttentionCurve)
DECODE: dict[str, DecodeAttentionCurve] = shipped("attention_decode", DecodeAttentionCurve)
LATENT_PREFILL: dict[str, LatentPrefillCurve] = shipped("latent_prefill", LatentPrefillCurve)
LATENT_DECODE: dict[str, LatentDecodeCurve] = shipped("latent_decode", LatentDecodeCurve)
LENGTH = st.floats(0.0, 6.0).map(lambda x: float(round(10**x)))
BATCH = st.floats(0.0, 3.3).map(lambda x: float(round(10**x)))
SHAPE = st.sampled_from([(1, 1), (4, 4), (8, 1), (32, 8), (64, 8), (64, 64), (128, 1), (96, 2)])
HEAD_DIM = st.sampled_from([64, 80, 96, 128, 192, 256, 512])
WINDOW = st.sampled_from([None, 128, 1024, 4096, 8192])
MORE = st.floats(1.0, 4.0)
SLACK = 1 - 1e-9


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(PREFILL)), n=BATCH, q=LENGTH, prefix=LENGTH, shape=SHAPE,
       d=HEAD_DIM, w=WINDOW, more=MORE, warm=st.booleans())  # fmt: skip
def test_prefill_of_more_never_takes_less_time(
    name: str, n: float, q: float, prefix: float, shape: tuple[int, int], d: int,
    w: int | None, more: float, warm: bool,
) -> None:  # fmt: skip
    curve, (h, kv) = PREFILL[name], shape

    def seconds(n: float, q: float, p: float, times: int = 1) -> float:
        found = curve.seconds(n, q, p + q, h * times, kv * times, d, w, warm=warm)
        return float(found[0])

    base = seconds(n, q, prefix)
    assert np.isfinite(base)
    for larger in (
        seconds(np.ceil(n * more), q, prefix), seconds(n, np.ceil(q * more), prefix),
        seconds(n, q, np.ceil(prefix * more)), seconds(n, q, prefix, times=2),
    ):  # fmt: skip
        assert larger >= base * SLACK


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(DECODE)), n=BATCH, c=LENGTH, shape=SHAPE, d=HEAD_DIM, w=WINDOW,
       more=MORE, warm=st.booleans())  # fmt: skip
def test_decode_of_more_never_takes_less_time(
    name: str, n: float, c: float, shape: tuple[int, int], d: int, w: int | None, more: float,
    warm: bool,
) -> None:  # fmt: skip
    curve, (h, kv) = DECODE[name], shape
    base = curve.seconds(n, c, h, kv, d, w, warm=warm)[0]
    assert np.isfinite(base)
    assert curve.seconds(np.ceil(n * more), c, h, kv, d, w, warm=warm)[0] >= base * SLACK
    assert curve.seconds(n, np.ceil(c * more), h, kv, d, w, warm=warm)[0] >= base * SLACK
    assert curve.seconds(n, c, 2 * h, 2 * kv, d, w, warm=warm)[0] >= base * SLACK


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(sorted(PREFILL)), n=BATCH, q=LENGTH, prefix=LENGTH, shape=SHAPE,
       d=HEAD_DIM, w=WINDOW)  # fmt: skip
def test_prefill_is_never_faster_than_peak(
    name: str, n: float, q: float, prefix: float, shape: tuple[int, int], d: int, w: int | None
) -> None:
    curve = PREFILL[name]
    call = (n, q, q + prefix, *shape, d, w)
    cold = curve.seconds(*call, warm=False)
    assert cold >= prefill_terms.floor(curve.sizes(*call, warm=False)) * SLACK
    seen = q * prefix + q * (q + 1) / 2 if w is None else 0.0
    assert cold[0] >= 4 * d * shape[0] * n * seen / curve.device.peak_flops * SLACK


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(sorted(DECODE)), n=BATCH, c=LENGTH, shape=SHAPE, d=HEAD_DIM, w=WINDOW)
def test_decode_is_never_faster_than_memory(
    name: str, n: float, c: float, shape: tuple[int, int], d: int, w: int | None
) -> None:
    curve = DECODE[name]
    read = n * shape[1] * min(c, w or np.inf) * 2 * d * curve.kv_value_bytes
    cold = curve.seconds(n, c, *shape, d, w)[0]
    assert cold >= read / curve.device.bandwidth * SLACK
    sizes = curve.sizes(n, c, *shape, d, w, warm=True)
    assert curve.seconds(n, c, *shape, d, w, warm=True)[0] >= decode_terms.floor(sizes)[0] * SLACK


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(sorted(PREFILL)), n=BATCH, length=LENGTH, shape=SHAPE, d=HEAD_DIM,
       w=WINDOW)  # fmt: skip
def test_neither_curve_jumps(
    name: str, n: float, length: float, shape: tuple[int, int], d: int, w: int | None
) -> None:
    prefill = PREFILL[name]
    decode = DECODE[sorted(DECODE)[len(name) % len(DECODE)]]
    near = length * (1 + 1e-7)
    more = n * (1 + 1e-7)
    calls = (
        (prefill.seconds(n, x, x, *shape, d, w) for x in (length, near)),
        (decode.seconds(n, x, *shape, d, w) for x in (length, near)),
        (decode.seconds(x, length, *shape, d, w) for x in (n, more)),
    )
    for here, there in calls:
        assert there == pytest.approx(here, rel=1e-5)


@pytest.mark.parametrize("name", sorted(PREFILL))
def test_a_million_tokens_are_at_most_four_times_half_of_them(name: str) -> None:
    lengths = np.array([5e5, 1e6])
    half, whole = PREFILL[name].seconds(1, lengths, lengths, 32, 8, 128)
    assert 2.5 * half < whole < 4.2 * half
    kept = PREFILL[name].seconds(1, 512, lengths, 32, 8, 128)
    assert kept[0] < kept[1] < 2.2 * kept[0]


@pytest.mark.parametrize("name", sorted(DECODE))
def test_a_long_context_is_read_near_memory_speed(name: str) -> None:
    curve = DECODE[name]
    read = 16 * 8 * 1e6 * 2 * 128 * curve.kv_value_bytes / curve.device.bandwidth
    seconds = curve.seconds(16, 1e6, 32, 8, 128)[0]
    assert read <= seconds < 6 * read


@settings(max_examples=100, deadline=None)
@given(prefill=st.sampled_from(sorted(LATENT_PREFILL)),
       decode=st.sampled_from(sorted(LATENT_DECODE)), n=BATCH, length=LENGTH,
       h=st.sampled_from([1, 8, 16, 64]), more=MORE)  # fmt: skip
def test_latent_attention_rises_and_respects_its_floor(
    prefill: str, decode: str, n: float, length: float, h: int, more: float
) -> None:
    first, then = LATENT_PREFILL[prefill], LATENT_DECODE[decode]
    far, many = np.ceil(length * more), np.ceil(n * more)
    whole = first.seconds(n, length, length, h)
    for larger in (first.seconds(n, far, far, h), first.seconds(many, length, length, h),
                   first.seconds(n, length, length, 2 * h),
                   first.seconds(n, length, length + far, h)):  # fmt: skip
        assert larger >= whole * SLACK
    token = then.seconds(n, length, h)
    for larger in (then.seconds(n, far, h), then.seconds(many, length, h),
                   then.seconds(n, length, 2 * h)):  # fmt: skip
        assert larger >= token * SLACK
    values = then.dims.cached * n * length * then.kv_value_bytes
    assert token >= values / then.device.bandwidth * SLACK
    assert first.seconds(n, length, length, h, projections=True) >= whole * SLACK


@pytest.mark.parametrize(("kind", "curve"), [
    ("attention_prefill", PrefillAttentionCurve), ("attention_decode", DecodeAttentionCurve),
    ("latent_prefill", LatentPrefillCurve), ("latent_decode", LatentDecodeCurve),
])  # fmt: skip
@pytest.mark.parametrize("system", SYSTEMS)
def test_profiles_read_back_as_written_and_name_their_source(
    kind: str, curve: Any, system: str
) -> None:
    records = load_curves(kind, system)
    assert records
    for record in records:
        written = curve.from_dict(record["coefficients"]).to_dict()
        assert json.loads(json.dumps(written)) == record["coefficients"]
    assert source(kind, system)["licence"] == "Apache-2.0"
    assert source(kind, system)["files"]


def test_rows_of_different_shapes_are_answered_together() -> None:
    curve = PREFILL["h100_sxm-vllm-bfloat16-bfloat16-"]
    heads, kv, dims = np.array([32, 32, 8]), np.array([8, 32, 1]), np.array([128, 64, 256])
    windows = np.array([np.nan, 128, 0])
    together = curve.seconds([1, 2, 4], 1000, 3000, heads, kv, dims, windows)
    apart = [
        curve.seconds(n, 1000, 3000, h, k, d, w)[0]
        for n, h, k, d, w in zip([1, 2, 4], heads, kv, dims, [None, 128, None], strict=True)
    ]
    assert together == pytest.approx(apart)


def test_a_window_takes_less_than_all_of_a_long_prompt() -> None:
    for name, curve in PREFILL.items():
        full, near = (curve.seconds(4, 16384, 16384, 32, 8, 128, w)[0] for w in (None, 1024))
        assert near < 0.7 * full, name


def test_a_curve_on_faster_hardware_is_faster() -> None:
    curve = PREFILL["generic-vllm-bfloat16-bfloat16-attention"]
    slow, fast = Device(1e14, 1e12, 100, 4e7), Device(1e15, 4e12, 100, 4e7)
    call = (4, 8192, 8192, 32, 8, 128)
    assert curve.on(fast).seconds(*call) < 0.5 * curve.on(slow).seconds(*call)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
def test_sizes_must_be_positive(bad: float) -> None:
    with pytest.raises(InputError, match="positive"):
        DECODE["h100_sxm-vllm-bfloat16-bfloat16-"].seconds(bad, 100, 32, 8, 128)


def test_unknown_terms_are_refused() -> None:
    with pytest.raises(InputError, match="known terms"):
        DecodeAttentionCurve(Device(1e15, 3e12), 2.0, 2.0, (Cell("shared", 128, {"magic": 1.0}),))


def table(length: str, lengths: Any) -> pd.DataFrame:
    """A grid of calls such as kernel tables hold."""
    grid = pd.MultiIndex.from_product(
        [[1, 4, 16, 64], lengths, [(8, 1), (32, 8), (64, 8)]], names=["batch_size", length, "shape"]
    ).to_frame(index=False)
    heads, kv = zip(*grid.pop("shape"), strict=True)
    return grid.assign(num_heads=heads, num_key_value_heads=kv, head_dim=128, window_size=0)


def test_fits_find_a_known_prefill_curve_and_its_future() -> None:
    device = Device(9e14, 3e13, 132, 5e7)
    known = {"launch": 1e-5, "pairs": 1.6, "waste": 1.5, "kv_item": 3.0}
    true = PrefillAttentionCurve(device, 2.0, 2.0, (Cell("shared", 128, known),))
    rows = table("isl", 2 ** np.arange(5, 13))
    noise = np.exp(np.random.default_rng(3).normal(0, 0.02, len(rows)))
    fitted = fit_prefill(rows.assign(seconds=prefill_seconds(true, rows) * noise), device)
    later = table("isl", [16384, 50000])
    assert prefill_seconds(fitted, rows) == pytest.approx(prefill_seconds(true, rows), rel=0.08)
    assert prefill_seconds(fitted, later) == pytest.approx(prefill_seconds(true, later), rel=0.1)


def test_fits_find_a_known_decode_curve_and_its_future() -> None:
    device = Device(9e14, 3e12, 132, 5e7)
    known = {"launch": 1e-5, "bytes": 1.2, "items": 2.0}
    true = DecodeAttentionCurve(device, 2.0, 2.0, (Cell("shared", 128, known),))
    rows = table("step", 2 ** np.arange(0, 15) - 1)
    noise = np.exp(np.random.default_rng(4).normal(0, 0.02, len(rows)))
    fitted = fit_decode(rows.assign(seconds=decode_seconds(true, rows) * noise), device)
    later = table("step", [65535])
    assert decode_seconds(fitted, rows) == pytest.approx(decode_seconds(true, rows), rel=0.08)
    assert decode_seconds(fitted, later) == pytest.approx(decode_seconds(true, later), rel=0.1)
