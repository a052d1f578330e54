"""The file of a step law: exact, and read with suspicion."""

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
from step_rows import grid, runs

from lengthwise.calibration.step import heads
from lengthwise.errors import ArtifactError, FileFormatError, InputError
from lengthwise.prediction.step_law import StepLaw


@pytest.fixture(scope="module")
def law() -> StepLaw:
    """A law with every part a file can have: process, trees, own samples."""
    table = runs(lambda model, hardware: 1.3 if hardware == "h100_sxm" else 0.8, noise=0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "TREE_ROWS", 20)
        patch.setattr(heads, "TREE_DEPLOYMENTS", 3)
        fitted = StepLaw().fit(table)
    mine = runs(lambda model, hardware: 1.5, deployed=[("qwen3-14b", "l40s")], isl=[512, 2048])
    return fitted.update(mine)


@pytest.fixture
def path(law: StepLaw, tmp_path: Path) -> Path:
    """Its file."""
    law.save(tmp_path / "law.json")
    return tmp_path / "law.json"


POINTS = pd.concat([
    grid(isl=[1, 700, 70_000], concurrency=[1, 40]), grid(model="qwen3-14b", hardware="l40s"),
    grid(model="deepseek-r1", hardware="b200_sxm", tp=8, precision="fp8", engine="sglang"),
    grid(osl=1), grid(model="nope"),
])  # fmt: skip


def test_what_is_loaded_answers_the_same(law: StepLaw, path: Path) -> None:
    assert all(part is not None for part in (law.heads_["tpot"].trees, law.heads_["tpot"].own))
    again = StepLaw.load(path)
    for level in (0.5, 0.9, 0.97):
        before, after = law.predict_table(POINTS, level), again.predict_table(POINTS, level)
        pd.testing.assert_frame_equal(before, after, rtol=2e-4)
    assert again.get_params() == law.get_params()
    assert again.training_ == law.training_
    assert again.coefficients_.to_dict() == law.coefficients_.to_dict()


def test_what_is_loaded_and_saved_again_answers_the_same_bits(path: Path, tmp_path: Path) -> None:
    once = StepLaw.load(path)
    once.save(tmp_path / "again.json")
    twice = StepLaw.load(tmp_path / "again.json")
    pd.testing.assert_frame_equal(
        once.predict_table(POINTS), twice.predict_table(POINTS), check_exact=True
    )
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_a_law_without_a_fit_and_one_without_corrections_survive(tmp_path: Path) -> None:
    table = runs(lambda model, hardware: 1.4)
    for law in (StepLaw(), StepLaw(correction=False).fit(table), StepLaw().update(table[:3])):
        law.save(tmp_path / "law.json")
        again = StepLaw.load(tmp_path / "law.json")
        np.testing.assert_allclose(again.predict(POINTS), law.predict(POINTS), rtol=1e-5)
        assert again.get_params() == law.get_params()
        assert again.training_ == law.training_


def test_a_loaded_law_learns_on(law: StepLaw, path: Path) -> None:
    more = runs(lambda model, hardware: 1.7, deployed=[("qwen3-4b", "l40s")], isl=[512])
    again = StepLaw.load(path)
    before = again.answer(more).columns["tpot_ms"]
    after = again.update(more).answer(more).columns["tpot_ms"]
    assert (np.abs(after / more["tpot_ms"] - 1) < np.abs(before / more["tpot_ms"] - 1)).all()


def test_the_file_says_what_it_is(path: Path) -> None:
    data = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert (data["kind"], data["schema_version"], data["formulation"]) == (
        "lengthwise-step-law", 1, "step"
    )  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", data["created"])
    assert data["training"]["rows"] == 51
    assert set(data["heads"]) == {"ttft", "tpot"}
    assert set(data["coefficients"]["factors"]) >= {"products", "attention_decode", "host_step"}


Edit = Callable[[dict[str, Any]], Any]


def put(path: str, value: Any) -> Edit:
    """Set one value deep inside the file; numbers in the path index lists, None removes it."""

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


