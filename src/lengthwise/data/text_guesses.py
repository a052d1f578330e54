"""Text that is no table: what it looks like, and which file to use instead."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

from lengthwise.data.signatures import Guess

_PAGE = re.compile(r"\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body)\b", re.I | re.S)
_TITLE = re.compile(r"<title[^>]*>([^<]{1,80})", re.I)
_RULE = re.compile(r"\s*\|?(?:\s*:?-{2,}:?\s*\|)+\s*:?-*:?\s*\|?\s*")
_STAMP = re.compile(
    r"\s*(?:\[[^\]\"{}]*\]|(?:INFO|DEBUG|WARN(?:ING)?|ERROR)\b|\d{4}-\d\d-\d\d[ T]\d\d:\d\d"
    r"|\w{3} +\d+ \d\d:\d\d)"
)
_YAML = re.compile(r"\s*(?:- )?[\w.\"'/-]+:(?:\s+\S.*)?\s*|\s*- .*|---.*")
_INI = re.compile(r"\s*\[[\w.\"-]+\]\s*|\s*[\w.\"-]+ *= *\S.*")
_LABEL = re.compile(r"\s*[A-Za-z][^:,]{2,60}: +\S")

_TOOLS = (
    ("genai-perf", "its profile_export_genai_perf.json or .csv"),
    ("aiperf", "its profile_export.jsonl or profile_export_aiperf.json"),
    ("guidellm", "the report it writes with --output-path report.json"),
    ("inference-perf", "the *_lifecycle_metrics.json of its report folder"),
    ("bench serve", "the JSON that vllm bench serve --save-result --save-detailed writes"),
    ("benchmark_serving", "the JSON that --save-result writes"),
    ("bench_serving", "the JSON lines that --output-file runs.jsonl --output-details writes"),
    ("llama-bench", "its output as -o jsonl"),
    ("perf_analyzer", "the JSON of --profile-export-file"),
    ("k6 ", "the JSON of --summary-export"),
    ("locust", "the *_stats.csv of --csv"),
)
_ANY = (
    "import the file that the tool writes (most have an option such as --save-result, --output or "
    "-o json); lengthwise import --help lists what is read"
)


def text_guess(text: str) -> Guess | None:
    r"""Return what text that is no table looks like; None where it may be a table.

    Parameters
    ----------
    text
        The beginning of a file.

    Examples
    --------
    >>> text_guess("- isl: 512\n  ttft_ms: 20\n").looks
    'YAML with the keys isl, ttft_ms'
    >>> text_guess("[INFO] 12:00 server is up\n[INFO] 12:01 done\n").looks
    "a log (it begins '[INFO] 12:00 server is up')"
    >>> text_guess("phase,isl,latency_ms\nprefill,512,20\n") is None
    True
    """
    lines = [line for line in text.splitlines() if line.strip()][:60]
    if not lines:
        return None
    if _PAGE.match(text):
        title = _TITLE.search(text)
        named = f" ({title[1].strip()!r})" if title else ""
        return Guess(f"a page of HTML{named}", _instead(text, "the JSON or CSV beside the page"))
    if text.lstrip().startswith("<"):
        return Guess("XML", _instead(text))
    rule = next((at for at, line in enumerate(lines) if at and _is_rule(line)), None)
    if rule is not None:
        return _markdown(lines[rule - 1], text)
    return _lines(lines, text)


def _is_rule(line: str) -> bool:
    return "|" in line and bool(_RULE.fullmatch(line))


def _markdown(header: str, text: str) -> Guess:
    names = [name.strip() for name in header.strip().strip("|").split("|")]
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return Guess(
        f"markdown with a table of the columns {shown}",
        _instead(text, "the table as CSV: one line of column names, commas for the bars"),
    )


def _lines(lines: Sequence[str], text: str) -> Guess | None:
    first = lines[0].strip()
    shown = first if len(first) <= 60 else f"{first[:57]}..."
    if _is_table(lines):
        return None
    if _share(lines, _STAMP) > 0.5:
        return Guess(f"a log (it begins {shown!r})", _instead(text))
    if _is_delimited(lines):
        return None
    keys = [key for line in lines if (key := _key_of(line))]
    if len(keys) > 1 and _share(lines, _YAML) > 0.9:
        names = ", ".join(list(dict.fromkeys(keys))[:6])
        return Guess(
            f"YAML with the keys {names}",
            "write it as JSON lines, one object per row: python -c 'import json,sys,yaml; [print("
            "json.dumps(x)) for x in yaml.safe_load(sys.stdin)]' < FILE > rows.jsonl",
        )
    if _share(lines, _INI) > 0.9:
        return Guess("settings (TOML or INI)", _instead(text))
    if _share(lines, _LABEL) > 0.4 or _is_prose(lines):
        return Guess(f"text of a console (it begins {shown!r})", _instead(text))
    return None


def _share(lines: Sequence[str], pattern: re.Pattern[str]) -> float:
    return sum(bool(pattern.match(line)) for line in lines) / len(lines)


def _key_of(line: str) -> str:
    found = re.match(r"\s*(?:- )?[\"']?([\w./-]+)[\"']?:(?:\s|$)", line)
    return found[1] if found else ""


def _is_table(lines: Sequence[str]) -> bool:
    """Return whether all lines have the same number of cells, above one."""
    for mark in ",\t;":
        try:
            widths = {len(cells) for cells in csv.reader(lines[:20], delimiter=mark)}
        except csv.Error:
            continue
        if len(widths) == 1 and widths.pop() > 1:
            return True
    return False


def _is_delimited(lines: Sequence[str]) -> bool:
    """Return whether each of the first lines has a separator, as a damaged table has."""
    return any(all(mark in line for line in lines[:5]) for mark in ",;\t")


def _is_prose(lines: Sequence[str]) -> bool:
    """Return whether lines are long and of unlike length, as those of a table are not."""
    words = [len(line.split()) for line in lines]
    return len(set(words)) > 1 and sum(words) > 4 * len(words)


def _instead(text: str, other: str = "") -> str:
    """Return which file to use, by the tool that the text names."""
    low = text.lower()
    for word, file in _TOOLS:
        if word in low:
            return f"import {file}"
    return f"import {other}" if other else _ANY
