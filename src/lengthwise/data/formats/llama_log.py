"""What llama.cpp and its forks print around a table: devices, model, build, settings."""

from __future__ import annotations

import re

from lengthwise.data.formats.fields import Row

PRECISION = re.compile(
    r"\b(MXFP4(?: MoE)?|NVFP4|I?Q\d+_\w+|TQ\d_\d|BF16|F16|F32)(?: - (Small|Medium|Large))?\b"
)
"""Quantisations in the descriptions that llama.cpp prints."""

_DEVICE = re.compile(r"^\s*Device (\d+): ([^,\n]+),|ggml_vulkan: (\d+) = ([^(|\n]+)", re.M)
_METAL = re.compile(r"ggml_metal\w*: (?:picking default device|found device|GPU name): *([^\n(]+)")
_BUILD = re.compile(
    r"^\s*(?:main: )?build(?::| =) *(?:([0-9a-f]{6,40}) \((\d+)\)|(\d+) \(([0-9a-f]+)\))", re.M
)
_NAME = re.compile(r"general\.name\s*(?:str\s*)?= *([^\n]+)")
_TYPE = re.compile(r"(?:file type|model ftype)\s*= *([^\n]+)")
_FILE = re.compile(
    r"(?:^|\s)(?:-m|--model)[ =]+[\"']?([^\s\"']+\.gguf)|loaded meta data .* from (\S+\.gguf)"
)
_SETTING = re.compile(r"\b(n_\w+|flash_attn|is_\w+) = (-?\d+)")


def devices(text: str) -> str | None:
    """Return the accelerators that the last list of a log names, one by one; None without.

    >>> devices("  Device 0: NVIDIA H100, compute capability 9.0, VMM: yes")
    'NVIDIA H100'
    """
    names: list[str] = []
    for index, name, index_vulkan, name_vulkan in _DEVICE.findall(text):
        if (index or index_vulkan) == "0":
            names = []
        names.append((name or name_vulkan).strip())
    return ", ".join(names or [name.strip() for name in _METAL.findall(text)[-1:]]) or None


def build(text: str) -> tuple[str, str] | None:
    """Return commit and number of the last build that a log names.

    >>> build("build: abc1234 (9000)"), build("main: build = 9000 (abc1234)")
    (('abc1234', '9000'), ('abc1234', '9000'))
    """
    found = _BUILD.findall(text)
    if not found:
        return None
    commit, count, count2, commit2 = found[-1]
    return commit or commit2, count or count2


def settings(text: str) -> dict[str, int]:
    """Return the settings of a line such as ``main: n_kv_max = 4096, flash_attn = 1``.

    >>> settings("main: n_kv_max = 4096, flash_attn = 1")
    {'n_kv_max': 4096, 'flash_attn': 1}
    """
    lines = [line for line in text.splitlines() if "n_kv_max = " in line]
    return {name: int(value) for name, value in _SETTING.findall(lines[-1])} if lines else {}


def labels(text: str) -> Row:
    """Return what a log says about the deployment."""
    made = build(text)
    kind, name, file = _TYPE.search(text), _NAME.search(text), _FILE.search(text)
    path = next((part for part in file.groups() if part), "") if file else ""
    stem = path.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".gguf")
    return {
        "model": name[1].strip() if name else stem or None,
        "precision": (kind and quantisation(kind[1])) or quantisation(stem.upper()),
        "hardware": devices(text),
        "engine_version": f"b{made[1]} ({made[0]})" if made else None,
        "clock": "server",
    }  # fmt: skip


def quantisation(model_type: str) -> str | None:
    """Return the quantisation that a type of llama.cpp names, None without.

    >>> quantisation("llama 8B Q4_K - Medium"), quantisation("qwen3 0.6B Q8_0")
    ('q4_k_m', 'q8_0')
    """
    found = PRECISION.search(model_type)
    if not found:
        return None
    size = f"_{found[2][0]}" if found[2] else ""
    return f"{found[1]}{size}".lower().replace(" ", "_")
