"""Imports point downwards only."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "lengthwise"

RANK = {
    name: rank
    for rank, names in enumerate(
        [
            ("errors", "units"), ("domain",), ("data",), ("measurement",), ("formulations",),
            ("calibration",), ("evaluation",), ("prediction",), ("simulation",), ("planning",),
            ("reporting",), ("interfaces",),
        ]
    )
    for name in names
}  # fmt: skip
FREE = {"__init__", "__main__", "testing"}
"""The package root re-exports lazily, the entry point starts the top, test suites reach all."""

FILES = sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path, package: Path = PACKAGE) -> str:
    return path.relative_to(package).parts[0].removesuffix(".py")


def imported(tree: ast.AST, package: list[str]) -> list[str]:
    """Dotted names of all imports, those inside functions too; relative ones made absolute."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            names += [f"{stem}.{alias.name}" for alias in node.names]
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.startswith("lengthwise.")
            and node.value.replace(".", "").replace("_", "").isalnum()
        ):
            names.append(node.value)  # import_module("lengthwise....")
    return names


def upward(path: Path, package: Path = PACKAGE) -> list[str]:
    layer = layer_of(path, package)
    if layer in FREE:
        return []
    dotted = ["lengthwise", *path.relative_to(package).parts[:-1]]
    found = []
    for name in imported(ast.parse(path.read_text()), dotted):
        parts = name.split(".")
        if parts[0] != "lengthwise" or len(parts) < 2 or parts[1] not in {*RANK, *FREE}:
            continue
        if parts[1] in FREE or RANK[parts[1]] > RANK[layer]:
            found.append(f"{path.relative_to(package)} ({layer}) imports {name}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    assert upward(path) == []


def test_every_file_has_a_layer() -> None:
    assert {layer_of(path) for path in FILES} <= {*RANK, *FREE}


@pytest.mark.parametrize(
    ("layer", "line"),
    [
        ("data", "from lengthwise.formulations import base"),
        ("domain", "def f():\n    import lengthwise.data.table"),
        ("data", "from .. import interfaces"),
        ("units", "from lengthwise.domain.model import ModelSpec"),
        ("prediction", "import_module('lengthwise.planning.cost')"),
    ],
)
def test_an_upward_import_is_found(tmp_path: Path, layer: str, line: str) -> None:
    path = tmp_path / (f"{layer}.py" if layer == "units" else f"{layer}/a.py")
    path.parent.mkdir(exist_ok=True)
    path.write_text(line)
    assert len(upward(path, tmp_path)) == 1


def test_a_downward_import_is_fine(tmp_path: Path) -> None:
    (tmp_path / "interfaces").mkdir()
    path = tmp_path / "interfaces" / "a.py"
    path.write_text("from lengthwise.reporting import html\nfrom lengthwise import __version__")
    assert upward(path, tmp_path) == []
