"""Every bad input is refused with the rule, the value and a remedy."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lengthwise.data.mapping import apply_mapping
from lengthwise.data.table import load, prepare, read_table, write_table
from lengthwise.errors import (
    ColumnError,
    FileFormatError,
    InputError,
    LengthwiseError,
    NothingUsableError,
)

PREFILL: dict[str, Any] = {"phase": ["prefill"] * 2, "isl": [512, 1024], "latency_ms": [20.0, 40.0]}
DECODE: dict[str, Any] = {
    "phase": ["decode"] * 2, "context_len": [512, 1024], "latency_ms": [5.0, 6.0],
}  # fmt: skip
REQUEST: dict[str, Any] = {"phase": ["request"] * 2, "isl": [512, 1024], "ttft_ms": [20.0, 40.0]}


def check(error: LengthwiseError, value: str, remedy: str) -> None:
    assert error.rule
    assert value in str(error)
    assert "Remedy: " in str(error)
    assert remedy in error.remedy


BAD_FILES: list[tuple[str, bytes, str, str]] = [
    ("empty.csv", b"", "0 bytes", "tool that wrote it"),
    ("blank.csv", b" \n\n", "white space", "tool that wrote it"),
    ("header.csv", b"phase,isl,latency_ms\n", "column names only", "tool that wrote it"),
    ("twice.csv", b"isl,isl\n1,2\n", "isl twice", "rename"),
    ("short.csv", b"a,b,c\n1,2,3\n4,5\n", "2 cells in line 3", "mend this line"),
    ("long.csv", b"a,b\n1,2\n3,4,5\n", "3 cells in line 3", "mend this line"),
    ("first_long.csv", b"a,b\n1,2,3\n3,4,5\n", "3 cells in line 2", "mend this line"),
    ("semicolon.csv", b"phase;isl\nprefill;512\n", "phase;isl", "commas"),
    ("spaces.csv", b"phase isl t\nprefill 512 3\n", "phase isl t", "commas"),
    ("no_header.csv", b"512,20.5\n1024,41.5\n", "512,20.5", "column names on top"),
    ("latin1.csv", "modèle,isl\nx,1\n".encode("latin1"), "0xe8", "iconv"),
    ("late_latin1.csv", b"a,b\n" + b"1,x\n" * 30_000 + b"1,\xe8\n", "late_latin1", "iconv"),
    ("utf16.csv", "isl,latency_ms\n1,2\n".encode("utf-16"), "UTF-16", "iconv"),
    ("image.csv", b"\x89PNG\r\n\x1a\n\0\0\0", "a PNG picture", "CSV or JSON"),
    ("cell.csv", b"a,b\n1," + b"x" * (2 << 20) + b"\n", "2,097,152 bytes", "prompts"),
    ("row.csv", b"a,b\n1," + b"x" * (9 << 20) + b"\n", "row.csv", "prompts"),
    ("quote.csv", b'a,b\n1,"x\n2,y\n', "1 of them", "close the quote"),
    ("cut.csv.gz", gzip.compress(b"a,b\n1,2\n" * 999)[:40], "cut.csv.gz", "write it again"),
    ("cut.parquet", b"PAR1 and no more", "cut.parquet", "copy or write it again"),
    ("text.parquet", b"a,b\n1,2\n", "a,b", "suffix"),
    ("packed.parquet.gz", gzip.compress(b"PAR1xxxx"), "packed.parquet.gz", "gunzip"),
    ("broken.jsonl", b'{"a": 1}\n{"a": 2,\n', "line 2", "mend or delete"),
    ("array.jsonl", b'{"a": 1}\n[3]\n', "line 2", "rows as"),
    ("deep.jsonl", b"[" * 100_000, "line 1", "MAX_NESTING"),
    ("list.json", b'[{"a": 1}]', "'['", "one object per line"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "value", "remedy"), BAD_FILES, ids=[case[0] for case in BAD_FILES]
)
def test_bad_file(tmp_path: Path, name: str, content: bytes, value: str, remedy: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileFormatError) as caught:
        read_table(path)
    check(caught.value, value, remedy)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError) as caught:
        read_table(tmp_path / "absent.csv")
    check(caught.value, "absent.csv", "check the path")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError) as caught:
        read_table(tmp_path)
    check(caught.value, tmp_path.name, "name a file")


def test_parquet_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(pd.DataFrame(PREFILL), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileFormatError) as caught:
        read_table(path)
    check(caught.value, "t.parquet", "copy or write it again")


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [("t.xlsx", "t.xlsx", ".parquet"), ("absent/t.csv", "absent", "make it first"),
     ("t.parquet.gz", ".gz", ".parquet")],
)  # fmt: skip
def test_bad_target(tmp_path: Path, name: str, value: str, remedy: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        write_table(pd.DataFrame(PREFILL), tmp_path / name)
    check(caught.value, value, remedy)
    assert list(tmp_path.iterdir()) == []


BAD_ROWS: list[tuple[str, dict[str, Any], str, str]] = [
    ("no phase", {"isl": [1], "latency_ms": [1]}, "no phase among isl", "--set phase=prefill"),
    ("unknown phase", {**PREFILL, "phase": ["prefill", "train"]}, "'train' in row 1", "--map"),
    ("empty phase", {**PREFILL, "phase": ["prefill", None]}, "in row 1", "--map"),
    ("no isl", {"phase": ["prefill"], "latency_ms": [1.0]}, "no isl", "--map isl=COLUMN"),
    ("no context", {**PREFILL, "phase": "decode"}, "no context_len", "--map context_len="),
    ("no time", {"phase": ["prefill"], "isl": [5]}, "no latency_ms", "--map latency_ms="),
    ("ttft only", {**REQUEST, "phase": "prefill"}, "no latency_ms", "latency_ms=ttft_ms"),
    ("no request time", {"phase": ["request"], "isl": [5]}, "ttft_ms or tpot_ms", "--map ttft_ms="),
    ("no sums", {**PREFILL, "phase": "mixed"}, "no sum_query_len", "--map sum_query_len="),
    ("text in isl", {**PREFILL, "isl": ["512", "long"]}, "'long' in row 1", "correct it"),
    ("separators", {**PREFILL, "latency_ms": ["20", "1,024.5"]}, "1,024.5", "write 1024.5"),
    ("bool", {**PREFILL, "isl": [True, False]}, "'True' in row 0", "correct it"),
    ("list", {**PREFILL, "isl": [[1, 2], 3]}, "[1, 2]", "correct it"),
    ("negative isl", {**PREFILL, "isl": [512, -3]}, "isl=-3 in row 1", "correct or drop"),
    ("zero isl", {**PREFILL, "isl": [0, 512]}, "isl=0 in row 0", "correct or drop"),
    ("fraction", {**PREFILL, "isl": [12.5, 512]}, "isl=12.5 in row 0", "round it"),
    ("empty isl", {**PREFILL, "isl": [512, None]}, "isl=nan in row 1", "drop the row"),
    ("infinite isl", {**PREFILL, "isl": [512, float("inf")]}, "isl=inf", "empty"),
    ("infinite time", {**PREFILL, "latency_ms": [1, float("-inf")]}, "=-inf in row 1", "empty"),
    ("huge isl", {**PREFILL, "isl": [512, 2e9]}, "isl=2e+09", "unit"),
    ("huge time", {**PREFILL, "latency_ms": [20, 4e10]}, "latency_ms=4e+10", "nanoseconds"),
    ("all cached", {**PREFILL, "cached_tokens": [0, 1024]}, "cached_tokens=1024", "included"),
    ("negative cache", {**PREFILL, "cached_tokens": [0, -1]}, "cached_tokens=-1", "correct"),
    ("query over context", {**DECODE, "query_len": [1, 2048]}, "query_len=2048", "included"),
    ("query over isl", {**PREFILL, "query_len": [512, 2048]}, "query_len=2048", "included"),
    ("zero osl", {**REQUEST, "osl": [1, 0]}, "osl=0 in row 1", "correct or drop"),
    ("zero batch", {**PREFILL, "batch_size": [0, 1]}, "batch_size=0", "use 1"),
    ("half batch", {**PREFILL, "batch_size": [1, 1.5]}, "batch_size=1.5", "round"),
    ("zero tp", {**PREFILL, "tp": [1, 0]}, "tp=0 in row 1", "use 1"),
    ("negative pp", {**PREFILL, "pp": [-2, 1]}, "pp=-2 in row 0", "use 1"),
    ("zero rate", {**REQUEST, "request_rate": [1.0, 0.0]}, "request_rate=0", "empty"),
    ("odd warmup", {**PREFILL, "warmup": ["yes", "perhaps"]}, "'perhaps' in row 1", "false"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "value", "remedy"), [c[1:] for c in BAD_ROWS], ids=[c[0] for c in BAD_ROWS]
)
def test_bad_rows(rows: dict[str, Any], value: str, remedy: str) -> None:
    with pytest.raises(ColumnError) as caught:
        prepare(pd.DataFrame(rows))
    check(caught.value, value, remedy)


def test_bad_rows_are_refused_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("phase,isl,latency_ms\nprefill,512,20\nprefill,12.5,20\n")
    with pytest.raises(ColumnError, match=r"isl=12\.5 in line 3"):
        load(path)


LOOKALIKES: list[tuple[dict[str, Any], str, str, str]] = [
    (PREFILL, "latency_ms", "latency_s", "--map latency_ms=latency_s*1000"),
    (PREFILL, "latency_ms", "latency_us", "--map latency_ms=latency_us/1000"),
    (PREFILL, "latency_ms", "latency", "latency*1000 if in seconds"),
    (PREFILL, "latency_ms", "Latency (s)", '--map "latency_ms=`Latency (s)`*1000"'),
    (PREFILL, "isl", "prompt_tokens", "--map isl=prompt_tokens"),
    (PREFILL, "isl", "input_length", "--map isl=input_length"),
    (PREFILL, "isl", "ISL", "--map isl=ISL"),
    (DECODE, "context_len", "kv_len", "--map context_len=kv_len"),
    (REQUEST, "ttft_ms", "ttft", "ttft*1000 if in seconds"),
    (REQUEST, "ttft_ms", "ttft_us", "--map ttft_ms=ttft_us/1000"),
    (REQUEST, "ttft_ms", "e2e_s", "--map e2e_ms=e2e_s*1000"),
    ({**REQUEST, "osl": 5}, "osl", "output_tokens", "--map osl=output_tokens"),
    ({**PREFILL, "batch_size": 4}, "batch_size", "batch", "--map batch_size=batch"),
    ({**PREFILL, "cached_tokens": 4}, "cached_tokens", "prefix_len", "cached_tokens=prefix_len"),
]


@pytest.mark.parametrize(
    ("rows", "target", "name", "remedy"), LOOKALIKES, ids=[case[2] for case in LOOKALIKES]
)
def test_lookalike_is_answered_with_its_mapping(
    rows: dict[str, Any], target: str, name: str, remedy: str
) -> None:
    foreign = pd.DataFrame(rows).rename(columns={target: name})
    with pytest.raises(ColumnError) as caught:
        prepare(foreign)
    check(caught.value, name, remedy)


@pytest.mark.parametrize(
    ("make", "kind", "value"),
    [
        (lambda: pd.DataFrame(PREFILL).iloc[:0], NothingUsableError, "0 rows"),
        (lambda: pd.DataFrame(PREFILL).rename(columns={"isl": 3}), ColumnError, "3"),
        (lambda: pd.DataFrame([["prefill", 1, 2]], columns=["phase", "isl", "isl"]), ColumnError,
         "'isl' twice"),
        (lambda: [1, 2], InputError, "list"),
    ],
)  # fmt: skip
def test_bad_frames(make: Callable[[], Any], kind: type[LengthwiseError], value: str) -> None:
    with pytest.raises(kind, match=value):
        load(make())


FOREIGN = pd.DataFrame(
    {"prompt_len": [512, 1024], "seconds": [0.02, 0.04], "kind": ["a", "b"], "zero": [1, 0],
     "Step Time": [1.0, 2.0]}
)  # fmt: skip

BAD_MAPPINGS: list[tuple[str, type[LengthwiseError], str, str]] = [
    ("isl", InputError, "'isl'", "latency_ms=step_seconds*1000"),
    ("=prompt_len", InputError, "=prompt_len", "for example"),
    ("isl=", InputError, "isl=", "for example"),
    ("isl=prompt_lenn", ColumnError, "'prompt_lenn'", "did you mean prompt_len"),
    ("isl=PROMPT_LEN", ColumnError, "'PROMPT_LEN'", "did you mean prompt_len"),
    ("model=llama", ColumnError, "'llama'", "='llama'"),
    ("latncy_ms=seconds", InputError, "'latncy_ms'", "did you mean latency_ms"),
    ("latency_ms=seconds**2", InputError, "seconds**2", "+ - * /"),
    ("latency_ms=__import__('os').getcwd()", InputError, "__import__", "+ - * /"),
    ("latency_ms=seconds.values", InputError, "seconds.values", "+ - * /"),
    ("latency_ms=seconds[0]", InputError, "seconds[0]", "+ - * /"),
    ("latency_ms=[s for s in seconds]", InputError, "[s for", "+ - * /"),
    ("latency_ms=seconds*'x'", InputError, "seconds*'x'", "+ - * /"),
    ("latency_ms=seconds if 1 else 2", InputError, "seconds if", "+ - * /"),
    ("latency_ms=Step Time*1000", InputError, "Step Time", "backticks"),
    ("latency_ms=(seconds*1000", InputError, "(seconds", "+ - * /"),
    ("latency_ms=kind*1000", ColumnError, "'a' in row 0", "map the column as it is"),
    ("latency_ms=seconds/zero", ColumnError, "row 1", "drop"),
    ("latency_ms=1/0", ColumnError, "1/0", "drop"),
    ("latency_ms=" + "1+" * 400 + "1", InputError, "812", "before importing"),
]


@pytest.mark.parametrize(
    ("expression", "kind", "value", "remedy"), BAD_MAPPINGS, ids=[c[0][:40] for c in BAD_MAPPINGS]
)
def test_bad_mapping(expression: str, kind: type[LengthwiseError], value: str, remedy: str) -> None:
    with pytest.raises(kind) as caught:
        apply_mapping(FOREIGN, [expression])
    check(caught.value, value, remedy)


def test_a_column_is_mapped_once() -> None:
    with pytest.raises(InputError, match="isl twice"):
        apply_mapping(FOREIGN, ["isl=1", "isl=prompt_len"])
