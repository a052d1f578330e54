"""``lengthwise import``: turn files of timings into a checked measurement table."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lengthwise.data.output import is_stream
from lengthwise.data.output_check import partial_path
from lengthwise.data.output_kinds import MEASUREMENTS
from lengthwise.errors import InputError, NothingUsableError
from lengthwise.interfaces.cli.common import (
    AsJson,
    Output,
    log,
    print_json,
    print_table,
    width,
)
from lengthwise.interfaces.cli.interrupts import saving
from lengthwise.interfaces.cli.outputs import INTERRUPTED, Force, check_output, wrote

if TYPE_CHECKING:
    import pandas as pd

    from lengthwise.data.report import ImportReport


AUTO = "auto"

Files = Annotated[
    list[Path],
    typer.Argument(help="Tables, result files of benchmark tools, or folders; .gz is fine."),
]
Format = Annotated[
    str, typer.Option("--format", metavar="NAME", help="What the files hold; auto finds out.")
]
Maps = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="COLUMN=EXPR", help="Make a column: latency_ms=seconds*1000."),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="COLUMN=VALUE", help="Fill a column: model=llama3-8b."),
]


def command(
    files: Files,
    output: Output = None,
    file_format: Format = AUTO,
    maps: Maps = None,
    sets: Sets = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    r"""Turn files of timings into a checked measurement table.

    A file is a table (CSV, TSV, Parquet, JSON lines) or the result file of a benchmark tool, found
    by its content. Rows that cannot be used are kept, failed requests and warm-up are left out; the
    report counts both, and says what looks wrong and what was assumed. Without --output, only the
    report is made.

    Formats (--format NAME):
      table                plain table; name its columns with --map
      vllm-serve           vllm bench serve, one file or the folder of a sweep
      vllm-latency         vllm bench latency; --set batch_size=, isl=, osl=
      vllm-throughput      vllm bench throughput
      vllm-forward         vllm bench forward
      sglang-serving       sglang.benchmark.serving (bench_serving)
      sglang-one-batch     sglang.benchmark.one_batch and one_batch_server
      sglang-forward-pass  forward-pass metrics of SGLang and Dynamo
      guidellm             GuideLLM, JSON, YAML or CSV
      aiperf               AIPerf, profile_export.jsonl, its summary, or the folder
      genai-perf           genai-perf
      inference-perf       inference-perf
      llmperf              llmperf
      llama-bench          llama-bench, JSON, JSON lines, CSV, SQL or markdown
      optimum-benchmark    optimum-benchmark
      llm-d                llm-d benchmark report 0.1 to 0.2.1
      otel                 OpenTelemetry GenAI spans
      prometheus           Prometheus text of vLLM or SGLang
      chrome-trace         Chrome or torch trace
      ollama               Ollama, responses of its API
      llama-server         llama-server, responses with timings
      llama-server-log     logs of llama-server and llama-cli
      inferencex           InferenceX (InferenceMAX), agg_*.json
      perf-analyzer        perf_analyzer, profile_export.json
      mlperf-loadgen       MLPerf LoadGen, summary or detail log
      sglang-requests      SGLang, requests the server logged or exported
      tgi                  Text Generation Inference, log or headers
      litellm              LiteLLM spend logs
      langfuse             Langfuse observations
      openrouter           OpenRouter generation statistics
      k6                   k6 summary
      request-log          logs of requests: arrival, first token, last token
      llama-batched-bench  llama-batched-bench, markdown or JSON lines
      llama-sweep-bench    llama-sweep-bench of ik_llama.cpp, markdown or JSON lines
      llama-benchy         llama-benchy, markdown or JSON
      mlx-lm               console text of mlx_lm.benchmark and mlx_lm.generate
      ollama-verbose       console text of ollama run --verbose
      serving-console      console text of vLLM's and SGLang's serving benchmarks
      serving-csv          CSV with the keys of their result files (mean_ttft_ms)
      vllm-offline-console console text of vllm bench latency and throughput
      trtllm-bench         trtllm-bench, report as JSON or as printed
      aiperf-csv           AIPerf and genai-perf, profile_export*.csv
      lmdeploy             LMDeploy's profilers, CSV
      locust               Locust statistics, CSV

    For example:
      lengthwise import runs.csv -o table.parquet
      lengthwise import vllm-*.json --set hardware=h100 --set tp=1 -o table.parquet
      lengthwise import bench.csv --set phase=prefill --set model=llama2-70b \
        --map isl=prompt_size --map latency_ms=prompt_time -o table.parquet
    """
    from lengthwise.data.finding import PLAIN
    from lengthwise.data.formats import registry
    from lengthwise.data.importing import PARTIAL, import_files
    from lengthwise.data.table import write_table

    wanted = file_format.strip().lower()
    if wanted not in (AUTO, PLAIN):
        wanted = registry.get(wanted).NAME
    constants = _constants(sets or [])
    read = _read_of(files, output, None if wanted == AUTO else wanted)
    check_output(output, MEASUREMENTS, inputs=read, force=force, as_json=as_json)
    table, reports = import_files(
        files, maps=maps or [], constants=constants, file_format=None if wanted == AUTO else wanted
    )
    usable = sum(report.rows_kept for report in reports)
    partial = PARTIAL in table.attrs
    written = output if usable or not _stands(output) else None  # nothing usable replaces no file
    if output and written:
        into = partial_path(output) if partial and not is_stream(output) else output
        with saving() if partial else nullcontext():
            write_table(table, into)
        wrote(into, f"{len(table):,} rows, {usable:,} usable,")
    if as_json:
        print_json(_as_json(table, reports, written if not partial else None))
    else:
        _print(table, reports)
    if partial:
        log(table.attrs[PARTIAL])
        raise typer.Exit(INTERRUPTED)
    if not usable:
        if output and not written:
            log(f"{output} was not replaced")
        raise NothingUsableError(
            "an import needs at least one usable row", got=f"0 of {len(table):,}",
            remedy="follow the report above, which counts the reasons and names ways on",
        )  # fmt: skip


def _stands(output: Path | None) -> bool:
    return output is not None and not is_stream(output) and output.exists()


def _read_of(files: list[Path], output: Path | None, kind: str | None) -> list[Path]:
    """List the files that are read; folders are looked into where the output may lie in one."""
    from lengthwise.data.finding import expand

    if output is None or not output.exists() or not any(file.is_dir() for file in files):
        return files
    return expand(files, kind).paths


def _constants(sets: list[str]) -> dict[str, str]:
    constants = {}
    for text in sets:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not (name and sign and value):
            raise InputError(
                "a constant reads column=value", got=f"--set {text}", remedy="--set model=llama3-8b"
            )
        constants[name] = value
    return constants


def _as_json(
    table: pd.DataFrame, reports: list[ImportReport], output: Path | None
) -> dict[str, Any]:
    from lengthwise.data.importing import PARTIAL

    return {
        "rows": len(table),
        "partial": PARTIAL in table.attrs,
        "usable": sum(report.rows_kept for report in reports),
        "output": output,
        "files": reports,
    }


def _print(table: pd.DataFrame, reports: list[ImportReport]) -> None:
    for report in reports:
        print(report.render(width()))
        print()
    print_table(["deployment", "phase", "rows", "usable", "tokens", "batch"], _groups(table))


def _groups(table: pd.DataFrame) -> list[list[str]]:
    """One line per deployment and phase: what the table covers."""
    from lengthwise.data.checks import usable
    from lengthwise.data.identity import deployment_of

    names = {"decode": "context_len", "mixed": "sum_context_len"}
    keyed = table.assign(_deployment=deployment_of(table, with_load=False), _usable=usable(table))
    rows = []
    for (deployment, phase), part in keyed.groupby(
        ["_deployment", "phase"], sort=False, observed=True
    ):
        length = names.get(str(phase), "isl")
        batched = "batch_size" in part and part["batch_size"].notna().any()
        load = "batch_size" if batched or "concurrency" not in part else "concurrency"
        rows.append([
            str(deployment), str(phase), f"{len(part):,}", f"{int(part['_usable'].sum()):,}",
            _span(part, length),
            _span(part, load) + (" in flight" if load == "concurrency" else ""),
        ])  # fmt: skip
    return rows


def _span(part: pd.DataFrame, name: str) -> str:
    if name not in part or part[name].isna().all():
        return "-"
    low, high = part[name].min(), part[name].max()
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"
