"""``lengthwise doctor``: what is installed, what this machine can do, what stands in the way."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lengthwise import __version__
from lengthwise.data.output_kinds import HARDWARE
from lengthwise.errors import InputError, pip_install
from lengthwise.interfaces.cli.common import (
    AsJson,
    log,
    print_json,
    print_table,
)
from lengthwise.interfaces.cli.hardware import show_processors
from lengthwise.interfaces.cli.outputs import Force, check_output, wrote

if TYPE_CHECKING:
    from lengthwise.domain.hardware import HardwareSpec
    from lengthwise.measurement.probe import Probe

EXTRAS: dict[str, tuple[str, ...]] = {
    "openvino": ("openvino_genai", "gguf"),
    "llamacpp": ("xllamacpp", "gguf"),
    "transformers": ("torch", "transformers"),
    "measure": ("aiohttp", "psutil", "pynvml"),
    "report": ("matplotlib", "jinja2"),
    "boosting": ("xgboost", "lightgbm"),
    "formats": ("yaml", "msgpack"),
}
"""Packages of each optional extra; the first three are engines."""
ENGINES = ("openvino", "llamacpp", "transformers")
PURPOSE = {
    "measure": "time a server, watch the machine", "report": "HTML reports",
    "boosting": "compare with boosted trees", "formats": "read YAML and MessagePack files",
}  # fmt: skip


def command(
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure for about two seconds instead of six.")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(help="Threads to measure with; as many as numpy uses when left out."),
    ] = None,
    no_measure: Annotated[
        bool, typer.Option("--no-measure", help="Only look, measure nothing.")
    ] = False,
    catalogue: Annotated[
        bool, typer.Option("--catalogue", help="List the processors that are known, and stop.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Hardware file to write: a .toml for --hardware."),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Check this machine: engines, memory bandwidth, arithmetic rate, and what disturbs them.

    Measures how fast memory is read, how many operations per second a matrix product reaches and
    how long a call takes, on the CPU and, with torch, on an NVIDIA GPU. A hardware file written
    with -o can be edited and given to --hardware.

    For example:
      lengthwise doctor
      lengthwise doctor --quick -o my_machine.toml
      lengthwise doctor --catalogue
    """
    if catalogue:
        _show_catalogue(as_json)
        return
    check_output(output, HARDWARE, force=force, as_json=as_json)
    _check_options(output, threads, no_measure)
    found: dict[str, Any] = {
        "version": __version__, "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}", "extras": _extras(), "data": _data(),
    }  # fmt: skip
    probes = [] if no_measure else _measured(quick, threads)
    specs = [probe.hardware() for probe in probes]
    found["machine"] = _machine()
    found["processors"] = [_described(p, s) for p, s in zip(probes, specs, strict=True)]
    if output is not None:
        found["output"] = str(output)
        from lengthwise.data.hardware_file import write_hardware

        write_hardware(specs[-1], output)
        wrote(output)
    if as_json:
        print_json(found)
    else:
        _show(found)


def _check_options(output: Path | None, threads: int | None, no_measure: bool) -> None:
    if output is not None and no_measure:
        raise InputError("a hardware file needs measurements", got="--no-measure with -o",
                         remedy="leave one of them out")  # fmt: skip
    if threads is not None:
        from lengthwise.measurement.probe import usable_cpus

        if not 1 <= threads <= usable_cpus():
            raise InputError(f"threads must lie between 1 and {usable_cpus()}, the CPUs here",
                             got=str(threads))  # fmt: skip


def _extras() -> list[dict[str, Any]]:
    from importlib.util import find_spec

    rows = []
    for name, packages in EXTRAS.items():
        missing = [package for package in packages if find_spec(package) is None]
        # torch comes in many builds, so it is installed first and by itself
        torch = "pip install torch; " if "torch" in missing else ""
        rows.append({
            "name": name, "engine": name in ENGINES, "usable": not missing, "missing": missing,
            "install": f"{torch}{pip_install(name)}" if missing else None,
        })  # fmt: skip
    return rows


def _data() -> dict[str, Any]:
    from lengthwise.data.datasets import DATA_VARIABLE, available, names

    folder = os.environ.get(DATA_VARIABLE)
    try:
        here = [name for name in names() if available(name)]
    except InputError as error:
        return {"variable": DATA_VARIABLE, "folder": folder, "problem": str(error)}
    return {
        "variable": DATA_VARIABLE, "folder": folder, "datasets": len(names()), "here": here,
    }  # fmt: skip


def _machine() -> dict[str, Any]:
    from lengthwise.measurement.machine import cpu_model, load_average, memory_bytes, pressure
    from lengthwise.measurement.probe import configured_threads, usable_cpus

    return {
        "cpu": cpu_model(), "cpus": usable_cpus(), "threads": configured_threads(),
        "memory_bytes": memory_bytes(), "load_average": load_average(),
        "cpu_pressure_percent": pressure(), "nvidia": _nvidia(),
    }  # fmt: skip


