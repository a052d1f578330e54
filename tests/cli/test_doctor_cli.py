"""lengthwise doctor: what is installed, what was measured, the file it writes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lengthwise.data.hardware_catalog import hardware_names, load_hardware
from lengthwise.errors import pip_install
from lengthwise.interfaces.cli.main import run
from lengthwise.measurement.probe import Probe, Rate, rate, usable_cpus


def doctor(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        run(["doctor", *words])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """One quick run in a process of its own, which writes a hardware file."""
    path = tmp_path_factory.mktemp("doctor") / "my_machine.toml"
    words = ["doctor", "--quick", "--threads", "1", "-o", str(path), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "lengthwise", *words], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout), path


def test_measured_figures_are_physical(measured: tuple[dict[str, Any], Path]) -> None:
    cpu = measured[0]["processors"][0]
    assert cpu["kind"] == "cpu"
    assert cpu["threads"] == 1
    assert 1e8 < cpu["bandwidth"] < 1e13
    assert 1e8 < cpu["flops"]["fp64"]["best"] < 1e14
    assert cpu["flops"]["fp32"]["best"] > cpu["flops"]["fp64"]["best"]
    assert 1e-9 < cpu["call_s"] < 1e-3
    for one in (cpu["read"], cpu["triad"], *cpu["flops"].values()):
        assert one["median"] <= one["best"]
        assert one["tries"] >= 3


def test_the_file_it_writes_is_hardware(measured: tuple[dict[str, Any], Path]) -> None:
    found, path = measured
    spec = load_hardware(path)
    cpu = found["processors"][-1]
    assert spec.name == cpu["name"]
    assert spec.memory_bandwidth_bytes_per_s == pytest.approx(cpu["bandwidth"], rel=1e-3)
    assert spec.peak("fp32") == pytest.approx(cpu["flops"]["fp32"]["best"], rel=1e-3)
    assert "lengthwise doctor" in spec.source("memory_bandwidth_bytes_per_s")
    assert spec.ridge_point("bf16") == pytest.approx(cpu["ridge_point_flop_per_byte"], rel=1e-3)


def test_engines_and_extras_with_how_to_get_them(measured: tuple[dict[str, Any], Path]) -> None:
    extras = {row["name"]: row for row in measured[0]["extras"]}
    assert {name for name, row in extras.items() if row["engine"]} == {
        "openvino", "llamacpp", "transformers"
    }  # fmt: skip
    for name, row in extras.items():
        assert row["usable"] == (not row["missing"])
        assert (row["install"] is None) == row["usable"]
        if not row["usable"]:
            assert row["install"].endswith(pip_install(name))


def test_looking_alone_is_readable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LENGTHWISE_DATA", str(tmp_path))
    code, out, _ = doctor(capsys, "--no-measure")
    assert code == 0
    assert "lengthwise " in out
    assert "openvino" in out
    assert f"LENGTHWISE_DATA={tmp_path}" in out
    assert f"{usable_cpus()} CPUs" in out


def test_a_data_folder_that_is_none_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LENGTHWISE_DATA", str(tmp_path / "nowhere"))
    code, out, _ = doctor(capsys, "--no-measure")
    assert code == 0
    assert "nowhere" in out


def test_the_text_warns_of_what_disturbs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = doctor(capsys, "--quick", "--threads", "1")
    assert code == 0
    assert "GB/s" in out
    assert "GFLOP/s" in out
    assert "measuring" in err
    if 1 < usable_cpus() < 4:
        assert f"warning: few CPUs ({usable_cpus()})" in out
        assert f"1 of {usable_cpus()} CPUs in use" in out


def test_the_catalogue_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = doctor(capsys, "--catalogue")
    assert code == 0
    assert all(name in out for name in hardware_names())
    code, out, _ = doctor(capsys, "--catalogue", "--json")
    assert [entry["name"] for entry in json.loads(out)] == hardware_names()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-o", "machine.txt"], "must end in .toml"),
        (["-o", "nowhere/machine.toml"], "folder"),
        (["-o", "m.toml", "--no-measure"], "needs measurements"),
        (["--threads", "0"], "threads must lie between"),
        (["--threads", "100000"], "threads must lie between"),
    ],
)
def test_bad_options_are_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = doctor(capsys, *words)
    assert code == 2
    assert says in err
    assert out == ""
    assert "measuring" not in err


def test_a_rate_counts_the_best_try() -> None:
    waits = iter([0.0, 0.02, 0.01, 0.04])

    def work() -> None:
        import time

        time.sleep(next(waits))

    found = rate(work, 1.0, 0.0)
    assert found.tries == 3
    assert 40 < found.best <= 101
    assert found.median < found.best
    assert Rate(4.0, 3.0, 3).spread == 0.25


def test_emulated_formats_are_no_units() -> None:
    one = Rate(1e12, 1e12, 3)
    slow, fast = Rate(1e11, 1e11, 3), Rate(4e12, 4e12, 3)
    flops = {"fp32": one, "fp64": slow, "fp16": slow, "bf16": fast, "fp8": slow, "int8": fast}
    probe = Probe("gpu", "gpu", 0, 8e9, one, one, flops, 1e-6)
    spec = probe.hardware()
    assert set(spec.peak_flops) == {"fp32", "bf16", "int8"}
    assert (spec.unit("fp8"), spec.unit("fp16")) == ("bf16", "bf16")


def test_products_by_torch_on_a_cpu() -> None:
    torch = pytest.importorskip("torch")
    from lengthwise.measurement.probe_torch import products

    found = products(torch, "cpu", 128, ("bf16", "fp32", "no such format"), 0.01)
    assert set(found) <= {"bf16", "fp32"}
    assert found["fp32"].best > 1e7
