"""Tables of the scores of the field: by source and kind, averaged over sources, against the best.

Curves of one set-up (hardware and model) often repeat one experiment, so every figure is given
twice: every curve counts once, and every set-up counts once. Averages count each source once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from field_protocol import Score

from lengthwise.units import FloatArray

ENOUGH = 5
"""Curves that a source needs before its figures are compared."""
FIGURES = ("median", "p90", "setup_median", "setup_p90")


def frame_of(scores: Iterable[Score]) -> pd.DataFrame:
    """Return one row per score; figures per point are reduced to means of the curve."""
    rows = [{
        "test": s.test, "source": s.curve.source, "kind": s.curve.kind, "setup": s.curve.setup,
        "curve": s.curve.name, "formulation": s.formulation, "mape": s.mape,
        "failed": bool(s.failed), "named": bool(s.named), "found": s.spoilt in s.named,
    } for s in scores]  # fmt: skip
    return pd.DataFrame(rows)


def summary(scores: list[Score]) -> dict[str, Any]:
    """Summarise errors: ``{test: {kind: {"sources": ..., "average": ...}}}``."""
    frame = frame_of(scores)
    return {
        str(test): {str(kind): _kind(rows) for kind, rows in part.groupby("kind", sort=False)}
        for test, part in frame.groupby("test", sort=False)
    }


def _kind(rows: pd.DataFrame) -> dict[str, Any]:
    sources: dict[str, dict[str, Any]] = {
        str(source): {
            "curves": int(part["curve"].nunique()),
            "setups": int(part["setup"].nunique()),
            "formulations": {
                str(name): _figures(of_one) for name, of_one in part.groupby("formulation")
            },
        }
        for source, part in rows.groupby("source", sort=False)
    }
    names = list(dict.fromkeys(rows["formulation"]))
    average = {
        name: {
            figure: _mean(s["formulations"][name][figure] for s in sources.values())
            for figure in FIGURES
        }
        for name in names
    }
    return {"sources": sources, "average": average}


def _figures(rows: pd.DataFrame) -> dict[str, Any]:
    error = rows["mape"].to_numpy(dtype=float)
    weight = 1.0 / rows.groupby("setup")["setup"].transform("size").to_numpy(dtype=float)
    with np.errstate(invalid="ignore"):  # between two fits that failed
        p90 = np.quantile(error, 0.9)
    return {
        "median": _round(np.median(error)), "p90": _round(p90),
        "setup_median": _round(weighted_quantile(error, weight, 0.5)),
        "setup_p90": _round(weighted_quantile(error, weight, 0.9)),
        "failed": int(rows["failed"].sum()), "named_percent": _round(100 * rows["named"].mean()),
        "found_percent": _round(100 * rows["found"].mean()),
    }  # fmt: skip


def weighted_quantile(values: FloatArray, weight: FloatArray, share: float) -> float:
    """Return the least value below or at which ``share`` of the weight lies."""
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(total, share * total[-1] - 1e-12)])


def intervals(scores: list[Score]) -> dict[str, Any]:
    """Judge intervals: ``{test: {kind: {formulation: {"all", "sources" or doublings: figures}}}}``.

    Every figure is a mean over the curves of a source, then over sources; the width of a source is
    the median of its points. Doublings beyond the longest length trained on are rounded up.
    """
    parts = [
        pd.DataFrame({
            "test": s.test, "kind": s.curve.kind, "source": s.curve.source, "curve": s.curve.name,
            "formulation": s.formulation, "doublings": np.ceil(np.maximum(s.doublings, 1e-9)),
            "covered": 100 * s.covered, "width": s.width, "interval": s.interval,
        })
        for s in scores if len(s.covered)
    ]  # fmt: skip
    if not parts:
        return {}
    points = pd.concat(parts, ignore_index=True)
    found: dict[str, Any] = {}
    for (test, kind, name), rows in points.groupby(["test", "kind", "formulation"], sort=False):
        by = {"all": _judged(rows)}
        by |= {"sources": {str(s): _judged(part) for s, part in rows.groupby("source", sort=False)}}
        by |= {f"{d:.0f}": _judged(part) for d, part in rows.groupby("doublings")}
        found.setdefault(str(test), {}).setdefault(str(kind), {})[str(name)] = by
    return found


def _judged(points: pd.DataFrame) -> dict[str, Any]:
    per_curve = points.groupby(["source", "curve"])[["covered", "interval"]].mean()
    per_source = per_curve.groupby("source").mean().mean()
    return {
        "points": len(points), "curves": len(per_curve),
        "coverage_percent": _round(per_source["covered"]),
        "median_width_percent": _round(points.groupby("source")["width"].median().mean()),
        "interval_score_percent": _round(per_source["interval"]),
    }  # fmt: skip


def check(table: dict[str, Any], law: str, simple: tuple[str, ...]) -> dict[str, Any]:
    """Divide the figures of a law by those of the best simple formula, per source and averaged."""
    return {
        test: {kind: _against(part, law, simple) for kind, part in kinds.items()}
        for test, kinds in table.items()
    }


def _against(part: dict[str, Any], law: str, simple: tuple[str, ...]) -> dict[str, Any]:
    found = {
        source: _ratios(s["formulations"], law, simple)
        for source, s in part["sources"].items() if s["curves"] >= ENOUGH
    }  # fmt: skip
    return {"sources": found, "average": _ratios(part["average"], law, simple)}


def _ratios(by: dict[str, Any], law: str, simple: tuple[str, ...]) -> dict[str, Any]:
    known = [name for name in simple if name in by]
    if law not in by or not known:
        return {}
    found: dict[str, Any] = {}
    for figure in FIGURES:
        value = {n: float("inf") if by[n][figure] is None else by[n][figure] for n in (law, *known)}
        best = min(known, key=value.__getitem__)
        ratio = value[law] / value[best] if value[best] else float("inf")
        found[figure] = {"best": best, "ratio": _round(ratio, 3)}
    return found


def _mean(values: Iterable[float | None]) -> float | None:
    return _round(np.mean([np.inf if v is None else v for v in values]))


def _round(value: Any, digits: int = 2) -> float | None:
    """Round for JSON, which has no infinity: a failed fit is null."""
    return round(float(value), digits) if np.isfinite(value) else None
