"""What the README and the page of the field say of the public curves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from results_files import result

OURS = "hachiya-patias"
KINDS = {"prompt": "whole prompts", "chunk": "chunks at depth", "decode": "decode steps"}
TESTS = {
    "all_4": "all lengths up to max/4",
    "all_2": "all lengths up to max/2",
    "drawn_6": "6 lengths up to max/4",
    "drawn_4": "4 lengths up to max/4",
    "drawn_3": "3 lengths up to max/4",
    "spoilt": "4 lengths, one time 1.5 to 3 times too long",
}


def corpus() -> str:
    """Say in one table what the law is worth beside the best simple formula."""
    found = result("field")
    rows = [
        "| public curves, averaged over sources | lengthwise | best simple formula | `linear` |",
        "|---|--:|--:|--:|",
    ]
    for test in ("all_4", "drawn_4"):
        for kind, label in KINDS.items():
            part = found["errors"][test].get(kind)
            if part:
                average, best = part["average"], found["check"][test][kind]["average"]
                name = best["median"]["best"]
                cells = [_pair(average[OURS]), f"{_pair(average[name])} (`{name}`)",
                         _pair(average["linear"])]  # fmt: skip
                rows.append(f"| {label}, {TESTS[test]} | {' | '.join(cells)} |")
    return "\n".join([*rows, "", _promise(found)])


def _promise(found: dict[str, Any]) -> str:
    every = found["errors"]["all_4"].values()
    curves = sum(s["curves"] for part in every for s in part["sources"].values())
    judged = found["intervals"]["all_4"]
    covered = [judged[kind][OURS]["all"]["coverage_percent"] for kind in KINDS]
    inside = " / ".join(f"{number(share)} %" for share in covered)
    names = " / ".join(KINDS.values())
    return (
        f"MAPE beyond max/4, median / 90th percentile over curves ({curves:,} curves). 90 % "
        f"intervals hold {inside} of the times ({names}). By source, with few lengths, with a "
        "spoilt time: [the field](docs/reference/field.md)."
    )


def errors(test: str) -> str:
    """Errors of every formulation by kind and source."""
    found = result("field")
    names = found["formulations"]
    head = ["| curves | number | " + " | ".join(f"`{n}`" for n in names) + " |",
            "|---|--:|" + "--:|" * len(names)]  # fmt: skip
    rows = []
    for kind, part in found["errors"][test].items():
        for source, s in part["sources"].items():
            label = f"{KINDS[kind]}, {source}"
            rows.append(_row(label, str(s["curves"]), s["formulations"], names))
        rows.append(_row(f"**{KINDS[kind]}, average**", "", part["average"], names))
    return "\n".join([*head, *rows])


def _row(label: str, number: str, by: dict[str, Any], names: list[str]) -> str:
    return f"| {label} | {number} | {' | '.join(_pair(by[n]) for n in names)} |"


def averages() -> str:
    """Averages over sources of every test."""
    found = result("field")
    return _averages(found, [f"`{n}`" for n in found["formulations"]])


def ablation() -> str:
    """Averages over sources of the law without each of its parts."""
    found = result("field_ablation")
    return _averages(found, found["formulations"])


def _averages(found: dict[str, Any], labels: list[str]) -> str:
    names = found["formulations"]
    rows = [f"| kind, trained on | {' | '.join(labels)} |", "|---|" + "--:|" * len(names)]
    for kind, label in KINDS.items():
        for test, trained in TESTS.items():
            part = found["errors"].get(test, {}).get(kind)
            if part:
                cells = " | ".join(_pair(part["average"][n]) for n in names)
                rows.append(f"| {label}, {trained} | {cells} |")
    return "\n".join(rows)


def ratios() -> str:
    """Errors of the law over those of the best simple formula of each source."""
    found = result("field")
    rows = ["| curves beyond max/4 | median | best | 90th percentile | best |",
            "|---|--:|---|--:|---|"]  # fmt: skip
    for kind, label in KINDS.items():
        part = found["check"]["all_4"].get(kind, {"sources": {}, "average": {}})
        for source, r in [*part["sources"].items(), ("average", part["average"])]:
            if r:
                cells = [f"{number(r[f]['ratio'])} | `{r[f]['best']}`" for f in ("median", "p90")]
                rows.append(f"| {label}, {source} | {' | '.join(cells)} |")
    return "\n".join(rows)


def judged_intervals() -> str:
    """Coverage, width and score of the intervals by doublings beyond the data."""
    found = result("field")["intervals"]
    rows = ["| kind, trained on, doublings beyond or source | curves | points | coverage of 90 % "
            "| median width | interval score |", "|---|--:|--:|--:|--:|--:|"]  # fmt: skip
    for kind, label in KINDS.items():
        for test, trained in TESTS.items():
            by = found.get(test, {}).get(kind, {}).get(OURS, {})
            named = {k: v for k, v in by.items() if k != "sources"} | by.get("sources", {})
            for part, s in named.items():
                if test == "all_4" or part == "all":
                    rows.append(
                        f"| {label}, {trained}, {part} | {s['curves']:,} | {s['points']:,} | "
                        f"{number(s['coverage_percent'])} % | "
                        f"{number(s['median_width_percent'])} % | "
                        f"{number(s['interval_score_percent'])} % |"
                    )
    return "\n".join(rows)


def spoilt() -> str:
    """How often the law names the spoilt time, and names one where none was spoilt."""
    found = result("field")["errors"]
    rows = ["| curves | the spoilt time is named | a time is named though none was spoilt |",
            "|---|--:|--:|"]  # fmt: skip
    for kind, part in found.get("spoilt", {}).items():
        clean = found["drawn_4"][kind]["sources"]
        for source, s in part["sources"].items():
            cells = [s["formulations"][OURS]["found_percent"],
                     clean[source]["formulations"][OURS]["named_percent"]]  # fmt: skip
            rows.append(
                f"| {KINDS[kind]}, {source} | {' | '.join(f'{number(c)} %' for c in cells)} |"
            )
    return "\n".join(rows)


def clean() -> str:
    """Errors on tables whose truth is known."""
    found = result("field")
    names = found["formulations"]
    rows = ["| shape | " + " | ".join(f"`{n}`" for n in names) + " |",
            "|---|" + "--:|" * len(names)]  # fmt: skip
    for shape, by in found["clean"].items():
        cells = [f"{number(by[n]['median'])} / {number(by[n]['worst'])}" for n in names]
        rows.append(f"| {shape} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _pair(figures: dict[str, Any]) -> str:
    return f"{number(figures['median'])} / {number(figures['p90'])} %"


def number(value: float | None) -> str:
    """Write a figure in three digits."""
    if value is None:
        return "failed"
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f}"


CORPUS: dict[str, Callable[[], str]] = {
    "corpus": corpus, "field-errors": partial(errors, "all_4"), "field-averages": averages,
    "field-ratios": ratios, "field-intervals": judged_intervals, "field-spoilt": spoilt,
    "field-clean": clean, "field-ablation": ablation,
}  # fmt: skip