def _nvidia() -> dict[str, Any]:
    from lengthwise.measurement.probe_torch import nvml_facts

    return nvml_facts()


def _measured(quick: bool, threads: int | None) -> list[Probe]:
    from lengthwise.measurement.probe import probe_cpu
    from lengthwise.measurement.probe_torch import probe_gpu

    log("measuring ...")
    probes = [probe_cpu(quick=quick, threads=threads)]
    gpu = probe_gpu(quick=quick)
    return [*probes, gpu] if gpu is not None else probes


def _described(probe: Probe, spec: HardwareSpec) -> dict[str, Any]:
    """Put what was measured beside what the catalogue says of this processor."""
    from lengthwise.data.hardware_catalog import known_hardware
    from lengthwise.measurement.machine import cpu_model

    known = known_hardware(cpu_model() if probe.kind == "cpu" else probe.name)
    return probe.to_dict() | {
        "hardware": spec.to_dict(),
        "ridge_point_flop_per_byte": spec.ridge_point("bf16"),
        "catalogue": None if known is None else known.to_dict(),
    }


def _show(found: dict[str, Any]) -> None:
    print(f"lengthwise {found['version']}, Python {found['python']}, {found['system']}\n")
    rows = [
        (row["name"], "engine" if row["engine"] else PURPOSE[row["name"]],
         "usable" if row["usable"] else "no " + ", ".join(row["missing"]), row["install"])
        for row in found["extras"]
    ]  # fmt: skip
    print_table(["extra", "what for", "here", "to get it"], rows)
    print()
    _show_data(found["data"])
    _show_machine(found["machine"])
    for processor in found["processors"]:
        print()
        _show_processor(processor)
    warnings = [text for processor in found["processors"] for text in processor["warnings"]]
    if warnings:
        print("\n" + "\n".join(f"warning: {text}" for text in warnings))
    if "output" in found:
        name = found["processors"][-1]["name"]
        print(f"\n{name} is described in {found['output']}: --hardware {found['output']}")


def _show_data(data: dict[str, Any]) -> None:
    if "problem" in data:
        print(f"data      {data['problem']}")
        return
    where = f"{data['variable']}={data['folder']}" if data["folder"] else f"no {data['variable']}"
    print(f"data      {len(data['here'])} of {data['datasets']} datasets are here ({where})")


def _show_machine(machine: dict[str, Any]) -> None:
    memory = machine["memory_bytes"]
    held = f", {memory / 2**30:.1f} GiB" if memory else ""
    print(f"machine   {machine['cpu'] or 'unknown CPU'}, {machine['cpus']} CPUs{held}; "
          f"{machine['threads']} in use")  # fmt: skip
    gpu = machine["nvidia"]
    if gpu:
        print(f"gpu       {gpu.get('gpus', 1)} x {gpu.get('name', 'NVIDIA GPU')}, driver "
              f"{gpu.get('driver', 'unknown')}")  # fmt: skip


def _show_processor(processor: dict[str, Any]) -> None:
    known, rows = processor["catalogue"], []
    rows.append(_row("memory, read", processor["read"], 1e9, "GB/s", _bandwidth(known)))
    rows.append(_row("memory, 2 reads and a write", processor["triad"], 1e9, "GB/s",
                     _bandwidth(known)))  # fmt: skip
    for name, rate in processor["flops"].items():
        peak = known and known["peak_flops"].get(name)
        rows.append(_row(f"product in {name}", rate, 1e9, "GFLOP/s", peak))
    where = f"catalogue: {known['name']}" if known else "catalogue: not known"
    title = f"{processor['name']}, best of several tries ({where})"
    print_table(["what", "best", "usual", "", "catalogue", "share"], rows, title=title)
    print(f"\none call takes {processor['call_s'] * 1e6:.2f} us beside its work; "
          f"{processor['ridge_point_flop_per_byte']:.1f} FLOP per byte balance memory and "
          "arithmetic")  # fmt: skip


def _bandwidth(known: dict[str, Any] | None) -> float | None:
    return None if known is None else float(known["memory_bandwidth_bytes_per_s"])


def _row(
    what: str, rate: dict[str, float], scale: float, unit: str, expected: float | None
) -> tuple[Any, ...]:
    share = None if not expected else f"{rate['best'] / expected:.0%}"
    listed = None if not expected else _number(expected / scale)
    return what, _number(rate["best"] / scale), _number(rate["median"] / scale), unit, listed, share


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _show_catalogue(as_json: bool) -> None:
    from lengthwise.data.hardware_catalog import find_hardware, hardware_names

    show_processors([find_hardware(name) for name in hardware_names()], as_json=as_json)
