"""Whether the golden numbers notice mistakes in the law of lengths.

Each mutation of ``mutations.toml`` is made in a copy of the package, never in this tree, and the
golden numbers (``tests/golden/lengths.py``) are computed with it. It is killed when they differ or
cannot be computed; where they do not differ, the property tests of the average are asked.
Run: ``python benchmarks/mutations.py`` (writes ``results/mutations.json``; three to six minutes),
or with words of ``breaks`` to try some mutations and write nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from results_files import RESULTS

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "lengths.py"
PROPERTIES = ("test_average.py", "test_average_physics.py", "test_blend.py")
SECONDS = 300


@dataclass(frozen=True)
class Mutation:
    """One mistake: what stands in a file, what is put there, and what that breaks."""

    file: str
    old: str
    new: str
    breaks: str


@dataclass(frozen=True)
class Verdict:
    """Who noticed a mutation (``golden``, ``properties`` or nobody), and one line of why."""

    killed_by: str | None
    why: str


def mutations() -> list[Mutation]:
    """Read the list."""
    text = Path(__file__).with_name("mutations.toml").read_text(encoding="utf-8")
    return [Mutation(**entry) for entry in tomllib.loads(text)["mutation"]]


def stale(found: list[Mutation], src: Path) -> list[str]:
    """Say which mutations no longer fit: their old text must stand once in its file."""
    counts = {m: (src / "lengthwise" / m.file).read_text("utf-8").count(m.old) for m in found}
    return [f"{m.file}: {m.old!r} stands {n} times" for m, n in counts.items() if n != 1]


def judged(mutation: Mutation, src: Path) -> Verdict:
    """Make a mutation in a copy of the sources, ask for a verdict, and take it back."""
    path = src / "lengthwise" / mutation.file
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        return _verdict(src)
    finally:
        path.write_text(before, encoding="utf-8")


def _verdict(src: Path) -> Verdict:
    code, said = _python(src, str(GOLDEN), "--first")
    if code:
        return Verdict("golden", said[-1] if "Traceback" in said[0] else said[0])
    tests = [str(ROOT / "tests" / "calibration" / name) for name in PROPERTIES]
    code, said = _python(src, "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests)
    return Verdict("properties", said[-1]) if code else Verdict(None, "")


def _python(src: Path, *arguments: str, keep_bytecode: bool = False) -> tuple[int, list[str]]:
    """Run Python with the copied sources first; its exit code and what it said."""
    environment = {**os.environ, "PYTHONPATH": str(src)}
    if not keep_bytecode:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    try:
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, text=True,
            timeout=SECONDS, cwd=ROOT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 1, [f"took more than {SECONDS} s"]
    return done.returncode, [*(done.stdout + done.stderr).splitlines(), ""][:-1] or [""]


def main(words: list[str]) -> int:
    """Judge all mutations, or those whose description holds all words."""
    chosen = [m for m in mutations() if all(w in m.breaks for w in words)]
    with tempfile.TemporaryDirectory() as folder:
        src = Path(folder) / "src"
        shutil.copytree(ROOT / "src", src, ignore=shutil.ignore_patterns("__pycache__"))
        unfit = stale(chosen, src)
        code, said = _python(src, str(GOLDEN), "--first", keep_bytecode=True)
        if unfit or code:
            print(*unfit, *said[:5], "nothing judged: make list and golden numbers fit", sep="\n")
            return 2
        rows = []
        for mutation in chosen:
            verdict = judged(mutation, src)
            rows.append({**asdict(mutation), **asdict(verdict)})
            print(f"{verdict.killed_by or 'SURVIVED':10s} {mutation.breaks}", flush=True)
    survived = [row for row in rows if row["killed_by"] is None]
    print(f"{len(rows) - len(survived)} of {len(rows)} killed")
    if not words:
        _write(rows)
    return 0


def _write(rows: list[dict[str, str | None]]) -> None:
    count = {who: sum(row["killed_by"] == who for row in rows)
             for who in ("golden", "properties", None)}  # fmt: skip
    summary = {
        "mutations": len(rows), "killed_by_golden": count["golden"],
        "killed_by_properties": count["properties"], "survived": count[None], "rows": rows,
    }  # fmt: skip
    (RESULTS / "mutations.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
