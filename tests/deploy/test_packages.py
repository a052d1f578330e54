"""The two distributions, and the list of licences of what they build on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LLMD = ROOT / "packages" / "lengthwise-llmd"
LISTED_EXTRAS = (
    "report", "hub", "formats", "measure", "openvino", "llamacpp", "serve", "postgres", "explore",
)  # fmt: skip


def project(folder: Path) -> dict[str, Any]:
    with (folder / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def test_lengthwise_puts_one_name_into_site_packages() -> None:
    wheel = project(ROOT)["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["src/lengthwise"]}
    assert [path.name for path in (ROOT / "src").iterdir() if path.suffix != ".egg-info"] == [
        "lengthwise"
    ]


def test_names_of_llm_d_are_a_distribution_of_their_own_and_of_the_same_version() -> None:
    ours, theirs = project(ROOT)["project"], project(LLMD)["project"]
    assert theirs["version"] == ours["version"]
    assert theirs["requires-python"] == ours["requires-python"]
    assert theirs["dependencies"] == [f"lengthwise[serve]=={ours['version']}"]
    assert (LLMD / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_licences_of_all_that_is_depended_upon_are_listed() -> None:
    text = (ROOT / "deploy" / "third-party-licences.md").read_text()
    listed = {
        cells[1].strip().lower().replace("_", "-"): cells[3].strip()
        for line in text.splitlines()
        if line.startswith("|") and len(cells := line.split("|")) > 4
    }
    found = project(ROOT)["project"]
    extras = found["optional-dependencies"]
    wanted = [*found["dependencies"], *(r for name in LISTED_EXTRAS for r in extras[name])]
    assert {name_of(r) for r in wanted} - set(listed) == set()
    assert [name for name, licence in listed.items() if licence in ("", "UNKNOWN")] == []
