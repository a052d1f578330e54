"""What tools print is read with the means that it states."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from printouts import PRINTOUTS
from printouts_llama import Printout

from lengthwise.data.formats import registry
from lengthwise.data.formats.base import Document
from lengthwise.data.importing import import_table

ROUNDING = 0.006
"""Share that is lost to the decimals printed."""

CASES = [
    pytest.param(name, make, k, id=f"{name}-{make.__name__}-{k}")
    for name, makers in PRINTOUTS.items()
    for make in makers
    for k in (1.0, 3.7, 0.45)
]


def written(folder: Path, text: str, name: str = "results.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "make", "k"), CASES)
def test_means_are_those_that_the_file_states(
    name: str, make: Callable[[float], Printout], k: float, tmp_path: Path
) -> None:
    text, wanted = make(k)
    table, report = import_table(written(tmp_path, text))
    assert report.format == name
    assert len(table) == len(wanted)
    for index, row in enumerate(wanted):
        for column, value in row.items():
            found = table[column].iloc[index] if column in table else None
            if value is None:
                assert pd.isna(found), (index, column, found)
            elif isinstance(value, str):
                assert found == value, (index, column)
            else:
                assert found == pytest.approx(value, rel=ROUNDING), (index, column)
    rules = {flag.rule for flag in report.flags}
    assert "figures disagree" not in rules
    assert "physically impossible" not in rules


@pytest.mark.parametrize("make", [makers[0] for makers in PRINTOUTS.values()])
def test_exactly_one_format_has_the_shape(
    make: Callable[[float], Printout], tmp_path: Path
) -> None:
    text, _ = make(1.0)
    path = tmp_path / "a.json"
    path.write_bytes(gzip.compress(text.encode()))
    assert len(registry.candidates(Document(path))) == 1
