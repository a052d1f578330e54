"""Formats by name, found by the content of a file. A module is imported when it is asked for."""

from __future__ import annotations

import json
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import cast

from lengthwise.data.formats.base import Document, Format, Parsed
from lengthwise.data.formats.json_guesses import json_guess
from lengthwise.data.parsing import parse_json
from lengthwise.data.signatures import Guess, binary_guess
from lengthwise.data.text_guesses import text_guess
from lengthwise.errors import FileFormatError, InputError, LengthwiseError

MODULES = {
    "vllm-serve": "vllm_serve", "vllm-latency": "vllm_latency",
    "vllm-throughput": "vllm_throughput", "vllm-forward": "vllm_forward",
    "sglang-serving": "sglang_serving", "sglang-one-batch": "sglang_one_batch",
    "sglang-forward-pass": "sglang_forward_pass", "guidellm": "guidellm", "aiperf": "aiperf",
    "genai-perf": "genai_perf", "inference-perf": "inference_perf", "llmperf": "llmperf",
    "llama-bench": "llama_bench", "optimum-benchmark": "optimum_benchmark",
    "llm-d": "llmd_report", "otel": "otel_spans", "prometheus": "prometheus",
    "chrome-trace": "chrome_trace",
    "ollama": "ollama", "llama-server": "llama_server", "llama-server-log": "llama_server_log",
    "inferencex": "inferencex", "perf-analyzer": "perf_analyzer",
    "mlperf-loadgen": "mlperf_loadgen", "sglang-requests": "sglang_requests", "tgi": "tgi",
    "litellm": "litellm_spend", "langfuse": "langfuse", "openrouter": "openrouter",
    "k6": "k6_summary", "request-log": "request_log",
    "llama-batched-bench": "llama_batched_bench", "llama-sweep-bench": "llama_sweep_bench",
    "llama-benchy": "llama_benchy", "mlx-lm": "mlx_lm", "ollama-verbose": "ollama_verbose",
    "serving-console": "serving_console", "serving-csv": "serving_csv",
    "vllm-offline-console": "vllm_offline_console", "trtllm-bench": "trtllm_bench",
    "aiperf-csv": "aiperf_csv", "lmdeploy": "lmdeploy_csv", "locust": "locust",
}  # fmt: skip
"""Module of each format, in the order in which content is asked."""

NAMES = tuple(MODULES)
"""Names for ``--format``."""

_GUESSED = 1 << 16
"""Characters of a text by which it is described."""

_SHOWN = "see lengthwise import --help for what can be read"


def get(name: str) -> Format:
    """Give the module of a format.

    >>> get("guidellm").TITLE
    'GuideLLM'
    """
    plain = name.strip().lower().replace("_", "-")
    if plain not in NAMES:
        close = get_close_matches(plain, NAMES, n=1)
        raise InputError(
            f"the format must be auto, table or one of {', '.join(NAMES)}", got=repr(name),
            remedy=f"did you mean {close[0]}" if close else "leave --format out to have it found",
        )  # fmt: skip
    return cast(Format, import_module(f"{__package__}.{MODULES[plain]}"))


def candidates(document: Document) -> list[str]:
    """Name the formats whose shape the content has, usually one or none."""
    return [name for name in NAMES if _has_shape(get(name), document)]


def _has_shape(reader: Format, document: Document) -> bool:
    try:
        return reader.matches(document)
    except LengthwiseError:
        raise
    except Exception:  # a value of another kind than the tool writes, of whatever kind
        return False


def sniff(path: str | Path) -> str:
    """Name the format of a file by its content.

    Raises
    ------
    FileFormatError
        If no format, or more than one, has this shape.
    """
    document = Document(Path(path))
    found = candidates(document)
    if len(found) == 1:
        return found[0]
    if found:
        raise FileFormatError(
            "the content must have the shape of one format",
            got=f"{document.path}, which may be {' or '.join(found)}",
            remedy=f"say which: --format {found[0]}",
        )
    raise unknown(document)


def read_format(path: str | Path, name: str | None = None) -> tuple[Parsed, str]:
    """Read a result file of a benchmark tool.

    Parameters
    ----------
    path
        The file.
    name
        Its format; found by content when left out.

    Returns
    -------
    rows with the account of what was left out, and the name of the format.
    """
    document = Document(Path(path))
    name = sniff(path) if name is None else get(name).NAME
    if not _has_shape(get(name), document):
        others = [other for other in candidates(document) if other != name]
        raise FileFormatError(
            f"the content must have the shape of {get(name).TITLE} (--format {name})",
            got=f"{document.path}, {looks_like(document, others)}",
            remedy="leave --format out to have it found",
        )
    try:
        return get(name).read(document), name
    except LengthwiseError:
        raise
    except Exception as error:  # as above
        raise FileFormatError(
            f"{document.path} must be as {get(name).TITLE} writes it",
            got=f"{type(error).__name__}: {str(error)[:120]}",
            remedy="check that the file is whole and was not edited",
        ) from error


def unknown(document: Document) -> FileFormatError:
    """Return the error for content of no known shape: what it looks like, what to use instead."""
    where = broken_json(document)
    guess = _guess(document)
    if guess is not None and (not where or not guess.looks.startswith(("text", "YAML"))):
        return guess.error(document.path)
    if where:
        return FileFormatError(
            f"{document.path} must be complete JSON", got=where,
            remedy="the file is cut off or damaged: copy or write it again",
        )  # fmt: skip
    return FileFormatError(
        f"the content must have the shape of a known format ({', '.join(NAMES)})",
        got=f"{document.path}, {looks_like(document, [])}",
        remedy=f"if it is a table, write it as CSV or JSON lines and name its columns with --map; "
        f"{_SHOWN}",
    )


def _guess(document: Document) -> Guess | None:
    """Return what content looks like; text that begins as an object of JSON is damaged JSON."""
    found = binary_guess(document.head, document.path) or json_guess(document)
    text = document.text[:_GUESSED].lstrip()
    return found if found or document.rows or text.startswith("{") else text_guess(text)


def broken_json(document: Document) -> str:
    """Say where text that begins as JSON stops being JSON; empty for sound JSON and other text."""
    if document.rows or not document.text.lstrip().startswith(("{", "[")):
        return ""
    try:
        parse_json(document.text, document.path)
    except json.JSONDecodeError as error:
        return f"{error.msg} at line {error.lineno} column {error.colno}"
    return ""


def looks_like(document: Document, others: list[str]) -> str:
    """Describe content in a few words for an error."""
    if others:
        return f"which looks like {' or '.join(others)}"
    guess = _guess(document)
    return f"which looks like {guess.looks}" if guess else f"which begins {document.head[:24]!r}"
