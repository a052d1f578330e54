"""Expressions that map foreign columns."""

import pandas as pd
import pytest

from lengthwise.data.mapping import apply_mapping
from lengthwise.data.table import prepare

FOREIGN = pd.DataFrame(
    {"prompt_len": [512, 1024], "seconds": [0.25, 0.5], "Step Time (s)": ["1", "2"], "isl": [7, 8]}
)


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("latency_ms=seconds*1000", [250, 500]),
        ("latency_ms = (seconds + 0.25) * 1e3 / 2", [250, 375]),
        ("latency_ms=-seconds+1", [0.75, 0.5]),
        ("latency_ms=seconds*1000-prompt_len/2", [-6, -12]),
        ("latency_ms=`Step Time (s)`*1000", [1000, 2000]),
        ("latency_ms=Step Time (s)", ["1", "2"]),
        ("isl=prompt_len", [512, 1024]),
        ("batch_size=4", [4, 4]),
        ("phase='prefill'", ["prefill", "prefill"]),
        ('phase="prefill"', ["prefill", "prefill"]),
        ("phase=prefill", ["prefill", "prefill"]),
        ("model='a = b'", ["a = b", "a = b"]),
        ("my_note=seconds", [0.25, 0.5]),
    ],
)
def test_expression(expression: str, values: list[object]) -> None:
    mapped = apply_mapping(FOREIGN, [expression])
    assert mapped[expression.partition("=")[0].strip()].tolist() == values
    assert set(FOREIGN) <= set(mapped)


def test_expressions_see_the_file_not_each_other() -> None:
    mapped = apply_mapping(FOREIGN, ["isl=prompt_len", "osl=isl"])
    assert mapped["osl"].tolist() == [7, 8]


def test_mapping_leaves_its_input_alone() -> None:
    before = FOREIGN.copy(deep=True)
    apply_mapping(FOREIGN, ["isl=prompt_len*2"])
    pd.testing.assert_frame_equal(FOREIGN, before)


def test_mapped_table_is_valid() -> None:
    maps = ["phase='prefill'", "isl=prompt_len", "latency_ms=seconds*1000"]
    assert prepare(apply_mapping(FOREIGN, maps))["latency_ms"].tolist() == [250, 500]
