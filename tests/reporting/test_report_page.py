"""The page is self-contained, safe and complete."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

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


class Strict(HTMLParser):
    """Collects tags and checks that they close in order."""

    VOID = ("meta", "link", "br", "line", "rect", "path", "circle")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_nothing_is_fetched_and_nothing_runs(page: str) -> None:
    parser = Strict()
    parser.feed(page)
    tags = {tag for tag, _ in parser.seen}
    assert tags.isdisjoint({"script", "link", "iframe", "img", "object"})
    names = {name for _, attributes in parser.seen for name in attributes}
    assert not {n for n in names if n.startswith("on")} | ({"src", "href"} & names)
    assert "url(" not in re.sub(r"url\(#c\d+\)", "", page)
    assert "@import" not in page
    assert set(re.findall(r"https?://[^\s\"<]+", page)) <= {"http://www.w3.org/2000/svg"}
    assert parser.open == []


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