def loop(data: dict[str, Any]) -> None:
    """Make the first inner node of the trees its own child."""
    trees = data["heads"]["tpot"]["trees"]
    node = next(i for i, feature in enumerate(trees["feature"]) if feature >= 0)
    trees["left"][node] = node


def beyond(data: dict[str, Any]) -> None:
    """Make a node split on a column that does not exist."""
    trees = data["heads"]["tpot"]["trees"]
    node = next(i for i, feature in enumerate(trees["feature"]) if feature >= 0)
    trees["feature"][node] = 10_000


TPOT = "heads/tpot"
DAMAGED: dict[str, tuple[Edit, str]] = {
    "kind": (put("kind", "lengthwise-law"), "a law of measured lengths"),
    "no kind": (put("kind", None), "kind"),
    "newer": (put("schema_version", 2), "upgrade lengthwise"),
    "older": (put("schema_version", 0), "fit the law again"),
    "version text": (put("schema_version", "1"), "schema version"),
    "no version": (put("schema_version", None), "schema version"),
    "no parameters": (put("parameters", None), "complete"),
    "unknown parameter": (put("parameters/shell", "rm"), "parameter"),
    "no coefficients": (put("coefficients", None), "complete"),
    "no factors": (put("coefficients/factors", None), "complete"),
    "factor text": (put("coefficients/factors/products", "a"), "law file"),
    "factor negative": (put("coefficients/factors/products", -1.0), "law file"),
    "factor list": (put("coefficients/factors", [1.0]), "law file"),
    "interference field": (put("coefficients/interference/vllm/shell", 1.0), "complete"),
    "interference text": (put("coefficients/interference/vllm/between", "a"), "law file"),
    "interference negative": (put("coefficients/interference/vllm/wait", -5.0), "law file"),
    "no heads": (put("heads", None), "complete"),
    "heads list": (put("heads", []), "complete"),
    "other head": (lambda d: d["heads"].update(magic=d["heads"]["tpot"]), "law file"),
    "no process": (put(f"{TPOT}/process", None), "complete"),
    "no quantiles": (put(f"{TPOT}/known", None), "complete"),
    "short quantiles": (put(f"{TPOT}/known", [1.0]), "law file"),
    "falling quantiles": (put(f"{TPOT}/known/0", 1e9), "must not fall"),
    "falling unknown quantiles": (put(f"{TPOT}/unknown/0", 1e9), "must not fall"),
    "negative quantiles": (put(f"{TPOT}/known/0", -1.0), "law file"),
    "short settings": (put(f"{TPOT}/process/settings", [[1.0] * 6]), "one length"),
    "ragged settings": (put(f"{TPOT}/process/settings/0", [1.0]), "law file"),
    "few labels": (put(f"{TPOT}/process/labels", [["a"]]), "one length"),
    "no rows": (put(f"{TPOT}/process/y", []), "one length"),
    "no noise": (put(f"{TPOT}/process/noise/0", 0.0), "noise must be positive"),
    "negative noise": (put(f"{TPOT}/process/noise/0", -1.0), "noise must be positive"),
    "spread zero": (put(f"{TPOT}/process/spreads/settings/0", 0.0), "positive"),
    "spread negative": (put(f"{TPOT}/process/spreads/offset/0", -0.1), "positive"),
    "spread missing": (put(f"{TPOT}/process/spreads/smooth", [0.1]), "law file"),
    "spread lengths": (put(f"{TPOT}/process/spreads/shares", [0.1]), "law file"),
    "huge correction": (put(f"{TPOT}/process/y/0", 1e300), "law file"),
    "looping trees": (loop, "children of a node must come after it"),
    "feature beyond": (beyond, "law file"),
    "child beyond": (put(f"{TPOT}/trees/right/0", 10**6), "children of a node"),
    "start beyond": (put(f"{TPOT}/trees/starts/0", 10**6), "start inside"),
    "short thresholds": (put(f"{TPOT}/trees/threshold", [1.0]), "law file"),
    "short values": (put(f"{TPOT}/trees/value", [1.0]), "law file"),
    "huge leaf": (put(f"{TPOT}/trees/base", 1e300), "law file"),
    "no tree labels": (put(f"{TPOT}/trees/values", {}), "law file"),
    "short samples": (put(f"{TPOT}/own/left", [1.0]), "law file"),
    "short deployments": (put(f"{TPOT}/own/deployments", ["a"]), "law file"),
    "deployment no text": (put(f"{TPOT}/own/deployments/0", []), "one length"),
    "label no text": (put(f"{TPOT}/process/labels/1/0", [1]), "one length"),
    "narrow samples": (put(f"{TPOT}/own/settings", [[1.0]] * 6), "one length"),
    "negative spread": (put(f"{TPOT}/own/spread", -1.0), "law file"),
    "error": (put(f"{TPOT}/error", {"by": 1}), "error"),
    "no training rows": (put("training/rows", None), "complete"),
    "no length": (put("training/longest_isl", 0.0), "law file"),
    "training text": (put("training", "x"), "complete"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(DAMAGED))
def test_a_damaged_file_is_refused(name: str, path: Path) -> None:
    edit, message = DAMAGED[name]
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ArtifactError, match=message) as refused:
        StepLaw.load(path)
    assert refused.value.remedy
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("key", ["y", "noise", "settings", "shares"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(key: str, number: str, path: Path) -> None:
    data = json.loads(path.read_text())
    values = data["heads"]["tpot"]["process"][key]
    while isinstance(values[0], list):
        values = values[0]
    values[0] = "here"
    path.write_text(json.dumps(data).replace('"here"', number))
    with pytest.raises(ArtifactError, match="finite"):
        StepLaw.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "must be JSON"), (b"PAR1\x00\xff", "readable text"), (b"isl,ttft_ms\n1,2\n", "JSON"),
     (b"[1, 2]", "JSON object"), (b'{"kind": "lengthwise-step-law", "x": NaN}', "finite.*NaN"),
     (b'{"kind": "lengthwise-step-law", "schema_version": 1}', "complete"),
     (b"[" * 200_000, "nesting must be"), (b'{"kind": ' + b"9" * 5000 + b"}", "400 digits")],
    ids=["empty", "binary", "csv", "list", "nan", "head only", "deep", "long number"],
)  # fmt: skip
def test_what_is_no_law_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "law.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        StepLaw.load(tmp_path / "law.json")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_file_cut_off_is_refused(share: float, path: Path) -> None:
    text = path.read_text()
    path.write_text(text[: int(len(text) * share)])
    with pytest.raises(ArtifactError, match="must be JSON"):
        StepLaw.load(path)


