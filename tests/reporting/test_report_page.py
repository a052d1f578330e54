"""The page is self-contained, safe and complete."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from strict_html import check_self_contained

from lengthwise.calibration.lawset import LawSet
from lengthwise.errors import InputError
from lengthwise.evaluation.ablation import ablation
from lengthwise.reporting.content import Options, build
from lengthwise.reporting.html import headline, render, write
from lengthwise.reporting.sources import Source, read, read_all

NASTY = "m</td><script>alert(1)</script>"


def source(lengths: int = 8, name: str = "t<b>.csv") -> Source:
    n = 2.0 ** np.arange(6, 6 + lengths)
    rows = {"phase": "prefill", "isl": n, "model": NASTY, "latency_ms": 5 + n / 20 + n**2 * 1e-6}
    return Source(name, "ab" * 32, table=pd.DataFrame(rows))


@pytest.fixture(scope="module")
def page() -> str:
    made = source()
    options = Options(formulations=("hachiya-patias", "linear"), with_ablation=False)
    terms = ablation(made.table, make=lambda _: LawSet("linear"))
    return render(replace(build([made], options), terms=terms))


def test_nothing_is_fetched_and_nothing_runs(page: str) -> None:
    check_self_contained(page)


def test_user_text_is_escaped(page: str) -> None:
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "t&lt;b&gt;.csv" in page


def test_it_says_what_it_must(page: str) -> None:
    expected = (
        "Formulations on points", "What each term buys", "How to read this", "alpha_1",
        "longest length", "+E1+E2", "prefers-color-scheme:dark", "@media print", "ab" * 6,
    )  # fmt: skip
    for text in expected:
        assert text in page
    assert len(page.encode()) < 1_000_000


def test_sets_of_terms_stand_with_their_weights_heaviest_first(page: str) -> None:
    table = page.partition("8 sets of terms weighed")[2].partition("</table>")[0]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr")[2:]]
    weights = [0.0 if row[0] == "&lt; 0.1" else float(row[0]) for row in rows]
    assert weights == sorted(weights, reverse=True)
    assert sum(weights) == pytest.approx(100.0, abs=0.5)
    assert {len(row) for row in rows} == {4}
    assert rows[0][1].endswith("attention")
    assert sum(row[1].endswith("attention") for row in rows) == 4


def test_a_spoilt_time_is_told_on_the_page() -> None:
    made = source()
    made.table.loc[0, "latency_ms"] *= 3
    options = Options(formulations=("hachiya-patias",), with_ablation=False)
    text = render(build([made], options))
    assert re.search(
        r'<p class="finding">Prefill of 64 tokens took .* measure it again, warm.</p>', text
    )


def test_small_tables_are_described_without_scores() -> None:
    content = build([source(2)], Options(formulations=("hachiya-patias", "linear")))
    assert content.evaluation is None
    assert "not evaluated" in " ".join(content.notes)
    assert [what for what, *_ in headline(content)] == ["deployments", "longest length"]
    assert "What each term buys" not in render(content)


def test_the_twin_holds_the_same(tmp_path: Path) -> None:
    options = Options(formulations=("linear",), with_ablation=False)
    files = write(build([source()], options), tmp_path / "r.html")
    twin = json.loads(files[1].read_text())
    assert twin["ranking"][0]["formulation"] == "linear"
    assert twin["groups"][0]["charts"][0]["points"][0]["x"][0] == 64
    assert twin["sources"][0]["rows"] == 8


def test_bad_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must exist"):
        read(tmp_path / "none.csv")
    with pytest.raises(InputError, match="html file"):
        write(build([source()], Options(formulations=("linear",), with_ablation=False)),
              tmp_path / "r.pdf")  # fmt: skip
    with pytest.raises(InputError, match="at least one"):
        read_all([])
