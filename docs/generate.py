"""Write what the documentation takes from the code: reference pages, figures, command output.

    python docs/generate.py            everything
    python docs/generate.py --check    fail if a reference page is out of date

In the tutorial and the how-to pages every ``console`` block is run: lines that start with ``$`` are
commands, the rest is replaced by what they print.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from drawings import draw_all
from pages import PAGES

DOCS = Path(__file__).parent
ROWS_OF_TUTORIAL = ("random-llama-19m", 8192, 3)


def main() -> int:
    """Write or check."""
    pages = {DOCS / "reference" / name: make() for name, make in PAGES.items()}
    if "--check" in sys.argv:
        stale = [
            str(p.name) for p, text in pages.items() if not p.exists() or p.read_text() != text
        ]
        print(f"out of date: {', '.join(stale)}" if stale else "reference pages are up to date")
        return 1 if stale else 0
    for path, text in pages.items():
        path.write_text(text)
    write_timings(DOCS / "timings.csv")
    draw_all(DOCS / "figures")
    for page in [DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]:
        page.write_text(with_output(page.read_text()))
    return 0


def write_timings(path: Path) -> None:
    """Write some of our own measurements the way somebody else's benchmark might."""
    from lengthwise.data.datasets import table

    model, longest, repeats = ROWS_OF_TUTORIAL
    own = table("own-openvino-cpu")
    rows = own[(own["model"] == model) & (own["phase"] == "prefill") & (own["isl"] <= longest)
               & (own["batch_size"] == 1) & ~own["warmup"]]  # fmt: skip
    rows = rows.sort_values(["isl", "repeat"]).groupby("isl").head(repeats)
    seconds = (rows["latency_ms"] / 1e3).round(6)
    rows.assign(prompt_tokens=rows["isl"].astype(int), seconds=seconds)[
        ["prompt_tokens", "seconds"]
    ].to_csv(path, index=False)


def with_output(text: str) -> str:
    """Run the console blocks of a page, in order, in one empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        for given in (*DOCS.glob("*.csv"), DOCS / "config.json"):
            shutil.copy(given, folder)
        for example in DOCS.parent.glob("examples/*.py"):
            shutil.copy(example, folder)
        return re.sub(
            r"```console\n(.*?)```", lambda m: f"```console\n{_run(m[1], folder)}```", text,
            flags=re.DOTALL,
        )  # fmt: skip


def _run(block: str, folder: str) -> str:
    out = []
    for command in re.findall(r"^\$ ((?:.*\\\n)*.*)", block, flags=re.MULTILINE):
        plain = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        place = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-c", f"{command} 2>&1"], cwd=folder, capture_output=True, text=True,
            check=False, env=plain | place | {"NO_COLOR": "1"},
        )  # fmt: skip
        lines = [line.rstrip() for line in done.stdout.splitlines()]
        out.append(f"$ {command}\n" + "".join(f"{line}\n" for line in lines))
        print(f"ran {command.splitlines()[0]}: exit {done.returncode}", file=sys.stderr)
    return "\n".join(out)


if __name__ == "__main__":
    raise SystemExit(main())
