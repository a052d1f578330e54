"""The law file: complete, deterministic, exact, and read with suspicion."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lengthwise import ArtifactError, FileFormatError, InputError, LatencyLaw

SAVEABLE = ["linear", "power", "distserve", "llumnix", "edgereasoning", "thesis-ridge", "cubic-ols",
            "splitwise-interp", "bayesian-ridge", "linear-plain", "quadratic", "quadratic-plain",
            "shifted-power", "blend"]  # fmt: skip

KINDS = [
    {}, {"e1": "power", "e2": "hill", "e3": "off"}, {"e1": "nlogn", "e2": "tile", "e3": "residual"},
    {"e1": "quadratic", "e2": "spline", "e3": "isotonic"}, {"e1": "off", "e2": "tilt", "e3": "off"},
    {"e1": "off", "e2": "off", "e3": "off"},
]  # fmt: skip


def saved(law: LatencyLaw, folder: Path) -> Path:
    path = folder / "law.json"
    law.save(path)
    return path


@pytest.fixture(scope="module", params=[*KINDS, *SAVEABLE], ids=str)
def pair(
    request: pytest.FixtureRequest, table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LatencyLaw, LatencyLaw]:
    """A law and what comes back from its file."""
    kinds = request.param if isinstance(request.param, dict) else {"formulation": request.param}
    other = table.assign(hardware="a100", latency_ms=table["latency_ms"] * 2)
    law = LatencyLaw(**kinds, max_extrapolation=None).fit(pd.concat([table, other]))
    return law, LatencyLaw.load(saved(law, tmp_path_factory.mktemp("law")))


@settings(max_examples=15, deadline=None)
@given(
    isl=st.lists(st.integers(1, 10**6), min_size=1, max_size=5), batch=st.integers(1, 300),
    hardware=st.sampled_from(["h100", "a100", "b200"]),
)  # fmt: skip
def test_what_is_loaded_predicts_the_same_bits(
    pair: tuple[LatencyLaw, LatencyLaw], isl: list[int], batch: int, hardware: str
) -> None:
    before, after = pair
    for phase, column in (("prefill", "isl"), ("decode", "context_len")):
        points = pd.DataFrame({"phase": phase, column: isl, "batch_size": batch,
                               "hardware": hardware})  # fmt: skip
        pd.testing.assert_frame_equal(
            before.predict_table(points, 0.8), after.predict_table(points, 0.8), check_exact=True
        )


def test_everything_else_survives_too(pair: tuple[LatencyLaw, LatencyLaw]) -> None:
    before, after = pair
    assert after.get_params() == before.get_params()
    assert after.training_ == before.training_
    assert after.summary() == before.summary()
    assert repr(after) == repr(before)
    assert after.suggest(isl=9999, hardware="h100").length > 0


def test_saving_twice_gives_the_same_bytes(
    law: LatencyLaw, table: pd.DataFrame, tmp_path: Path
) -> None:
    first = saved(law, tmp_path).read_bytes()
    assert saved(LatencyLaw().fit(table.copy()), tmp_path).read_bytes() == first
    assert saved(LatencyLaw.load(tmp_path / "law.json"), tmp_path).read_bytes() == first


def test_the_file_says_what_it_is_and_where_it_comes_from(law: LatencyLaw, tmp_path: Path) -> None:
    data = json.loads(saved(law, tmp_path).read_text(), parse_constant=pytest.fail)
    assert (data["kind"], data["schema_version"]) == ("lengthwise-law", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", data["created"])
    assert re.fullmatch("[0-9a-f]{64}", data["training"]["sha256"])
    assert data["training"]["rows"] == 64
    assert data["training"]["lengths"]["prefill"] == [64.0, 8192.0]
    one = data["laws"][1]
    assert one["labels"]["hardware"] == "h100"
    assert {c["unit"] for c in one["coefficients"]} >= {"s/token", "s/pair"}
    assert all(c["lo"] < c["value"] < c["hi"] for c in one["coefficients"])
    assert one["errors"]["in_range_percent"] < 5
    assert one["trials"]
    assert one["domain"]["sequences"] == [1.0, 8.0]


def test_the_hash_follows_the_values_not_the_file(table: pd.DataFrame) -> None:
    first = LatencyLaw("linear").fit(table).training_.sha256
    shuffled = table[table.columns[::-1]].assign(tp="2", note="x")
    assert LatencyLaw("linear").fit(shuffled).training_.sha256 == first
    other = table.assign(latency_ms=table["latency_ms"] * 1.0000001)
    assert LatencyLaw("linear").fit(other).training_.sha256 != first


@pytest.mark.parametrize("name", ["gradient-boosting", "gaussian-process"])
def test_a_program_is_not_saved(name: str, table: pd.DataFrame, tmp_path: Path) -> None:
    law = LatencyLaw(name).fit(table)
    with pytest.raises(InputError, match="keep the table and fit again"):
        law.save(tmp_path / "law.json")
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(law: LatencyLaw, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="the folder to write to must exist"):
        law.save(tmp_path / "nowhere" / "law.json")


Edit = Callable[[dict[str, Any]], Any]


def put(path: str, value: Any) -> Edit:
    """Set one value deep inside the file; numbers in the path index lists."""

    def edit(data: dict[str, Any]) -> None:
        *front, last = [int(k) if k.isdigit() else k for k in path.split("/")]
        inner: Any = data
        for key in front:
            inner = inner[key]
        if value is None:
            del inner[last]
        else:
            inner[last] = value

    return edit


STATE = "laws/1/state/fitted"
DAMAGED: dict[str, tuple[Edit, str]] = {
    "kind": (put("kind", "onnx"), "kind"),
    "no kind": (put("kind", None), "kind"),
    "newer": (put("schema_version", 2), "upgrade lengthwise"),
    "older": (put("schema_version", 0), "fit the law again"),
    "version text": (put("schema_version", "1"), "schema version"),
    "no laws": (put("laws", []), "at least one law"),
    "laws missing": (put("laws", None), "must have laws"),
    "calibration missing": (put("calibration", None), "must have calibration"),
    "unknown formulation": (put("formulation", "magic"), "formulation must be known"),
    "other formulation": (put("formulation", "linear"), "state"),
    "no state": (put("laws/1/state", None), "must have state"),
    "no theta": (put(f"{STATE}/theta_", None), "must be complete"),
    "short theta": (put(f"{STATE}/theta_", [1.0]), "parameters"),
    "theta text": (put(f"{STATE}/theta_/0", "a"), "theta_"),
    "theta nested": (put(f"{STATE}/theta_/0", [1, 2]), "theta_"),
    "huge theta": (put(f"{STATE}/theta_/0", 1e6), "within range"),
    "huge integer": (put(f"{STATE}/sigma_", 10**400), "digits"),
    "negative variance": (put(f"{STATE}/covariance_/0/0", -1.0), "negative variance"),
    "covariance shape": (put(f"{STATE}/covariance_", [[1.0]]), "parameters"),
    "no noise": (put(f"{STATE}/sigma_", 0.0), "positive noise"),
    "unknown form": (put(f"{STATE}/scaling_/form", "magic"), "form must be one of"),
    "form field": (put(f"{STATE}/scaling_/x", 1), "no field of that name"),
    "method": (put(f"{STATE}/_predict", 1), "must hold fitted attributes"),
    "parameter": (put("laws/1/state/params/shell", "rm"), "parameters"),
    "domain": (put("laws/1/domain/length", [0.0, 5.0]), "must be positive"),
    "domain size": (put("laws/1/domain/length", [5.0]), "2 entries"),
    "phase": (put("laws/1/phase", "decode"), "state must be of phase"),
    "points": (put("laws/1/n_points", "many"), "n_points"),
    "labels": (put("laws/1/labels", []), "labels"),
    "empty scores": (put("calibration/prefill/scores", [[]]), "bins"),
    "scores": (put("calibration/prefill/scores", [["a"]]), "numbers"),
    "drift": (put("calibration/prefill/drift", [[1.0]]), "columns"),
    "other phase": (lambda d: d["calibration"].update(mixed=d["calibration"]["prefill"]),
                    "phases that have a law"),
    "population": (put("population/prefill/members", 5), "must be a list"),
    "training": (put("training/rows", None), "rows"),
    "errors": (put("laws/1/errors", None), "errors"),
    "parameters": (put("parameters", []), "parameters must be an object"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(DAMAGED))
def test_a_damaged_file_is_refused(name: str, law: LatencyLaw, tmp_path: Path) -> None:
    edit, message = DAMAGED[name]
    path = saved(law, tmp_path)
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ArtifactError, match=message) as refused:
        LatencyLaw.load(path)
    assert refused.value.remedy
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be JSON"),
        (b"PAR1\x00\xff", "readable text"),
        (b"isl,latency_ms\n1,2\n", "must be JSON"),
        (b"[1, 2]", "JSON object"),
        (b'{"kind": "lengthwise-law", "x": NaN}', "finite.*NaN"),
        (b'{"kind": "lengthwise-law", "x": -Infinity}', "finite"),
        (b"[" * 200_000, "nesting must be"),
        (b'{"kind": ' + b"9" * 5000 + b"}", "at most 400 digits"),
    ],
    ids=["empty", "binary", "csv", "list", "nan", "infinity", "deep", "long number"],
)
def test_what_is_no_law_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "law.json"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        LatencyLaw.load(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_cut_off_is_refused(law: LatencyLaw, tmp_path: Path, share: float) -> None:
    path = saved(law, tmp_path)
    text = path.read_text()
    path.write_text(text[: int(len(text) * share)])
    with pytest.raises(ArtifactError, match="must be JSON"):
        LatencyLaw.load(path)


def test_a_file_too_large_is_not_even_read(
    law: LatencyLaw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LENGTHWISE_MAX_LAW_MB", "1")
    path = saved(law, tmp_path)
    path.write_text(path.read_text() + " " * (1 << 20))
    with pytest.raises(ArtifactError, match="at most 1 MB"):
        LatencyLaw.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"nothing\.json"):
        LatencyLaw.load(tmp_path / "nothing.json")


@settings(max_examples=60, deadline=None, phases=[Phase.generate], suppress_health_check=[
    HealthCheck.function_scoped_fixture])  # fmt: skip
@given(data=st.data())
def test_no_edit_of_a_value_breaks_anything_but_the_file(
    law: LatencyLaw, tmp_path: Path, data: st.DataObject
) -> None:
    path = saved(law, tmp_path)
    content = json.loads(path.read_text())
    inner: Any = content
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(inner[key], (dict, list)) and inner[key] and data.draw(st.booleans()):
            inner = inner[key]
            continue
        inner[key] = data.draw(st.sampled_from([None, "x", -1, 0, 1e300, [], {}, True, [[1]]]))
        break
    path.write_text(json.dumps(content))
    try:
        again = LatencyLaw.load(path)
        again.predict(pd.DataFrame({"phase": ["prefill"], "isl": [512]}))
    except InputError:
        return
    assert np.isfinite(again.training_.rows)
