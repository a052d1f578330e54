"""What no reader knows is named, with the file to use instead."""

import gzip
import io
import json
import pickle
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import pytest

from lengthwise.data.importing import import_table
from lengthwise.data.table import load
from lengthwise.data.text_guesses import text_guess
from lengthwise.errors import FileFormatError


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return out.getvalue()


def tarred(*names: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return out.getvalue()


def sqlite_file(folder: Path) -> bytes:
    path = folder / "x.db"
    with sqlite3.connect(path) as con:
        con.execute("CREATE TABLE t (a)")
    con.close()
    return path.read_bytes()


LOG = "INFO 12-01 10:00:00 [api_server.py:1] started\nINFO 12-01 10:00:01 [api.py:2] ready\n"
BRACKETS = "[2026-12-01 10:00:00] server is up\n[2026-12-01 10:00:01] GET /health 200\n"
YAML = "model: llama\nruns:\n  - isl: 512\n    ttft_ms: 20\n  - isl: 1024\n    ttft_ms: 40\n"
MARKDOWN = "# Runs\n\n| isl | ttft |\n| --- | ---: |\n| 512 | 20 |\n"
CONSOLE = (
    "Running the benchmark with bench_serving, please wait\nMean latency is 20 ms for it all\n"
)
PAGE = "<!DOCTYPE html>\n<html><head><title>GuideLLM report</title></head></html>"

CASES: dict[str, tuple[bytes, str, str]] = {
    "xlsx": (zipped("[Content_Types].xml", "xl/workbook.xml"), "an Excel workbook", "as CSV"),
    "xls": (b"\xd0\xcf\x11\xe0" + bytes(600), "an Excel workbook", "as CSV"),
    "ods": (zipped("mimetype", "content.xml"), "an OpenDocument file", "as CSV"),
    "docx": (zipped("word/document.xml"), "a Word document", "as CSV"),
    "zip": (zipped("a.json", "b.json"), "a zip archive with a.json, b.json", "unpack it"),
    "npz": (zipped("a.npy"), "NumPy arrays", "CSV"),
    "tar": (tarred("runs/a.json"), "a tar archive with runs/a.json", "unpack it"),
    "tar.gz": (gzip.compress(tarred("a.json")), "a tar archive with a.json", "unpack it"),
    "zst": (b"\x28\xb5\x2f\xfd" + bytes(20), "packed with zstd", "zstd -d x.txt"),
    "pickle": (pickle.dumps({"isl": [1]}), "a Python pickle", "to_parquet"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "an HDF5 file", "to_parquet"),
    "npy": (b"\x93NUMPY\x01\0" + bytes(20), "a NumPy array", "column names"),
    "feather": (b"ARROW1\0\0" + bytes(20), "a Feather file", "to_parquet"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(20), "a PNG picture", "behind the picture"),
    "pdf": (b"%PDF-1.7\n" + bytes(20), "a PDF document", "behind the picture"),
    "gguf": (b"GGUF\x03" + bytes(20), "weights of a model", "what a benchmark of it wrote"),
    "utf16": ("isl,ms\n1,2\n".encode("utf-16"), "UTF-16 text", "iconv -f utf-16"),
    "html": (PAGE.encode(), "a page of HTML ('GuideLLM report')", "--output-path report.json"),
    "xml": (b"<?xml version='1.0'?>\n<testsuite/>", "XML", "lengthwise import --help"),
    "markdown": (MARKDOWN.encode(), "a table of the columns isl, ttft", "commas for the bars"),
    "log": (LOG.encode(), "a log (it begins 'INFO 12-01", "--save-result"),
    "log with brackets": (BRACKETS.encode(), "a log (it begins '[2026", "--save-result"),
    "yaml": (YAML.encode(), "YAML with the keys model, runs, isl, ttft_ms", "JSON lines"),
    "ini": (b"[server]\nport = 8000\nmodel = x\n", "settings (TOML or INI)", "--help"),
    "console": (CONSOLE.encode(), "text of a console", "--output-file runs.jsonl"),
    "notebook": (b'{"nbformat": 4, "cells": []}', "a Jupyter notebook", "to_csv"),
    "config": (b'{"model_type": "llama", "architectures": ["L"]}', "configuration", "predict"),
    "array": (b'[{"a": 1}, {"a": 2}]', "a JSON array of 2 objects with the keys a", "jq -c"),
    "lists": (b'{"isl": 1, "itls": [1, 2]}\n{"isl": 2, "itls": []}\n', "itls holds lists", "cell"),
    "answer": (b'{"choices": [], "usage": {}}', "an answer of the OpenAI API", "measure"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_it_looks_like_and_what_to_use(case: str, tmp_path: Path) -> None:
    content, looks, remedy = CASES[case]
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    with pytest.raises(FileFormatError) as caught:
        import_table(path)
    assert looks in caught.value.got
    assert remedy in caught.value.remedy


def test_a_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_bytes(sqlite_file(tmp_path))
    for read in (load, import_table):
        with pytest.raises(
            FileFormatError, match=r"a SQLite database.*sqlite3 -header -csv runs.c"
        ):
            read(path)


@pytest.mark.parametrize(
    "text",
    [
        "phase,isl,latency_ms\nprefill,512,20\n",
        "isl\tms\n512\t20\n",
        "time,isl,ms\n2026-12-01 10:00:00,512,20\n2026-12-01 10:00:01,1024,40\n",
        "stamp,ms\n[2026-12-01],512\n",
        "ms\n20\n21\n",
        'note,ms\n"a long, long remark: with words, and commas",20\n"b",21\n',
        "a,b,c\n1,2,3\n4,5\n",
        "key: isl,ms\n512,20\n",
        "phase isl osl batch_size latency_ms\nprefill 512 1 1 20\nprefill 1024 1 1 40\n",
        "phase;isl;latency_ms\nprefill;512;20,5\n",
        "",
    ],
)
def test_a_table_is_not_taken_for_anything_else(text: str) -> None:
    assert text_guess(text) is None


def test_results_in_utf16_are_read(tmp_path: Path) -> None:
    """A shell of Windows writes what a program prints so."""
    path = tmp_path / "out.md"
    table = (
        "| model | test | t/s |\n| --- | ---: | ---: |\n| llama 8B Q8_0 | pp512 | 5120.00 ± 10.00 |"
    )
    path.write_text(table, encoding="utf-16")
    frame, report = import_table(path)
    assert (report.format, frame["latency_ms"].tolist()) == ("llama-bench", [100.0])


def test_json_that_breaks_off_is_not_taken_for_text(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"model: x": 1, "runs": [{"isl": 512}]}, indent=1)[:-8])
    with pytest.raises(FileFormatError, match="must be complete JSON"):
        import_table(path)
