"""The benchmark of mistakes: its list fits the sources, and a mistake in a copy is noticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mutations import ROOT, judged, mutations, stale
from results_files import result


def test_every_mutation_fits_the_sources_and_changes_them() -> None:
    found = mutations()
    assert not stale(found, ROOT / "src")
    assert len(set(found)) == len(found) >= 40
    assert all(m.old != m.new for m in found)


def test_a_mutation_that_no_longer_fits_is_told(tmp_path: Path) -> None:
    first = mutations()[0]
    path = tmp_path / "lengthwise" / first.file
    path.parent.mkdir(parents=True)
    path.write_text(first.old * 2)
    assert "stands 2 times" in stale([first], tmp_path)[0]


def test_at_least_nine_tenths_of_the_mutations_are_killed() -> None:
    found = result("mutations")
    assert found["survived"] <= 0.1 * found["mutations"]
    assert sum(row["file"].endswith("intervals.py") for row in found["rows"]) >= 8


@pytest.mark.parametrize("word", ["swapped", "rank too high"])
def test_a_mistake_in_a_copy_is_noticed_and_taken_back(word: str, tmp_path: Path) -> None:
    mutation = next(m for m in mutations() if word in m.breaks)
    shutil.copytree(ROOT / "src", tmp_path / "src")
    path = tmp_path / "src" / "lengthwise" / mutation.file
    before = path.read_text()
    assert judged(mutation, tmp_path / "src").killed_by == "golden"
    assert path.read_text() == before
