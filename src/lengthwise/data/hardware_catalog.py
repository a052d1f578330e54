"""The catalogue of processors (``hardware.toml``) and the many ways their names are written."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lengthwise.data.hardware_file import build, read_hardware
from lengthwise.domain.hardware import HardwareSpec
from lengthwise.errors import InputError

CATALOGUE = Path(__file__).with_name("hardware.toml")
_NOISE = re.compile(
    r"nvidia|amd|intel|apple|habana|google|tesla|geforce|quadro|instinct|radeon|gpus?|hpu|cpu|oam"
    r"|accelerator|corporation|graphics|card|generation|edition|processor|module|tensor|data"
    r"|center|centre|r|tm|hbm\w*|\d+core"
)
_MEMORY = re.compile(r"(\d+)(?:gb|gib|g)")
_FORM = re.compile(r"(sxm|pcie?|nvl)\d*")


def load_hardware(name_or_path: str | Path) -> HardwareSpec:
    """Return a processor of the catalogue by name, or one's own from a TOML file.

    >>> load_hardware("H100").name
    'h100_sxm'
    """
    text = str(name_or_path)
    is_path = isinstance(name_or_path, Path) or text.lower().endswith(".toml")
    if is_path or (os.sep in text and Path(text).is_file()):
        return read_hardware(text)
    return find_hardware(text)


def find_hardware(name: str) -> HardwareSpec:
    """Look a processor up by any usual spelling of its name.

    Vendor, case, separators and what drivers add do not matter. A name that fits several (``a100``)
    gives the common one (SXM, the larger memory) unless it says more (``A100-PCIE-40GB``).

    >>> find_hardware("NVIDIA H100 80GB HBM3").name, find_hardware("a100-40gb").name
    ('h100_sxm', 'a100_sxm_40gb')
    >>> find_hardware("NVIDIA GeForce RTX 4090").peak("bf16") / 1e12
    165.2
    """
    found = _named(name)
    if found is None:
        raise InputError(
            "hardware must be in the catalogue or a .toml file",
            got=repr(name),
            remedy=_remedy(name),
        )
    return _spec(found)


def known_hardware(name: str) -> HardwareSpec | None:
    """Look a processor up like :func:`find_hardware`; None if it is not known.

    >>> known_hardware("abacus") is None
    True
    """
    found = _named(name)
    return None if found is None else _spec(found)


def hardware_names() -> list[str]:
    """Names of the catalogue, in its order.

    >>> "h100_sxm" in hardware_names()
    True
    """
    return list(_entries())


def nearest_hardware(name: str) -> list[str]:
    """Return the names of the catalogue that are most like a name, the likest first; at most 4.

    >>> nearest_hardware("h10O")[0]
    'h100_sxm'
    """
    from difflib import get_close_matches

    keys = _by_key()
    close = get_close_matches(name_key(name), keys, n=8, cutoff=0.6)
    return list(dict.fromkeys(keys[key] for key in close))[:4]


def variants_of(name: str) -> list[str]:
    """Return the processors a name may mean that says neither form nor memory, the usual first.

    Empty where the name fits one processor only, or says which one is meant.

    >>> variants_of("H100"), variants_of("h100-pcie"), variants_of("l4")
    (['h100_sxm', 'h100_pcie', 'h100_nvl'], [], [])
    """
    found = _named(name)
    words = set(re.findall(r"[a-z0-9]+", name.lower()))
    if found is None or any(_FORM.fullmatch(word) or _MEMORY.fullmatch(word) for word in words):
        return []
    alike = [other for other in _entries() if _kind(other) == _kind(found)]
    return [found, *(other for other in alike if other != found)] if alike != [found] else []


def name_key(name: str, *, memory: bool = True) -> str:
    """Reduce a name to what tells processors apart.

    >>> name_key("NVIDIA A100-SXM4-80GB"), name_key("NVIDIA A100-SXM4-80GB", memory=False)
    ('a100sxm80gb', 'a100sxm')
    """
    words = []
    text = re.sub(r"(\d)[- ](gi?b|core)\b", r"\1\2", name.lower())
    for word in re.findall(r"[a-z0-9.+]+", text):
        if _NOISE.fullmatch(word):
            continue
        if size := _MEMORY.fullmatch(word):
            words += [f"{size[1]}gb"] if memory else []
        else:
            words.append(form[1] if (form := _FORM.fullmatch(word)) else word)
    return "".join(words)


def _kind(name: str) -> str:
    """Leave form and memory out of a name of the catalogue.

    >>> _kind("a100_pcie_40gb")
    'a100'
    """
    words = name.split("_")
    return "_".join(w for w in words if not _FORM.fullmatch(w) and not _MEMORY.fullmatch(w))


def _squashed(name: str) -> str:
    return re.sub(r"[^a-z0-9.+]", "", name.lower())


def _named(name: str) -> str | None:
    keys = _by_key()
    for key in (name_key(name), _squashed(name)):
        if key in keys:
            return keys[key]
    found = keys.get(name_key(name, memory=False))
    size = next(
        (int(m[1]) for m in map(_MEMORY.fullmatch, re.findall(r"\w+", name.lower())) if m), 0
    )
    if found is None or not size:
        return found
    bytes_ = float(_entries()[found]["memory_bytes"])
    return found if 0.85 <= bytes_ / (size * 1e9) <= 1.15 else None


def _remedy(name: str) -> str:
    near = nearest_hardware(name)
    hint = f"did you mean {' or '.join(near)}; " if near else ""
    return hint + (
        "lengthwise hardware lists what is known; lengthwise doctor -o my_machine.toml describes "
        "this machine"
    )


@cache
def _entries() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))


@cache
def _by_key() -> dict[str, str]:
    names: dict[str, str] = {}
    for name, entry in _entries().items():
        for alias in (name.replace("_", " "), entry.get("title", ""), *entry.get("aliases", ())):
            names.setdefault(name_key(alias), name)
            names.setdefault(_squashed(alias), name)
    names.pop("", None)
    return names


@cache
def _spec(name: str) -> HardwareSpec:
    return build({"name": name, **_entries()[name]})
