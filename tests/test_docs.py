"""The documentation says what the code does: nothing public is missing, nothing has drifted."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from lengthwise import errors
from lengthwise.data.datasets import names as dataset_names
from lengthwise.data.limits import LIMITS
from lengthwise.data.schema import COLUMNS
from lengthwise.formulations.hachiya_patias import family
from lengthwise.formulations.registry import _BUILT_IN as BUILT_IN
from lengthwise.interfaces.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

ERRORS = [
    name for name, cls in vars(errors).items()
    if isinstance(cls, type) and issubclass(cls, (errors.LengthwiseError, UserWarning))
    and cls.__module__ == errors.__name__
]  # fmt: skip


def text(name: str) -> str:
    return (DOCS / name).read_text()


@pytest.mark.parametrize(
    ("page", "headings"),
    [
        ("reference/cli.md", [f"## lengthwise {name}\n" for name in COMMANDS]),
        ("reference/table.md", [f"| `{name}` |" for name in COLUMNS]),
        ("reference/formulations.md", [f"## {name}\n" for name in BUILT_IN]),
        ("reference/datasets.md", [f"## {name}\n" for name in dataset_names()]),
        ("reference/errors.md", [f"| `{name}` |" for name in ERRORS]),
        ("reference/file-limits.md", [f"| `{limit.setting}` |" for limit in LIMITS]),
        ("explanation.md", [*family.E1_KINDS, *family.E2_KINDS, *family.E3_KINDS]),
        ("how-to/use-from-python.md", [f"`{path.name}`" for path in EXAMPLES]),
    ],
)
def test_everything_public_is_documented(page: str, headings: list[str]) -> None:
    assert [h for h in headings if h not in text(page)] == []


def test_every_option_is_in_the_reference() -> None:
    assert {"--formulation", "--isl", "--split", "--map", "--plot"} <= set(
        re.findall(r"--[a-z]+", text("reference/cli.md"))
    )


def test_reference_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nRun: python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_pages_are_sound(page: Path) -> None:
    body = page.read_text()
    assert body.count("```") % 2 == 0
    assert "unexpected" not in body, "a command of this page failed"
    assert "Traceback" not in body
    assert "--8 <" not in body, "an include was taken for code and formatted"
    assert not re.search(r"(?<![\w.])/(work|tmp|root|home)/", body)
    assert (page.relative_to(DOCS).as_posix()) in (ROOT / "mkdocs.yml").read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", body):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda p: p.stem)
def test_examples_run_without_a_warning(script: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, check=False,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert done.stderr == ""


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="needs the extra docs")
def test_the_site_builds_and_fetches_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for page in tmp_path.rglob("*.html"):
        fetched = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?(https?:[^\" >]+)",
                             page.read_text())  # fmt: skip
        assert [url for url in fetched if "canonical" not in url] == []
