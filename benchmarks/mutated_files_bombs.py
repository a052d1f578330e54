"""Small files that are made to take memory or time: they unpack, nest, repeat, or widen."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Bomb = tuple[str, str, bytes, list[str]]
"""Name, suffix, content, and words in which FILE stands for the file."""

IMPORT = ["import", "FILE", "--json"]
HARDWARE = ["predict", "--model", "llama3.1-8b", "--hardware", "FILE", "--isl", "5", "--osl", "5"]
MODEL = ["predict", "--model", "FILE", "--hardware", "h100_sxm", "--isl", "5", "--osl", "5"]
LAW = ["predict", "FILE", "--isl", "5"]
MB = 1 << 20


def bombs() -> Iterator[Bomb]:
    """Yield the files, 2 MB at most."""
    yield from _packed()
    yield from _parquet()
    yield from _let_through()
    yield from _nested()
    yield from _aliases()
    yield from _wide()


def _packed() -> Iterator[Bomb]:
    for name, suffix, head, block in (
        ("rows in gzip", "csv.gz", b"phase,isl,latency_ms\n", b"prefill,512,20.5\n" * 60_000),
        ("empty lines in gzip", "csv.gz", b"phase,isl,latency_ms\n", b"\n" * MB),
        ("a text in gzip", "json.gz", b'{"a":"', b"x" * MB),
        ("empty lists in gzip", "json.gz", b"[[]", b",[]" * 300_000),
        ("objects in gzip", "jsonl.gz", b"", b'{"phase":"prefill","isl":1}\n' * 30_000),
    ):
        packed = io.BytesIO()
        with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
            file.write(head)
            for _ in range(400):
                file.write(block)
        yield name, suffix, packed.getvalue(), IMPORT


def _parquet() -> Iterator[Bomb]:
    rows = 20_000_000
    phase = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, "int32")), ["prefill"])
    table = {"phase": phase, "isl": np.full(rows, 512), "latency_ms": np.full(rows, 20.5)}
    yield "rows of Parquet", "parquet", _written(table), IMPORT
    one = {"phase": ["prefill"], "isl": [1], "latency_ms": [1.0], "model": ["x" * (200 * MB)]}
    yield "a cell of Parquet", "parquet", _written(one), IMPORT
    few = 1_000_000
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(few, "int32")), ["x" * 900_000])
    plain = {"isl": np.full(few, 1), "latency_ms": np.full(few, 1.0), "model": text}
    yield "a text meant a million times", "parquet", _written(plain, plain=True), IMPORT
    wide = {f"c{i}": [1] for i in range(5_000)}
    yield "columns of Parquet", "parquet", _written(wide), IMPORT


def _written(columns: dict[str, object], *, plain: bool = False) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, compression="zstd", store_schema=not plain)
    return file.getvalue()


def _let_through() -> Iterator[Bomb]:
    """Yield files that are within the limits, as large as these let them be."""
    rows = b"phase,isl,latency_ms\n" + b"prefill,512,20.5\n" * 980_000
    yield "most rows in gzip", "csv.gz", gzip.compress(rows, mtime=0), IMPORT
    count = 1_300_000
    phase = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, "int32")), ["prefill"])
    table = {"phase": phase, "isl": np.full(count, 512), "latency_ms": np.full(count, 20.5)}
    yield "most rows of Parquet", "parquet", _written(table), IMPORT
    names = b"phase,isl,latency_ms" + b"".join(b",c%d" % i for i in range(997))
    lines = b"".join(b"prefill,%d,%d" % (i, i) + b",1" * 997 + b"\n" for i in range(1, 500))
    yield "most columns of CSV", "csv", names + b"\n" + lines, IMPORT


def _nested() -> Iterator[Bomb]:
    lists, objects = b"[" * 200_000 + b"]" * 200_000, b'{"a":' * 200_000 + b"1" + b"}" * 200_000
    for name, content in (("lists", lists), ("objects", objects)):
        yield f"nested {name}", "json", content, IMPORT
        yield f"nested {name} as a model", "json", content, MODEL
        yield f"nested {name} as a law", "json", content, LAW
    yield "nested TOML", "toml", b"a = " + b"[" * 5000 + b"]" * 5000, HARDWARE
    yield "a key of many parts", "toml", b".".join([b"a"] * 20_000) + b" = 1", HARDWARE
    yield "a number of many digits", "json", b'{"a":' + b"9" * MB + b"}", IMPORT
    yield "a number of many digits as a law", "json", b'{"a":' + b"9" * MB + b"}", LAW


def _aliases() -> Iterator[Bomb]:
    lines = ["guidellm_version: '1'", "a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    for name, end in (
        ("aliases", "benchmarks: *a9"),
        ("aliases in a benchmark", "benchmarks: [{requests: *a9, config: {strategy: *a9}}]"),
        ("an alias of itself", "benchmarks: &a [{requests: *a, x: *a}]"),
        ("nested YAML", "benchmarks: " + "[" * 20_000 + "]" * 20_000),
    ):
        yield name, "yaml", "\n".join([*lines, end]).encode(), IMPORT
    lines[0] = "version: '0.2.1'"
    text = "\n".join([*lines, "run: {}", "scenario: {}", "results: {request_performance: *a9}"])
    yield "aliases in a report of llm-d", "yaml", text.encode(), IMPORT


def _wide() -> Iterator[Bomb]:
    names = b",".join(b"c%d" % i for i in range(100_000))
    yield "columns of CSV", "csv", names + b"\n" + b",".join([b"1"] * 100_000), IMPORT
    keys = b"".join(b'{"phase":"prefill","isl":5,"k%d":1}\n' % i for i in range(30_000))
    yield "keys of JSON lines", "jsonl", keys, IMPORT
    sparse = b"".join(b'{"k%d":1}\n' % (i % 900) for i in range(150_000))
    yield "empty cells of JSON lines", "jsonl", sparse, IMPORT
    cells = b",".join(b"c%d" % i for i in range(1000))
    yield "cells of CSV", "csv", cells + b"\n" + (b"1," * 999 + b"1\n") * 900, IMPORT
    yield "a cell of CSV", "csv", b'phase,isl\nprefill,"' + b"x" * (2 * MB) + b'"\n', IMPORT
    yield "empty objects", "json", b"{}\n" * 600_000, IMPORT
    yield "empty lists", "json", b"[" + b"[]," * 600_000 + b"[]]", IMPORT