def test_a_file_too_large_is_not_even_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENGTHWISE_MAX_LAW_MB", "1")
    path.write_text(path.read_text() + " " * (1 << 20))
    with pytest.raises(ArtifactError, match="at most 1 MB"):
        StepLaw.load(path)


def test_missing_files_and_folders_are_named(law: StepLaw, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"nothing\.json"):
        StepLaw.load(tmp_path / "nothing.json")
    with pytest.raises(FileFormatError, match="the folder to write to must exist"):
        law.save(tmp_path / "nowhere" / "law.json")
    with pytest.raises(InputError, match="must be a file"):
        law.save(tmp_path)
    assert not list(tmp_path.iterdir())


@settings(max_examples=50, deadline=None, phases=[Phase.generate],
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(data=st.data())
def test_no_edit_of_a_value_breaks_anything_but_the_file(path: Path, data: st.DataObject) -> None:
    text = path.read_text()
    content = json.loads(text)
    inner: Any = content
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        key = data.draw(st.sampled_from(keys))
        if isinstance(inner[key], (dict, list)) and inner[key] and data.draw(st.integers(0, 4)):
            inner = inner[key]
            continue
        inner[key] = data.draw(st.sampled_from([None, "x", -1, 0, 1e300, [], {}, True, [[1]]]))
        break
    path.write_text(json.dumps(content))
    try:
        times = StepLaw.load(path).predict(POINTS[:7])
    except InputError:
        return
    finally:
        path.write_text(text)
    assert np.isfinite(times).all()
