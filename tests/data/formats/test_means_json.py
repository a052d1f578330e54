"""Files that servers, proxies and load generators write give the means that they state.

One run of known times is written in the shape of each tool and version; what is imported must be
that run, to the digits that the file holds.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import request_exports as made
from exports import MODEL, UNIX, Request, good, run

from lengthwise.data.formats import registry
from lengthwise.data.formats.base import Document
from lengthwise.data.importing import import_table
from lengthwise.errors import FileFormatError, LengthwiseError, NothingUsableError

SEEDS = (0, 1, 2)
FULL = {"arrival": "arrival_time", "queued": "queued_ts", "scheduled": "scheduled_ts",
        "first": "first_token_ts", "last": "last_token_ts", "isl": "num_prompt_tokens",
        "osl": "num_generation_tokens", "status": "finish_reason"}  # fmt: skip
CAMEL = {"arrival": "arrivalTimeMs", "first": "firstTokenTimeMs", "end": "finishedTimeMs",
         "isl": "inputTokens", "osl": "outputTokens", "status": "status"}  # fmt: skip
SHORT = {"arrival": "t_arrival", "scheduled": "t_scheduled", "first": "t_first_token",
         "last": "t_last_token", "isl": "prompt_tokens", "osl": "completion_tokens",
         "status": "status"}  # fmt: skip
DIGITS = 2e-5
"""Share by which times in whole microseconds may be off."""


@dataclass(frozen=True)
class Case:
    """A kind of file: how it is written, and what of the run it leaves out or keeps apart."""

    format: str
    write: Callable[[Sequence[Request]], str]
    absent: tuple[str, ...] = ()
    dropped: int = 2
    rel: float = DIGITS
    load: str = "measured"
    also: dict[str, Any] = field(default_factory=dict)


def log(names: dict[str, str], factor: float, origin: float, csv: bool = False) -> Any:
    def write(requests: Sequence[Request]) -> str:
        records = made.request_log(requests, names, factor, origin)
        return made.table(records) if csv else made.lines(records)

    return write


def two_clocks(requests: Sequence[Request]) -> str:
    records = made.request_log(requests, FULL, 1.0, 5000.0)
    return made.lines([{**r, "arrival_time": UNIX + i} for i, r in enumerate(records)])


def nested_metrics(requests: Sequence[Request]) -> str:
    names = {**FULL, "scheduled": "first_scheduled_time", "first": "first_token_time",
             "last": "last_token_time"}  # fmt: skip
    records = made.request_log(requests, names, 1.0, UNIX)
    times = [n for k, n in names.items() if k not in ("isl", "osl", "status")]
    return json.dumps([
        {**{k: v for k, v in r.items() if k not in times}, "metrics": {n: r[n] for n in times}}
        for r in records
    ])  # fmt: skip


def stamps(requests: Sequence[Request]) -> str:
    records = made.request_log(requests, SHORT, 1.0, UNIX)
    times = ("t_arrival", "t_scheduled", "t_first_token", "t_last_token")
    return made.table(
        [{k: made.iso(v) if k in times else v for k, v in r.items()} for r in records]
    )


OPEN = {"load": "assumed"}
E2E_ONLY = ("ttft_ms", "tpot_ms")
CASES: dict[str, Case] = {
    "ollama generate": Case("ollama", made.as_ollama, also={"load_ms": 125.0, "engine": "ollama"}),
    "ollama chat": Case("ollama", lambda r: made.as_ollama(r, chat=True)),
    "ollama stream": Case("ollama", lambda r: made.as_ollama(r, stream=True), dropped=46),
    "llama-server chat": Case(
        "llama-server", lambda r: made.as_llama_server(r, "chat"), **OPEN,
        also={"model": "Qwen3-0.6B-Q8_0", "cached_tokens": 16, "engine_version": "b6097-9515c613"},
    ),
    "llama-server completion": Case(
        "llama-server", lambda r: made.as_llama_server(r, "completion"), **OPEN,
        also={"cached_tokens": 16},
    ),
    "llama-server timings": Case(
        "llama-server", lambda r: made.as_llama_server(r, "bare"), **OPEN
    ),
    **{
        f"llama log {kind}": Case(
            "llama-server-log", lambda r, kind=kind: made.as_llama_log(r, kind), dropped=0,
            rel=2e-3, **OPEN, also={"engine": "llama.cpp"},
        )
        for kind in ("server", "stamped", "cli")
    },
    "perf_analyzer openai": Case("perf-analyzer", lambda r: made.as_perf_analyzer(r, "openai"),
                                 load="stated", also={"model": MODEL, "concurrency": 4}),
    "perf_analyzer rate": Case(
        "perf-analyzer", lambda r: made.as_perf_analyzer(r, "openai", "request_rate"),
        also={"request_rate": 4},
    ),
    "perf_analyzer triton": Case(
        "perf-analyzer", lambda r: made.as_perf_analyzer(r, "triton"), load="stated",
        absent=("tpot_ms", "isl", "osl"), rel=0.05,
    ),
    "sglang export": Case("sglang-requests", lambda r: made.as_sglang(r, "export"),
                          also={"queue_ms": 4.0, "cached_tokens": 16}),
    "sglang responses": Case("sglang-requests", lambda r: made.as_sglang(r, "responses")),
    "sglang json log": Case("sglang-requests", lambda r: made.as_sglang(r, "json log")),
    "sglang text log": Case("sglang-requests", lambda r: made.as_sglang(r, "text log"),
                            also={"queue_ms": 4.0, "engine": "sglang"}),
    "sglang time stats": Case("sglang-requests", lambda r: made.as_sglang(r, "stats"),
                              absent=E2E_ONLY, rel=1e-3, also={"queue_ms": 4.0}),
    "tgi log": Case("tgi", lambda r: made.as_tgi(r, "log"), absent=(*E2E_ONLY, "isl"),
                    also={"queue_ms": 4.0}),
    "tgi json log": Case("tgi", lambda r: made.as_tgi(r, "json log"), absent=(*E2E_ONLY, "isl")),
    "tgi headers": Case("tgi", lambda r: made.as_tgi(r, "headers"), absent=E2E_ONLY, dropped=0,
                        rel=0.02, **OPEN),
    "litellm json": Case("litellm", lambda r: json.dumps(made.litellm(r)), dropped=4),
    "litellm api": Case("litellm", lambda r: json.dumps({"data": made.litellm(r)}), dropped=4),
    "litellm csv": Case("litellm", lambda r: made.table(made.litellm(r)), dropped=4,
                        also={"provider": "hosted_vllm"}),
    "langfuse api": Case("langfuse", lambda r: json.dumps({"data": made.langfuse(r, snake=False)}),
                         dropped=3, also={"cached_tokens": 16}),
    "langfuse blob": Case("langfuse", lambda r: made.lines(made.langfuse(r, snake=True)),
                          dropped=3, also={"model": MODEL}),
    "langfuse list": Case("langfuse", lambda r: json.dumps(made.langfuse(r, snake=True)),
                          dropped=3),
    "openrouter list": Case("openrouter", lambda r: json.dumps(made.openrouter(r)), **OPEN),
    "openrouter api": Case(
        "openrouter", lambda r: made.lines([{"data": one} for one in made.openrouter(r)]), **OPEN,
        also={"provider": "Infermatic"},
    ),
    "openrouter csv": Case("openrouter", lambda r: made.table(made.openrouter(r)), **OPEN),
    "log of unix s": Case("request-log", log(FULL, 1.0, UNIX), also={"queue_ms": 4.0}),
    "log of unix ns": Case("request-log", log(FULL, 1e9, UNIX), also={"queue_ms": 4.0}),
    "log of unix ms": Case("request-log", log(CAMEL, 1e3, UNIX, csv=True), rel=0.06),
    "log of s from 0": Case("request-log", log(SHORT, 1.0, 0.0, csv=True)),
    "log of ms from 0": Case("request-log", log(SHORT, 1e3, 0.0), rel=0.06),
    "log of us from 0": Case("request-log", log(SHORT, 1e6, 0.0, csv=True)),
    "log of monotonic ns": Case("request-log", log(SHORT, 1e9, 5000.0)),
    "log of two clocks": Case("request-log", two_clocks, also={"queue_ms": 4.0}),
    "log with metrics inside": Case("request-log", nested_metrics, also={"queue_ms": 4.0}),
    "log of ISO 8601": Case("request-log", stamps, also={"queue_ms": 4.0}),
}  # fmt: skip


def in_flight(one: Request, others: Sequence[Request], extra: float) -> float:
    """Mean number of requests in flight while one ran, from overlaps of pairs."""
    begin, end = one.start, one.start + one.e2e + extra
    shared = sum(
        max(0.0, min(end, other.start + other.e2e + extra) - max(begin, other.start))
        for other in others
    )
    return shared / (end - begin)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CASES)
def test_requests_come_back(name: str, seed: int, tmp_path: Path) -> None:
    case, requests = CASES[name], run(seed=seed)
    done = good(requests)
    path = tmp_path / "file"
    path.write_text(case.write(requests))
    assert registry.sniff(path) == case.format
    table, report = import_table(path)
    assert len(table) == len(done) == report.rows_read - case.dropped
    truth: dict[str, list[float]] = {
        "ttft_ms": [1e3 * r.ttft for r in done], "e2e_ms": [1e3 * r.e2e for r in done],
        "tpot_ms": [1e3 * r.tpot for r in done if r.tpot is not None],
        "isl": [r.isl for r in done], "osl": [r.osl for r in done],
    }  # fmt: skip
    for column, values in truth.items():
        if column in case.absent:
            assert column not in table or table[column].isna().all(), column
        else:
            assert table[column].mean() == pytest.approx(np.mean(values), rel=case.rel), column
            assert table[column].count() in (len(values), len(values) - 1), column
    for column, value in case.also.items():
        known = table[column].dropna()
        assert len(known), column
        if isinstance(value, str):
            assert (known == value).all(), column
        else:
            assert known.median() == pytest.approx(value, rel=1e-2, abs=1e-3), column
    _check_load(case, table, requests)
    assert not [flag for flag in report.flags if flag.rule == "file disagrees with itself"]


def _check_load(case: Case, table: pd.DataFrame, requests: Sequence[Request]) -> None:
    if case.load == "assumed":
        assert (table["load_from"] == "assumed").all()
    elif case.load == "measured":
        assert (table["load_from"] == "measured").all()
        extra = made.LOAD_S if case.format == "ollama" else 0.0
        told = good(requests) if case.format == "ollama" else requests
        wanted = np.mean([in_flight(one, told, extra) for one in good(requests)])
        assert table["concurrency"].mean() == pytest.approx(wanted, rel=0.1)


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "file"
    path.write_text(text)
    return path


def _means(tmp_path: Path, text: str, name: str) -> tuple[pd.Series, Any]:
    path = _written(tmp_path, text)
    assert registry.sniff(path) == name
    table, report = import_table(path, maps=[] if name != "inferencex" else ["isl=isl_mean"])
    assert (table["statistic"] == "mean").all()
    return table.iloc[0], report


def _several(requests: Sequence[Request]) -> list[Request]:
    return [r for r in good(requests) if r.tpot is not None]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", ["old", "object", "list", "lines"])
def test_means_of_inferencex(shape: str, seed: int, tmp_path: Path) -> None:
    point = made.inferencex(run(seed=seed), new=shape != "old")
    if shape == "old":
        point |= {"isl": 1024, "osl": 1024}
    text = {
        "object": json.dumps(point, indent=2), "old": json.dumps(point),
        "list": json.dumps([point, {**point, "conc": 8}]), "lines": made.lines([point]),
    }[shape]  # fmt: skip
    row, report = _means(tmp_path, text, "inferencex")
    stated = {"ttft_ms": "mean_ttft", "tpot_ms": "mean_tpot", "e2e_ms": "mean_e2el",
              "ttft_p50_ms": "median_ttft", "tpot_p99_ms": "p99_tpot",
              "e2e_stddev_ms": "std_e2el"}  # fmt: skip
    for column, key in stated.items():
        assert row[column] == pytest.approx(1e3 * point[key]), column
    assert (row["concurrency"], row["tp"], row["osl_mean"]) == (4, 8, 1024)
    assert (row["hardware"], row["engine"], row["precision"]) == ("b200-nb_0", "vllm", "fp8")
    assert row.get("engine_version") == (None if shape == "old" else "v0.11.0")
    assert "file disagrees with itself" not in [flag.rule for flag in report.flags]


def test_interactivity_that_is_not_the_inverse_of_the_time_per_token_is_flagged(
    tmp_path: Path,
) -> None:
    point = made.inferencex(run()) | {"mean_intvty": 17.0}
    _, report = _means(tmp_path, json.dumps(point), "inferencex")
    assert "file disagrees with itself" in [flag.rule for flag in report.flags]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", ["Server to", "Server per", "SingleStream", "detail"])
def test_means_of_loadgen(shape: str, seed: int, tmp_path: Path) -> None:
    requests = run(seed=seed)
    scenario, _, word = shape.partition(" ")
    text = (
        made.loadgen_detail(requests) if shape == "detail"
        else made.loadgen_summary(requests, scenario, word or "to")
    )  # fmt: skip
    row, report = _means(tmp_path, text, "mlperf-loadgen")
    done = _several(requests)
    e2e = float(np.mean([r.e2e for r in done]))
    assert row["e2e_ms"] == pytest.approx(1e3 * e2e, rel=DIGITS)
    assert row["ttft_ms"] == pytest.approx(1e3 * np.mean([r.ttft for r in done]), rel=DIGITS)
    assert row["tpot_ms"] == pytest.approx(1e3 * np.mean([r.tpot or 0 for r in done]), rel=DIGITS)
    assert row["osl_mean"] == pytest.approx(np.mean([r.osl for r in done]), rel=1e-3)
    if scenario == "SingleStream":
        assert row["concurrency"] == 1
    else:
        in_flight = max(len(done) / 10 * e2e, 1)
        assert row["concurrency"] == pytest.approx(in_flight, abs=0.01)
        assert (row["request_rate"], row["load_from"]) == (2.75, "measured")
    rules = [flag.rule for flag in report.flags]
    assert ("invalid run" in rules) == (shape == "detail")


@pytest.mark.parametrize("seed", SEEDS)
def test_loadgen_offline_says_that_its_latency_is_waiting(seed: int, tmp_path: Path) -> None:
    row, report = _means(
        tmp_path, made.loadgen_summary(run(seed=seed), "Offline"), "mlperf-loadgen"
    )
    assert "ttft_ms" not in row
    assert "all sent at once" in [flag.rule for flag in report.flags]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("handled", [True, False])
def test_means_of_k6(handled: bool, seed: int, tmp_path: Path) -> None:
    requests = run(seed=seed)
    done = good(requests)
    row, report = _means(tmp_path, made.k6(requests, handled=handled), "k6")
    assert row["e2e_ms"] == pytest.approx(1e3 * np.mean([r.e2e for r in done]))
    assert row["e2e_p95_ms"] == pytest.approx(1e3 * np.percentile([r.e2e for r in done], 95))
    assert row["ttft_ms"] == pytest.approx(1e3 * np.mean([r.ttft for r in done]))
    assert row["ttfb_ms"] == pytest.approx(2.0)
    assert row["osl_mean"] == pytest.approx(np.mean([r.osl for r in done]), abs=0.51)
    assert row["n_requests"] == len(done)
    busy = 8.0 * np.mean([r.e2e for r in requests])
    assert row["concurrency"] == pytest.approx(max(busy, 1), abs=0.01)
    assert report.skipped["failed request (left out)"] == 2


def test_k6_without_metrics_of_tokens_has_no_first_token(tmp_path: Path) -> None:
    summary = json.loads(made.k6(run(), handled=True))
    del summary["metrics"]["llm_ttft"]
    summary["metrics"]["ttft"] = {"type": "trend", "contains": "default", "values": {"avg": 0.3}}
    row, report = _means(tmp_path, json.dumps(summary), "k6")
    assert "ttft_ms" not in row
    assert "unit not known" in [flag.rule for flag in report.flags]


@pytest.mark.parametrize(
    "name",
    [
        "sglang text log",
        "log of unix s",
        "tgi log",
        "litellm json",
        "langfuse blob",
        "perf_analyzer openai",
    ],
)
def test_a_file_of_failures_leaves_no_row(name: str, tmp_path: Path) -> None:
    failures = [Request(r.start, r.isl, r.tokens, failed=True) for r in run(6)]
    path = _written(tmp_path, CASES[name].write(failures))
    with pytest.raises((NothingUsableError, FileFormatError)):
        import_table(path)


def test_a_wait_in_ollama_is_apart_and_flagged(tmp_path: Path) -> None:
    record = json.loads(made.as_ollama(run(1, failed=0)))
    record["total_duration"] += 2_000_000_000
    table, report = import_table(_written(tmp_path, json.dumps(record)))
    assert table["other_ms"].iloc[0] == pytest.approx(2000, rel=1e-3)
    assert "waited" in [flag.rule for flag in report.flags]


def test_a_prompt_that_ollama_found_in_its_cache_has_no_length(tmp_path: Path) -> None:
    records = [json.loads(line) for line in made.as_ollama(run(4, failed=0)).splitlines()]
    del records[0]["prompt_eval_count"]
    table, _ = import_table(_written(tmp_path, made.lines(records)))
    assert table["isl"].isna().tolist() == [True, False, False, False]


def test_answers_in_one_piece_have_e2e_only(tmp_path: Path) -> None:
    records = [{**r, "completionStartTime": r["endTime"]} for r in made.litellm(run(failed=0))]
    table, _ = import_table(_written(tmp_path, json.dumps(records)))
    several = table["osl"] > 1
    assert table.loc[several, "ttft_ms"].isna().all()
    assert table["e2e_ms"].notna().all()


def test_what_llama_server_prints_against_its_own_times_is_flagged(tmp_path: Path) -> None:
    records = [
        json.loads(line) for line in made.as_llama_server(run(failed=0), "chat").splitlines()
    ]
    records[5]["timings"]["predicted_per_token_ms"] *= 3
    _, report = import_table(_written(tmp_path, made.lines(records)))
    (flag,) = [flag for flag in report.flags if flag.rule == "file disagrees with itself"]
    assert flag.rows == (5,)


def test_halves_of_disaggregated_requests_are_no_requests(tmp_path: Path) -> None:
    text = made.as_sglang(run(failed=0), "stats")
    half = text.splitlines()[0].replace("type=unified", "type=prefill")
    _, report = import_table(_written(tmp_path, text + half + "\n"))
    assert report.skipped["half of a disaggregated request (left out)"] == 1


@pytest.mark.parametrize("damage", [None, "what", [1, [2]], -1.0])
@pytest.mark.parametrize("name", CASES)
def test_damaged_values_are_errors_for_people(name: str, damage: Any, tmp_path: Path) -> None:
    """Replace every number; whatever comes of it must not be a traceback."""

    def spoiled(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: spoiled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [spoiled(v) for v in value]
        return damage if isinstance(value, (int, float)) else value

    rows = Document(_written(tmp_path, CASES[name].write(run(3, failed=1)))).rows
    path = _written(tmp_path, made.lines([spoiled(row) for row in rows]))
    with suppress(LengthwiseError):  # any other exception fails the test
        import_table(path)


def test_times_so_far_in_a_stream_are_no_answers(tmp_path: Path) -> None:
    whole = json.loads(made.as_llama_server(run(1, failed=0), "chat"))
    choice = {"delta": {"content": "a"}, "finish_reason": None}
    part = {**whole, "object": "chat.completion.chunk", "choices": [choice]}
    last = {**part, "choices": [{"delta": {}, "finish_reason": "stop"}]}
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in (part, part, last))
    table, report = import_table(_written(tmp_path, text + "data: [DONE]\n"))
    assert len(table) == 1
    assert report.skipped == {"part of a streamed answer (left out)": 2}


def test_the_last_token_of_sglang_may_come_before_the_end(tmp_path: Path) -> None:
    meta = {
        "prompt_tokens": 8, "completion_tokens": 5, "e2e_latency": 1.2, "finish_reason": None,
        "request_received_ts": 10.0, "prefill_finished_ts": 10.4, "decode_finished_ts": 11.0,
    }  # fmt: skip
    table, _ = import_table(_written(tmp_path, json.dumps({"text": "a", "meta_info": meta})))
    times = table[["ttft_ms", "tpot_ms", "e2e_ms"]].iloc[0].tolist()
    assert times == pytest.approx([400, 150, 1200])
