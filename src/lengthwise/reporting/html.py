"""Write a report as one HTML file: no script, no request; readable offline and on paper."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lengthwise.data.output import is_stream, write_text
from lengthwise.prediction.coefficients import Coefficient
from lengthwise.reporting.content import Content, GroupContent
from lengthwise.reporting.page import check_page, fill
from lengthwise.units import format_tokens

MEANING = {
    "alpha_1": "time per new token, long lengths",
    "alpha_2": "attention, per query-key pair",
    "alpha_kv": "per KV token read",
    "alpha_kr": "per KV token read at 10,000 tokens, as the root of the context",
    "alpha_b": "per sequence of the batch",
    "alpha_0": "fixed time of a step",
    "alpha_f": "more per token with nothing cached",
    "alpha_r": "more per token on a cached prefix",
    "n0": "soft floor: shorter steps cost as much as this",
    "floor factor": "on all floors of the equation",
    "n_h": "where the cost per token changes",
    "r": "cost of a short token over a long one",
    "eta": "tilt of the exponent",
}
PREFIXES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"), (1e-12, "ps"))


def render(content: Content) -> str:
    """Render a report as the text of one HTML file.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    filters: dict[str, Callable[..., str]] = {
        "number": number,
        "unit": with_unit,
        "tokens": format_tokens,
    }
    return fill(
        "report.html", filters, content=content, tiles=headline(content), meaning=MEANING,
        span=_span, bounds=bounds, share=share,
    )  # fmt: skip


def write(content: Content, path: str | Path, *, twin: bool = True) -> list[Path]:
    """Write the page and, beside a file, the same content as JSON; give the files written."""
    page = Path(path)
    check_page(page)
    files = {page: render(content)}
    if twin and not is_stream(page):
        data = {"kind": "lengthwise-report", **content.to_dict()}
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1)
        files[twin_of(page)] = text + "\n"
    for file, text in files.items():
        write_text(file, text)
    return [*files]


def twin_of(page: Path) -> Path:
    """Return where the content of a page is written as JSON.

    >>> twin_of(Path("out/report.html")).name
    'report.json'
    """
    return page.with_suffix(".json")


def headline(content: Content) -> list[tuple[str, str, str]]:
    """Give the numbers on top: what, value, explanation."""
    out: list[tuple[str, str, str]] = []
    if content.groups:  # an interrupted report has none
        out.append(("deployments", str(len({g.deployment for g in content.groups})),
                    f"{sum(g.n_points for g in content.groups):,} distinct points"))  # fmt: skip
        longest = max(g.lengths[1] for g in content.groups)
        out.append(("longest length", format_tokens(longest), "tokens measured"))
    if content.evaluation is None:
        return out
    result, first = content.evaluation, content.evaluation.overall.iloc[0]
    where = f"beyond 1/{result.factor:g}" if result.split == "length" else "in range"
    worst = number(first["worst_mape_percent"])
    of = "of the longest; " if result.split == "length" else ""
    out.append((f"error {where}", f"{number(first['mape_percent'])} %",
                f"{of}median MAPE, worst {worst}\u00a0%"))  # fmt: skip
    linear = result.overall[result.overall["formulation"] == "linear"]
    if len(linear) and result.formulations[0] != "linear":
        out.append(("linear law, same", f"{number(linear['mape_percent'].iloc[0])} %",
                    "what most formulations assume"))  # fmt: skip
    coverage = number(100.0 * first["pooled_coverage"], 0)
    out.append((f"inside {100 * result.level:g} % interval", f"{coverage} %",
                f"of {int(first['points'])} held-out points"))  # fmt: skip
    if math.isfinite(first["noise_percent"]):
        out.append(("noise of repeats", f"{number(first['noise_percent'])} %",
                    "the floor for a single reading"))  # fmt: skip
    return out


def number(value: Any, digits: int = 1) -> str:
    """Format a score for people: few digits, a dash where there is none.

    >>> number(12.345), number(float("nan")), number(1234.5), number(2.5e7)
    ('12.3', '-', '1,234', '2.5e+07')
    """
    if value is None or not math.isfinite(value):
        return "-"
    if abs(value) >= 1e6:
        return f"{value:.1e}"
    return f"{value:,.{0 if abs(value) >= 100 else digits}f}"


def share(weight: float) -> str:
    """Write a weight as a percentage; what rounds to nothing says so.

    >>> share(0.9224), share(0.0002), share(1.0)
    ('92.2', '< 0.1', '100')
    """
    return "< 0.1" if weight < 0.0005 else number(100.0 * weight)


def with_unit(value: float, unit: str) -> str:
    """Write a value with three digits; seconds get the prefix that reads best.

    >>> with_unit(1.234e-5, "s/token"), with_unit(151.2, "tokens"), with_unit(2.5e-10, "s/pair")
    ('12.3 µs/token', '151 tokens', '250 ps/pair')
    """
    if not math.isfinite(value):
        return "-"
    size, name = _unit(value, unit)
    return f"{_digits(value / size)} {name}".strip()


def bounds(coefficient: Coefficient) -> str:
    """Write the interval of a coefficient in the unit its value is written in.

    >>> bounds(Coefficient("alpha_1", "s/token", 1.2e-5, 1.1e-5, 1.35e-5))
    '11 to 13.5'
    """
    if not (math.isfinite(coefficient.lo) and math.isfinite(coefficient.hi)):
        return "-"
    size, _ = _unit(coefficient.value, coefficient.unit)
    return f"{_digits(coefficient.lo / size)} to {_digits(coefficient.hi / size)}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.3g}"


def _unit(value: float, unit: str) -> tuple[float, str]:
    if unit != "s" and not unit.startswith("s/"):
        return 1.0, unit
    size, prefix = next(((s, p) for s, p in PREFIXES if abs(value) >= s * 0.9995), PREFIXES[-1])
    return size, prefix + unit[1:]


def _span(group: GroupContent, axis: str) -> str:
    low, high = group.lengths if axis == "length" else group.batches
    low_text, high_text = (f"{v:,.0f}" for v in (low, high))
    return low_text if low == high else f"{low_text} to {high_text}"
