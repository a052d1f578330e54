"""What is no regular file, unpacks to too much, nests too deeply or is damaged is a message."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lengthwise.data import limits
from lengthwise.data.files import read_table, write_table
from lengthwise.data.hardware_file import read_hardware
from lengthwise.data.importing import import_table
from lengthwise.data.model_files import read_config
from lengthwise.data.opening import open_file, read_bytes
from lengthwise.data.parsing import parse_json, parse_toml
from lengthwise.data.parsing_yaml import parse_yaml
from lengthwise.errors import FileFormatError, InputError, LengthwiseError
from lengthwise.prediction.law_json import parse

MB = 1 << 20
READERS = (read_table, import_table, read_hardware, read_config, parse)


def packed(path: Path, head: bytes, block: bytes, times: int) -> Path:
    with gzip.open(path, "wb") as file:
        file.write(head)
        for _ in range(times):
            file.write(block)
    return path


@pytest.mark.parametrize("read", READERS)
def test_a_pipe_is_named_at_once(read: object, tmp_path: Path) -> None:
    path = tmp_path / "pipe.json"
    os.mkfifo(path)
    with pytest.raises(InputError, match=r"regular file.*a pipe.*to a file first"):
        read(path)  # type: ignore[operator]


def test_a_device_and_a_folder_are_no_files(tmp_path: Path) -> None:
    for path, what in ((Path("/dev/zero"), "a device"), (tmp_path, "a folder")):
        with pytest.raises(FileFormatError, match=what):
            open_file(path)


def test_a_link_to_a_file_is_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").symlink_to("a")
    assert read_bytes(tmp_path / "b") == b"x"


@pytest.mark.parametrize("name", ["t.csv.gz", "t.json.gz", "t.jsonl.gz"])
def test_what_unpacks_to_far_more_than_its_size_is_refused(name: str, tmp_path: Path) -> None:
    head, block = {
        "t.csv.gz": (b"phase,isl,latency_ms\n", b"prefill,5,7\n" * 90_000),
        "t.json.gz": (b'{"a":"', b"x" * MB),
        "t.jsonl.gz": (b"", b'{"phase":"prefill","x":"' + b"x" * MB + b'"}\n'),
    }[name]
    path = packed(tmp_path / name, head, block, 24)
    with pytest.raises(FileFormatError, match="LENGTHWISE_MAX_UNPACKED_RATIO"):
        import_table(path)


def test_a_setting_lets_more_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "t", b"", b"x" * MB, 20)
    with pytest.raises(FileFormatError):
        read_bytes(path)
    monkeypatch.setenv(limits.UNPACKED.setting, "2000")
    assert len(read_bytes(path)) == 20 * MB
    monkeypatch.setenv(limits.DOCUMENT.setting, "1")
    with pytest.raises(FileFormatError, match="at most 1 MB"):
        read_bytes(path)
    monkeypatch.setenv(limits.DOCUMENT.setting, "-1")
    with pytest.raises(InputError, match="whole number, 1 or more"):
        read_bytes(path)


def test_damage_in_the_middle_of_gzip_is_a_message(tmp_path: Path) -> None:
    rows = "".join(f"prefill,{i},{i * 7919 % 1000}\n" for i in range(1, 20_000))
    data = bytearray(gzip.compress(f"phase,isl,latency_ms\n{rows}".encode()))
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "t.csv.gz"
    path.write_bytes(data)
    for read in (read_table, import_table):
        with pytest.raises(FileFormatError):
            read(path)


def written(path: Path, columns: dict[str, object], **options: object) -> Path:
    pq.write_table(pa.table(columns), path, compression="zstd", **options)
    return path


def test_parquet_that_repeats_itself_without_end_is_refused(tmp_path: Path) -> None:
    n = 2_000_000
    path = written(tmp_path / "t.parquet", {"isl": np.full(n, 1), "latency_ms": np.full(n, 2.0)})
    with pytest.raises(FileFormatError, match="LENGTHWISE_MAX_CELLS_PER_BYTE"):
        read_table(path)


def test_a_text_stored_once_and_meant_often_is_refused(tmp_path: Path) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, "int32")), ["x" * 500_000])
    path = written(tmp_path / "t.parquet", {"model": text}, store_schema=False)
    with pytest.raises(FileFormatError, match="MB of text in column 'model'"):
        read_table(path)


def test_texts_of_parquet_come_back_as_they_were(tmp_path: Path) -> None:
    path = written(tmp_path / "t.parquet", {"model": ["a", None, "b"], "isl": [1, 2, 3]})
    table = read_table(path)
    assert table["model"].isna().tolist() == [False, True, False]
    assert table["model"].dtype == "str"
    nested = written(tmp_path / "n.parquet", {"isl": [1], "log": [["a"]], "itl": [[1.0]]})
    assert list(read_table(nested)) == ["isl", "itl"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", ",".join(f"c{i}" for i in range(1001)) + "\n"),
        ("t.jsonl", "".join(f'{{"k{i}": 1}}\n' for i in range(1001))),
    ],
)
def test_columns_and_keys_are_counted(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(FileFormatError, match="LENGTHWISE_MAX_COLUMNS"):
        read_table(path)


def test_lines_that_would_leave_nearly_all_cells_empty_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f'{{"k{i % 900}": 1}}\n' for i in range(4000)))
    with pytest.raises(FileFormatError, match="nearly all empty"):
        read_table(path)


def test_nesting_and_digits_of_json_have_limits() -> None:
    assert parse_json("[" * 60 + "]" * 60, "x") is not None
    assert parse_json('["[[[[", {"a": "' + "[" * 200 + '"}]', "x")[0] == "[[[["
    for text, what in (
        ("[" * 65 + "]" * 65, "NESTING"), ("[" * 9999 + "]" * 9999, "NESTING"),
        ("1" * 401, "DIGITS"),
    ):  # fmt: skip
        with pytest.raises(FileFormatError, match=what):
            parse_json(text, "x")
    assert parse_json("[12345678901234567890, 9223372036854775807]", "x") == [
        12345678901234567890.0, 2**63 - 1,
    ]  # fmt: skip


def test_halves_of_characters_are_replaced() -> None:
    assert parse_json(r'{"\ud800": ["\udc00", "\ud83d\ude00"]}', "x") == {
        "\ufffd": ["\ufffd", "😀"]
    }


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 900 + "]" * 900, ".".join("a" * 99) + " = 1", "a = " + "9" * 5000]
)
def test_toml_has_limits(text: str, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError):
        parse_toml(text, "x")
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(LengthwiseError):
        read_hardware(path)


def test_aliases_of_yaml_are_counted() -> None:
    pytest.importorskip("yaml")
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 8)]
    with pytest.raises(FileFormatError, match="aliases"):
        parse_yaml("\n".join(lines), "x")
    with pytest.raises(FileFormatError, match="NESTING"):
        parse_yaml("a: &a [*a]", "x")
    assert parse_yaml("a: &a [1]\nb: *a", "x") == [{"a": [1], "b": [1]}]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz"])
def test_formulas_are_quoted_in_csv_and_come_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = ["=1+1", "-5", "''-q", "@a", "'tis", "+1.5e3", "--flag", "plain"]
    frame = read_table(_csv(tmp_path / "in.jsonl", cells))
    path = tmp_path / name
    write_table(frame, path)
    text = read_bytes(path).decode()
    assert "'=1+1" in text
    assert "'--flag" in text
    assert "\n-5" in text
    back = read_table(path)
    assert list(back) == ["=name"]
    assert back["=name"].tolist() == cells
    monkeypatch.setenv("LENGTHWISE_CSV_ESCAPE", "off")
    write_table(frame, path)
    assert read_bytes(path).decode().startswith("=name\n=1+1\n")


def _csv(path: Path, cells: list[str]) -> Path:
    path.write_text("".join(json.dumps({"=name": cell}) + "\n" for cell in cells))
    return path


def test_control_characters_reach_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    model = "\x1b]0;owned\x07\x1b[31mred\u202e" + "x" * 5000
    path.write_text(f"phase,{model},isl,latency_ms,model\nprefill,1,64,5,{model}\n")
    command = [sys.executable, "-m", "lengthwise", "import", str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    said = done.stdout + done.stderr
    assert b"owned" in said
    assert b"\x1b" not in said
    assert b"\x07" not in said
    assert len(said) < 5000
