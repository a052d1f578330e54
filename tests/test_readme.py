"""The README says what the committed results say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
