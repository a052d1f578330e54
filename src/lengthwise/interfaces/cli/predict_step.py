"""``lengthwise predict`` by the step law: from a model and hardware, with or without a law file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lengthwise.errors import InputError, NothingUsableError
from lengthwise.interfaces.cli.common import log, print_json, print_table
from lengthwise.interfaces.cli.outputs import wrote
from lengthwise.interfaces.cli.predict_grid import check_table_options, combinations
from lengthwise.interfaces.cli.predict_step_text import COLUMNS, describe, table_row
from lengthwise.interfaces.cli.saying import say_only_deployment, say_remarks

if TYPE_CHECKING:
    from lengthwise.domain.memory import MemoryUse
    from lengthwise.prediction.step_law import StepLaw


@dataclass(frozen=True)
class StepRequest:
    """What the command line asked for."""

    law: Path | None
    phase: str | None
    sizes: Mapping[str, str | None]
    labels: Mapping[str, Any]
    table: Path | None
    output: Path | None
    level: float
    as_json: bool
    knobs: Mapping[str, Any] = field(default_factory=dict)
    energy: bool = False


def predict_step(asked: StepRequest) -> None:
    """Answer a point, a grid or a table."""
    from lengthwise.prediction.step_deployment import with_only_deployment
    from lengthwise.prediction.step_law import StepLaw

    if not 0 < asked.level < 1:
        raise InputError("level must lie in (0, 1)", got=f"{asked.level:g}", remedy="write 0.9")
    if asked.sizes.get("prefill_chunk") is not None:
        raise InputError("--prefill-chunk belongs to a law of measured steps", got="the step law",
                         remedy="leave it out: prompts over 8,192 tokens are cut up anyway",
                         )  # fmt: skip
    law = StepLaw() if asked.law is None else StepLaw.load(asked.law)
    if asked.table is not None:
        check_table_options(asked.sizes)
        _refuse_with_table(asked)
        _predict_table(law, asked)
        return
    labels, added = with_only_deployment(asked.labels, law.training_)
    say_only_deployment(labels, added)
    asked = replace(asked, labels=labels)
    for name in ("model", "hardware"):
        if name not in asked.labels:
            raise InputError(
                "predict needs a law file, or a model and hardware", got=f"no --{name}",
                remedy="add --model llama3.1-8b --hardware h100_sxm, or make a law with "
                "lengthwise fit TABLE -o law.json",
            )  # fmt: skip
    _predict_points(law, asked)


def _predict_points(law: StepLaw, asked: StepRequest) -> None:
    phase, names, rows = combinations(asked.sizes, asked.phase)
    say_remarks(asked.labels, phase, names, rows, measured_engines=law.measured_engines)
    points: dict[str, Any] = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    points |= {name: [value] * len(rows) for name, value in asked.labels.items()}
    points["phase"] = [phase] * len(rows)
    columns = law.answer(points, asked.level).columns
    answers = [{k: _plain(v[i]) for k, v in columns.items()} for i in range(len(rows))]
    problems = [a["problem"] for a in answers if a["problem"]]
    if problems:
        raise InputError(*_rule_of(problems[0]))
    records = [
        {**{k: v[i] for k, v in points.items()}, **_kept(phase, a), "level": asked.level}
        for i, a in enumerate(answers)
    ]
    records = [_completed(law, record, asked) for record in records]
    if asked.output is not None:
        _write(records, asked.output)
    if asked.as_json:
        print_json(records[0] if len(records) == 1 else records)
    elif len(records) == 1:
        print(describe(records[0], _memory(law, records[0], asked)))
    else:
        print_table(COLUMNS[phase], [table_row(r) for r in records],
                    title=f"with {asked.level * 100:g} % intervals")  # fmt: skip


def _completed(law: StepLaw, record: dict[str, Any], asked: StepRequest) -> dict[str, Any]:
    """Add techniques, memory and energy to an answer."""
    if asked.knobs or asked.energy:
        from lengthwise.prediction.techniques import plain_request, with_techniques

        request = plain_request(record, law.coefficients_)
        if asked.knobs:
            record = with_techniques(record, request, asked.knobs)
        if asked.energy:
            record["energy"] = _energy(request, record)
    record["memory"] = _memory(law, record, asked).to_dict()
    return record


def _memory(law: StepLaw, record: Mapping[str, Any], asked: StepRequest) -> MemoryUse:
    """Say what is kept in memory, techniques included."""
    if not asked.knobs:
        return law.memory(record)
    from lengthwise.formulations.step.knobs import apply_knobs
    from lengthwise.formulations.step.knobs.times import memory_of
    from lengthwise.prediction.techniques import plain_request

    request = apply_knobs(plain_request(record, law.coefficients_), asked.knobs)
    return memory_of(request, request.isl + request.osl, max(1, round(request.concurrency)))


def _energy(request: Any, record: dict[str, Any]) -> dict[str, Any]:
    from lengthwise.prediction.energy import energy_of_request

    found = energy_of_request(
        request.step, isl=int(request.isl), osl=int(request.osl),
        concurrency=int(request.concurrency),
        tokens_per_s=1e3 * record["running"] * request.osl / record["e2e_ms"],
    )  # fmt: skip
    return found.to_dict()


def _refuse_with_table(asked: StepRequest) -> None:
    if asked.knobs or asked.energy:
        raise InputError("techniques and --energy are for points on the command line",
                         got="--table", remedy="leave them out, or give --isl and --osl",
                         )  # fmt: skip


def _predict_table(law: StepLaw, asked: StepRequest) -> None:
    if asked.output is None:
        raise InputError("a table of predictions needs a file to go to", got="no -o",
                         remedy="add -o out.parquet (or .csv, .jsonl)")  # fmt: skip
    from lengthwise.data.table import write_table
    from lengthwise.prediction.step_deployment import with_only_deployment
    from lengthwise.prediction.step_points import load_points

    assert asked.table is not None
    frame = load_points(asked.table)
    labels = dict(asked.labels)
    if "model" not in frame and "hardware" not in frame:
        labels, added = with_only_deployment(labels, law.training_)
        say_only_deployment(labels, added)
    missing = {k: v for k, v in labels.items() if k not in frame}
    answers = law.predict_table(frame.assign(**missing), asked.level)
    write_table(answers, asked.output)
    answered = int((answers["problem"] == "").sum())
    if asked.as_json:
        print_json({"output": asked.output, "rows": len(answers), "predicted": answered,
                    "problems": _counts(answers["problem"])})  # fmt: skip
    wrote(asked.output, note=f": {answered:,} of {len(answers):,} rows predicted")
    for reason, count in _counts(answers["problem"]).items():
        log(f"  {count:,} not: {reason}")
    if not answered:
        raise NothingUsableError("at least one row must be one the law can answer", got="none",
                                 remedy="see the column problem of the output")  # fmt: skip


def _counts(problems: Any) -> dict[str, int]:
    found: dict[str, int] = problems[problems != ""].value_counts().to_dict()
    return found


def _rule_of(text: str) -> tuple[str]:
    return (text.rstrip("."),)


def _kept(phase: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Leave out the times of other phases."""
    steps = ("latency_ms", "lo_ms", "hi_ms")
    requests = tuple(f"{q}{end}_ms" for q in ("ttft", "tpot", "e2e") for end in ("", "_lo", "_hi"))
    dropped = steps if phase == "request" else (*requests, "running", "saturated")
    return {k: v for k, v in answer.items() if k not in (*dropped, "problem")}


def _plain(value: Any) -> Any:
    """Turn numpy scalars into plain ones; a time that does not exist into None."""
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and plain != plain else plain


def _write(records: list[dict[str, Any]], output: Path) -> None:
    import pandas as pd

    from lengthwise.data.table import write_table

    nested = ("memory", "energy", "techniques")
    flat = [{k: v for k, v in record.items() if k not in nested} for record in records]
    write_table(pd.DataFrame(flat), output)
    wrote(output)
