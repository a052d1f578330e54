"""Shipped curves of collectives keep physical laws at every size."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.calibration.operators.collective_fit import collective_seconds, fit_collective
from lengthwise.data.kernel_profiles import load_curves
from lengthwise.errors import InputError
from lengthwise.formulations.operators.collective import KINDS, CollectiveCurve, Links

SYSTEMS = ("a100_sxm", "b200_sxm", "gb200", "h100_sxm", "h200_sxm", "l40s", "generic")
CURVES = {
    f"{s}-{r['engine']}-{r['kind']}": CollectiveCurve.from_dict(r["coefficients"])
    for s in SYSTEMS
    for r in load_curves("collective", s)
}
SIZE = st.floats(0.0, 10.0).map(lambda x: float(10**x))
GPUS = st.sampled_from([2, 3, 4, 6, 8, 16, 64, 72])


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(sorted(CURVES)), size=SIZE, gpus=GPUS, more=st.floats(1.0, 8.0))
def test_larger_messages_take_longer_and_never_beat_the_link(
    name: str, size: float, gpus: int, more: float
) -> None:
    curve = CURVES[name]
    here, there, beside = curve.seconds([size, size * more, size * (1 + 1e-7)], gpus)
    assert 0 < here <= there * (1 + 1e-9)
    assert beside == pytest.approx(here, rel=1e-5)
    inside = min(gpus, curve.links.gpus_per_node)
    assert here >= size * (inside - 1) / inside / curve.links.inside * (1 - 1e-9)


@pytest.mark.parametrize("name", sorted(CURVES))
def test_more_processors_than_measured_take_longer(name: str) -> None:
    curve = CURVES[name]
    sizes = np.array([1e3, 1e6, 1e9])
    most = max(curve.cells)
    assert np.all(curve.seconds(sizes, 4 * most) > curve.seconds(sizes, most))


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_kind_is_there_and_reads_back_as_written(system: str) -> None:
    records = load_curves("collective", system)
    assert {r["kind"] for r in records} == set(KINDS)
    for record in records:
        written = CollectiveCurve.from_dict(record["coefficients"]).to_dict()
        assert json.loads(json.dumps(written)) == record["coefficients"]


def test_one_processor_has_nothing_to_do() -> None:
    curve = CURVES["h100_sxm-nccl-all_reduce"]
    assert curve.seconds([8e6, 8e6], [1, 8]).tolist()[0] == 0.0
    with pytest.raises(InputError, match="1 processor or more"):
        curve.seconds(8e6, 0)


def test_unswitched_links_are_slower_than_their_bandwidth_says() -> None:
    curve = CURVES["generic-nccl-all_reduce"]
    switched, host = (curve.on(Links(b, 25e9, 8)).seconds(1e8, 8)[0] for b in (450e9, 32e9))
    assert host > 2 * switched * 450 / 32


def test_a_fit_finds_a_known_curve_and_its_future() -> None:
    links = Links(450e9, 50e9, 8)
    true = CollectiveCurve("all_gather", links, {8: {"launch": 1e-5, "to_2m": 8.0, "bytes": 1.3}})
    rows = pd.DataFrame({"num_gpus": 8, "message_bytes": 2.0 ** np.arange(8, 28)})
    fitted = fit_collective(
        rows.assign(seconds=collective_seconds(true, rows)), links, "all_gather"
    )
    assert collective_seconds(fitted, rows) == pytest.approx(
        collective_seconds(true, rows), rel=0.02
    )
    later = rows.assign(message_bytes=rows["message_bytes"] * 16)
    assert collective_seconds(fitted, later) == pytest.approx(
        collective_seconds(true, later), rel=0.05
    )
