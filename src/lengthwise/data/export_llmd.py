"""Write request rows as llm-d benchmark reports 0.2.1, one per load stage.

A stage is what was sent under one load: the rows of one deployment that share ``concurrency``,
``request_rate`` and, where lengths repeat, ``isl`` and ``osl``. Rows that are means already (column
``statistic``) pass through with the statistics they have. Times are written in seconds.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from lengthwise.data.export_llmd_blocks import (
    Report,
    blocks_of,
    first_of,
    load_of,
    stack_of,
    values_of,
)
from lengthwise.data.load import is_computed, with_classes
from lengthwise.data.output import is_stream, write_text
from lengthwise.data.schema import DEPLOYMENT, TIMES
from lengthwise.data.table import prepare
from lengthwise.errors import InputError, MissingExtraError, NothingUsableError

VERSION = "0.2.1"

_LOAD = ("concurrency", "request_rate", "batch_size")
_LENGTHS = ("isl", "osl", "cached_tokens")
_TIMES = {
    "time_to_first_token": ("ttft_ms", "s"), "time_per_output_token": ("tpot_ms", "s/token"),
    "request_latency": ("e2e_ms", "s"), "inter_token_latency": ("itl_ms", "s/token"),
    "normalized_time_per_output_token": ("ntpot_ms", "s/token"),
}  # fmt: skip
_RATES = {
    "input_token_rate": ("input_tokens_per_s", "tokens/s"),
    "output_token_rate": ("output_tokens_per_s", "tokens/s"),
    "total_token_rate": ("total_tokens_per_s", "tokens/s"),
    "request_rate": ("requests_per_s", "queries/s"),
}  # fmt: skip


def llmd_reports(table: pd.DataFrame, *, experiment: str | None = None) -> list[Report]:
    """Describe the request rows of a table as benchmark reports.

    Parameters
    ----------
    table
        Measurement table; rows that are not requests, or were warm-up, are left out.
    experiment
        Identifier all reports share; made from the content when left out.

    Raises
    ------
    NothingUsableError
        If the table has no request.

    Examples
    --------
    >>> rows = {"phase": "request", "isl": 512, "osl": 9, "ttft_ms": [40, 60], "e2e_ms": [90, 110]}
    >>> report = llmd_reports(pd.DataFrame(rows))[0]
    >>> report["results"]["request_performance"]["aggregate"]["latency"]["request_latency"]["mean"]
    0.1
    """
    frame = prepare(table)
    rows = frame["phase"] == "request"
    if "warmup" in frame:
        rows &= ~frame["warmup"]
    frame = frame[rows]
    if frame.empty:
        raise NothingUsableError(
            "a benchmark report needs request rows", got="none in the table",
            remedy="measure a server (lengthwise measure URL), or import the files of a load tool",
        )  # fmt: skip
    digest = hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()
    eid = experiment or digest[:32]
    return [_report(stage, number, eid) for number, stage in enumerate(_stages(frame))]


def write_llmd(table: pd.DataFrame, path: str | Path, *, experiment: str | None = None) -> int:
    """Write reports to a file: .yaml (one document per stage), .jsonl, or .json for one stage.

    A device or a pipe without a suffix gets YAML.

    Returns
    -------
    int
        Number of reports written.
    """
    path = Path(path)
    suffix = path.suffix.lower() or (".yaml" if is_stream(path) else "")
    reports = llmd_reports(table, experiment=experiment)
    if suffix in (".yaml", ".yml"):
        text = _yaml(reports)
    elif suffix == ".jsonl" or (suffix == ".json" and len(reports) == 1):
        indent = 2 if suffix == ".json" else None
        text = "".join(json.dumps(report, indent=indent) + "\n" for report in reports)
    else:
        raise InputError(
            "reports are written as .yaml, .jsonl, or .json when there is one stage",
            got=f"{path.name} for {len(reports)} stages", remedy="choose .yaml",
        )  # fmt: skip
    write_text(path, text)
    return len(reports)


def _yaml(reports: list[Report]) -> str:
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        raise MissingExtraError("pyyaml", "formats") from None
    return str(yaml.safe_dump_all(reports, sort_keys=False, explicit_start=len(reports) > 1))


def _as_offered(frame: pd.DataFrame) -> pd.DataFrame:
    """Replace computed numbers in flight by what was offered: a rate, else their class."""
    computed = is_computed(frame)
    if not computed.any():
        return frame
    offered = with_classes(frame)["concurrency"]
    if "request_rate" in frame:
        offered = offered.where(~(computed & frame["request_rate"].notna().to_numpy()))
    return frame.assign(concurrency=offered)


def _stages(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Split rows by deployment and load, and by lengths where most of them repeat."""
    frame = _as_offered(frame)
    load = [name for name in (*DEPLOYMENT, *_LOAD, "stage", "statistic") if name in frame]
    lengths = [name for name in _LENGTHS if name in frame]
    groups = frame.groupby(load, dropna=False, sort=False) if load else [((), frame)]
    for _, group in groups:
        aggregate = "statistic" in group and group["statistic"].notna().all()
        if aggregate:
            yield from (group.iloc[[row]] for row in range(len(group)))
            continue
        points = group.groupby(lengths, dropna=False, sort=False) if lengths else None
        if points is not None and points.ngroups <= max(1, len(group) // 2):
            yield from (point for _, point in points)
        else:
            yield group


def _report(stage: pd.DataFrame, number: int, eid: str) -> Report:
    timestamps = values_of(stage, "timestamp")
    run: Report = {"uid": f"{eid}-{number}", "eid": eid}
    if len(timestamps):
        start, end = float(timestamps.min()), float(timestamps.max())
        run["time"] = {"start": _iso(start), "end": _iso(end), "duration": f"PT{end - start:.6f}S"}
    scenario: Report = {"load": load_of(stage, number)}
    stack = stack_of(stage)
    if stack:
        scenario = {"stack": stack, **scenario}
    count = first_of(stage, "n_requests")
    times = [name for name in TIMES[1:] if name in stage]
    requests: Report = {
        "total": len(stage) if count is None else int(count),
        "failures": 0 if count is not None else int(stage[times].isna().all(axis=1).sum()),
        **blocks_of(stage, {"input_length": ("isl", "count"), "output_length": ("osl", "count")}),
    }  # fmt: skip
    aggregate: Report = {
        "requests": requests, "latency": blocks_of(stage, _TIMES),
        "throughput": blocks_of(stage, _RATES),
    }  # fmt: skip
    if not aggregate["throughput"]:
        del aggregate["throughput"]
    results = {"request_performance": {"aggregate": aggregate}}
    return {"version": VERSION, "run": run, "scenario": scenario, "results": results}


def _iso(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat().replace("+00:00", "Z")
