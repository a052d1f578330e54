"""The README says what the committed results say."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lengthwise.data.datasets import table
from lengthwise.interfaces.cli.main import run

LEFT_OUT = ("measure", "evaluate", "report", "serve")
"""Commands of the README that are slow or stay, tried elsewhere."""

ROOT = Path(__file__).parents[1]


def test_every_figure_in_the_readme_is_that_of_the_committed_results() -> None:
    check = [sys.executable, "benchmarks/tables.py", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    targets = [part.split(")")[0] for part in text.split("](")[1:]]
    missing = [t for t in targets if not t.startswith("http") and not (ROOT / t).exists()]
    assert not missing


def commands() -> list[list[str]]:
    """Words of the commands of the README, in their order, without comments."""
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = [shlex.split(line, comments=True) for line in lines if line.startswith("lengthwise ")]
    return [words[1:] for words in found if words[1] not in LEFT_OUT]


def test_commands_of_the_readme_work_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    own = table("own-openvino-cpu").query(
        "batch_size == 1 and repeat < 3 and model.str.contains('19m')"
    )
    length = own["isl"].where(own["phase"] == "prefill", own["context_len"])
    own[length.between(128, 4100)].to_parquet("table.parquet")  # what its `measure` writes

    for words in commands():
        with pytest.raises(SystemExit) as stop:
            run(words)
        assert not stop.value.code, f"{shlex.join(words)}: {capsys.readouterr().err}"

    (program,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    exec(program, {})
    assert len(commands()) > 7


def test_nothing_is_installed_from_an_index_by_our_name() -> None:
    """The project is a checkout: of that name an index has nothing, or somebody else's."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = re.compile(r"pip install ['\"]?lengthwise")
    assert [page.name for page in pages if named.search(page.read_text())] == []
