"""The catalogue of processors, the spellings of their names, and one's own hardware file."""

import csv
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.data.hardware_catalog import (
    find_hardware,
    hardware_names,
    known_hardware,
    load_hardware,
)
from lengthwise.data.hardware_file import read_hardware, write_hardware
from lengthwise.domain.hardware import KINDS, WIDER, HardwareSpec
from lengthwise.errors import InputError

NUMBERS = (
    "memory_bandwidth_bytes_per_s", "memory_bytes", "peak_flops", "gpus_per_node",
    "link_bytes_per_s", "internode_bytes_per_s", "host_bytes_per_s",
)  # fmt: skip
MINE = """
memory_bandwidth_bytes_per_s = 1.008e12
memory_bytes = 24e9
[peak_flops]
bf16 = 165e12
"""


@pytest.mark.parametrize("name", hardware_names())
def test_every_entry_is_sound_and_says_where_each_number_comes_from(name: str) -> None:
    spec = find_hardware(name)
    assert spec.name == name
    assert spec.title
    assert spec.kind in KINDS
    assert all(spec.source(attribute).strip() for attribute in NUMBERS)
    assert 1e9 < spec.memory_bandwidth_bytes_per_s < 2e13
    assert 1 < spec.ridge_point("bf16") < 1000
    assert spec.internode_bytes_per_s <= max(spec.link_bytes_per_s, spec.host_bytes_per_s)


@pytest.mark.parametrize("name", hardware_names())
def test_narrower_formats_are_never_slower(name: str) -> None:
    peaks = find_hardware(name).peak_flops
    for narrow, wide in (("fp4", "fp8"), ("fp8", "bf16"), ("bf16", "fp32"), ("fp16", "fp32")):
        if narrow in peaks and wide in peaks:
            assert peaks[narrow] >= 0.98 * peaks[wide], (narrow, wide)


def test_dense_figures_not_those_with_sparsity() -> None:
    for name, bf16 in {
        "a100_sxm": 312, "h100_sxm": 989, "h200_sxm": 989, "b200_sxm": 2250, "l40s": 362.05,
        "l4": 121, "rtx_4090": 165.2, "mi300x": 1307.4, "a10": 125, "h20": 148,
    }.items():  # fmt: skip
        assert find_hardware(name).peak("bf16") / 1e12 == pytest.approx(bf16)


