"""A formulation of an installed package fits, saves, predicts and is compared elsewhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = '''
from typing import ClassVar
import numpy as np
from lengthwise.domain.work import Work
from lengthwise.formulations.base import Formulation
from lengthwise.units import FloatArray

class RootLaw(Formulation):
    """t = a + b T^(1/2)."""

    name: ClassVar[str] = "{name}"
    equation: ClassVar[str] = "t = a + b sqrt(T)"
    citation: ClassVar[str] = "this test"
    coef_: FloatArray

    def _fit(self, work: Work, y_s: FloatArray, weight: FloatArray) -> None:
        self.coef_ = np.linalg.lstsq(self._design(work), y_s, rcond=None)[0]

    def _predict(self, work: Work) -> FloatArray:
        return self._design(work) @ self.coef_

    def _design(self, work: Work) -> FloatArray:
        return np.column_stack([np.ones(len(work)), np.sqrt(work.new_tokens)])
'''
TABLE = "phase,isl,latency_ms\n" + "".join(
    f"prefill,{n},{3 + 2 * n**0.5:.4f}\n" for n in (64, 100, 144, 256, 400, 900, 1600, 2500)
)


def install(folder: Path, name: str, entry: str, *, code: str = CODE) -> None:
    """Put a package with one entry point where an installer would."""
    (folder / "root_law.py").write_text(code.replace("{name}", name))
    info = folder / "root_law-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: root-law\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lengthwise.formulations]\n{entry}\n")


def lengthwise(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lengthwise", *words], capture_output=True, text=True, check=False,
        cwd=site.parent, env=os.environ | {"PYTHONPATH": str(site)}, timeout=120,
    )  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    (tmp_path / "t.csv").write_text(TABLE)
    return tmp_path / "site"


def test_it_fits_saves_predicts_and_is_compared(site: Path) -> None:
    install(site, "root", "root = root_law:RootLaw")
    fitted = lengthwise(site, "fit", "t.csv", "--formulation", "root", "-o", "law.json")
    assert fitted.returncode == 0, fitted.stderr
    asked = ("predict", "law.json", "--isl", "3600", "--json")
    answer = lengthwise(site, *asked)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["latency_ms"] == pytest.approx(123.0, rel=1e-3)
    both = ("--formulations", "root,linear")
    scored = lengthwise(site, "evaluate", "t.csv", *both, "--split", "random", "--json")
    assert scored.returncode == 0, scored.stderr
    overall = json.loads(scored.stdout)["overall"]
    assert [row["formulation"] for row in overall] == ["root", "linear"]
    assert overall[0]["mape_percent"] < 0.1 < overall[1]["mape_percent"]
    page = lengthwise(site, "report", "t.csv", *both, "--no-ablation", "-o", "page.html")
    assert page.returncode == 0, page.stderr
    assert "t = a + b sqrt(T)" in (site.parent / "page.html").read_text()
    (site / "root_law-1.0.dist-info" / "entry_points.txt").unlink()  # the package is gone
    lost = lengthwise(site, *asked)
    assert lost.returncode == 2
    assert "install the package that brings it" in lost.stderr


@pytest.mark.parametrize(
    ("name", "entry", "said"),
    [
        ("root", "root = root_law:Missing", "the package root-law must be importable"),
        ("square", "root = root_law:RootLaw", "set name = 'root' in the class"),
        ("root", "root = root_law:np", "set name = 'root' in the class"),
        ("linear", "linear = root_law:Missing", ""),
    ],
)
def test_a_package_that_is_wrong_is_named(site: Path, name: str, entry: str, said: str) -> None:
    install(site, name, entry)
    wanted = entry.split()[0]
    done = lengthwise(site, "fit", "t.csv", "--formulation", wanted)
    assert done.returncode == (2 if said else 0), done.stderr  # built-in names stay what they are
    assert said in done.stderr
    assert "unexpected" not in done.stderr