@pytest.mark.data
def test_agrees_with_the_systems_table_of_aiconfigurator(needs_data: Path) -> None:
    text = (needs_data / "aiconfigurator" / "systems.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 13
    for row in rows:
        spec = find_hardware(row["system"])
        assert spec.name == row["system"]
        for attribute, column in {
            "memory_bandwidth_bytes_per_s": "memory_bandwidth_bytes_per_s",
            "tdp_w": "tdp_watts", "gpus_per_node": "gpus_per_node",
        }.items():  # fmt: skip
            assert getattr(spec, attribute) == pytest.approx(float(row[column])), spec.name
        assert spec.memory_bytes == pytest.approx(float(row["memory_capacity_bytes"]), rel=0.07)
        assert spec.link_bytes_per_s == pytest.approx(float(row["intra_node_bytes_per_s"]))
        formats = {"bf16": "bf16_flops", "int8": "int8_ops", "fp8": "fp8_flops", "fp4": "fp4_flops"}
        for dtype, column in formats.items():
            value = row[f"peak_{column}"]
            if value and dtype in spec.peak_flops:
                assert spec.peak(dtype) == pytest.approx(float(value)), (spec.name, dtype)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("H100", "h100_sxm"), ("h100-80gb", "h100_sxm"), ("NVIDIA H100 80GB HBM3", "h100_sxm"),
        ("NVIDIA H100 PCIe", "h100_pcie"), ("NVIDIA H100 NVL", "h100_nvl"),
        ("NVIDIA A100-SXM4-80GB", "a100_sxm"), ("NVIDIA A100 80GB PCIe", "a100_pcie"),
        ("NVIDIA A100-PCIE-40GB", "a100_pcie_40gb"), ("A100 40 GB", "a100_sxm_40gb"),
        ("a100", "a100_sxm"), ("a100-80gb", "a100_sxm"), ("Tesla V100-SXM2-32GB", "v100_sxm_32gb"),
        ("v100", "v100_sxm_16gb"), ("Tesla T4", "t4"), ("NVIDIA GH200 480GB", "gh200"),
        ("NVIDIA GB10", "dgx_spark"), ("dgx-spark-gb10", "dgx_spark"), ("Orin", "jetson_agx_orin"),
        ("jetson-agx-orin", "jetson_agx_orin"), ("m2-ultra", "m2_ultra"),
        ("Apple M4 Max", "m4_max"), ("AMD Instinct MI300X", "mi300x"), ("AMD MI250 GPU", "mi250"),
        ("Habana Gaudi2", "gaudi2"), ("Intel Max 1550", "max_1550"), ("Intel PVC GPU", "max_1550"),
        ("Nvidia GH200 GPU", "gh200"), ("NVIDIA B200", "b200_sxm"), ("b200", "b200_sxm"),
        ("NVIDIA RTX A6000", "rtx_a6000"), ("A6000", "rtx_a6000"), ("RTX4090", "rtx_4090"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx_6000_ada"), ("  rtx_4090 ", "rtx_4090"),
        ("NVIDIA GeForce RTX 4090", "rtx_4090"), ("AMD EPYC 9654 96-Core Processor", "epyc_9654"),
        ("Intel(R) Xeon(R) Platinum 8480+", "xeon_8480"), ("gpu-titanxp", "titan_xp"),
        ("cpu-epyc-1thread", "cpu_epyc_1thread"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx_pro_6000_server"),
    ],
)  # fmt: skip
def test_names_as_people_drivers_and_tables_write_them(written: str, name: str) -> None:
    assert find_hardware(written).name == name


@given(
    name=st.sampled_from(hardware_names()),
    separator=st.sampled_from(["-", "_", " ", ""]),
    upper=st.booleans(),
)
def test_case_and_separators_do_not_matter(name: str, separator: str, upper: bool) -> None:
    written = name.replace("_", separator)
    assert find_hardware(written.upper() if upper else written).name == name


@pytest.mark.parametrize(
    "written",
    ["NVIDIA GeForce RTX 4090 Laptop GPU", "h100-40gb", "abacus", "", "gpu", "cpu-xeon", "80gb"],
)
def test_what_is_not_known_is_not_guessed(written: str) -> None:
    assert known_hardware(written) is None
    with pytest.raises(InputError, match="must be in the catalogue"):
        find_hardware(written)


def test_an_unknown_name_is_answered_with_near_ones_and_how_to_give_ones_own() -> None:
    with pytest.raises(InputError) as raised:
        load_hardware("h101_sxm")
    assert "h100_sxm" in str(raised.value)
    assert "my_machine.toml" in str(raised.value)


def test_a_format_without_a_unit_goes_to_the_next_wider_one() -> None:
    a100, t4, mac = find_hardware("a100"), find_hardware("t4"), find_hardware("m1")
    assert (a100.unit("fp8"), a100.unit("nvfp4"), a100.unit("int4")) == ("bf16", "bf16", "bf16")
    assert (t4.unit("bf16"), mac.unit("bf16")) == ("fp16", "fp16")
    assert find_hardware("h100").unit("mxfp4") == "fp8"
    assert find_hardware("b200").unit("nvfp4") == "fp4"
    assert find_hardware("epyc_7763").unit("q4_k_m") == "fp32"
    assert a100.peak("fp8") == a100.peak("bf16")
    with pytest.raises(InputError, match="known one"):
        a100.peak("bf17")


@given(st.sampled_from(hardware_names()), st.sampled_from(list(WIDER)))
def test_a_narrower_unit_never_stands_in_for_a_wider_one(name: str, dtype: str) -> None:
    spec = find_hardware(name)
    try:
        unit = spec.unit(dtype)
    except InputError:
        assert dtype == "fp32"  # a few accelerators are not rated for it
        return
    bits = {"fp4": 4, "fp8": 8, "int8": 8, "bf16": 16, "fp16": 16, "fp32": 32}
    assert bits[unit] >= bits[dtype]
    assert spec.ridge_point(dtype) == pytest.approx(
        spec.peak_flops[unit] / spec.memory_bandwidth_bytes_per_s
    )


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "my_gpu.toml"
    path.write_text(MINE)
    spec = load_hardware(str(path))
    assert (spec.name, spec.kind, spec.peak("fp8")) == ("my_gpu", "gpu", 165e12)
    assert spec.source("memory_bytes") == str(path)
    assert "PCIe" in spec.source("host_bytes_per_s")


def test_what_is_written_reads_back_the_same(tmp_path: Path) -> None:
    for name in ("gb300", "m2_ultra", "t4", "tpu_v5e"):
        path = tmp_path / f"{name}.toml"
        write_hardware(find_hardware(name), path)
        assert read_hardware(path) == find_hardware(name)
        assert read_hardware(path).sources == find_hardware(name).sources


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("1.008e12", "1008"), "1 GB/s is 1e9"),
        (("24e9", "24"), "1 GB is 1e9"),
        (("165e12", "165"), "1 TFLOPS is 1e12"),
        (("24e9", "nan"), "must be a number"),
        (("24e9", "inf"), "must be a number"),
        (("24e9", "-24e9"), "must lie between"),
        (("24e9", "'24 GB'"), "must be a number"),
        (("24e9", "true"), "must be a number"),
        (("memory_bytes = 24e9", ""), "no memory_bytes"),
        (("memory_bytes", "memory_gb"), "memory_gb"),
        (("bf16 = 165e12", "bf17 = 165e12"), "bf17"),
        (("bf16 = 165e12", ""), "peak_flops must give"),
        (("[peak_flops]\nbf16 = 165e12", "peak_flops = 165e12"), "peak_flops must give"),
        (("[peak_flops]", "kind = 'toaster'\n[peak_flops]"), "kind must be one of"),
        (("[peak_flops]", "gpus_per_node = 0\n[peak_flops]"), "gpus_per_node"),
        (("[peak_flops]", "multiprocessors = 1.5\n[peak_flops]"), "multiprocessors"),
        (("[peak_flops]", "name = 3\n[peak_flops]"), "name must be a text"),
        (("[peak_flops]", "sources = 'me'\n[peak_flops]"), "sources"),
        (("[peak_flops]", "[peak_flops"), "must be TOML"),
    ],
)
def test_a_bad_file_is_refused_with_what_to_do(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    path = tmp_path / "my_gpu.toml"
    assert change[0] in MINE
    path.write_text(MINE.replace(*change))
    with pytest.raises(InputError) as raised:
        load_hardware(path)
    assert says in str(raised.value)
    assert "my_gpu.toml" in str(raised.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be readable"):
        load_hardware("nowhere.toml")
    with pytest.raises(InputError, match="must be a regular file"):
        load_hardware(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="must be TOML"):
        load_hardware(tmp_path / "binary.toml")


@given(value=st.one_of(st.floats(max_value=0), st.just(math.nan), st.just(math.inf)))
def test_a_specification_has_positive_numbers(value: float) -> None:
    with pytest.raises(InputError, match="positive"):
        HardwareSpec("x", "gpu", 1e12, value, {"bf16": 1e14})
    with pytest.raises(InputError, match="positive"):
        HardwareSpec("x", "gpu", 1e12, 1e10, {"bf16": value})


def test_looking_up_needs_no_heavy_package_and_little_time() -> None:
    script = (
        "import sys, json\n"
        "from lengthwise.data.hardware_catalog import find_hardware\n"
        "find_hardware('h100')\n"
        "print(json.dumps([m for m in ('numpy', 'pandas', 'scipy') if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == []
    find_hardware("h100")
    start = time.perf_counter()
    for _ in range(1000):
        find_hardware("h100_sxm")
    assert time.perf_counter() - start < 1.0
