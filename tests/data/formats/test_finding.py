"""Formats are found by content; what is broken or unknown is answered with a remedy."""

import gzip
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from exports import GIVEN, MEANS, PER_REQUEST, as_aiperf, as_vllm, run

from lengthwise.data.formats import registry
from lengthwise.data.formats.base import Document
from lengthwise.data.importing import import_files, import_table
from lengthwise.errors import InputError, LengthwiseError, NothingUsableError
from lengthwise.interfaces.cli import importing as command
from lengthwise.interfaces.cli import main as cli

REQUESTS = run()

ODD: list[Any] = [
    {}, [], [[]], [[1, 2]], [1, 2], {"a": 1}, [{"a": 1}], "text", 5, None, True, [None], [{}],
    {"benchmarks": []}, {"benchmarks": [1]}, {"metadata": [], "metrics": 3}, {"metrics": []},
    {"requests": {}, "case": 1, "median_us": None}, [[[[[]]]]], {"prefill": [], "decode": 3},
    {"run": 1, "version": 0.2, "results": []}, [{"info": 3}], {"traceEvents": 1},
    {"resourceSpans": 1}, {"config": [], "report": {}}, {"input_config": {}, "request_latency": 1},
    {"aiperf_version": 1, "input_config": None}, {"scheduled_requests": [], "wall_time": None},
]  # fmt: skip


def run_cli(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        cli.run([str(word) for word in words])
    streams = capsys.readouterr()
    return int(left.value.code or 0), streams.out, streams.err


@pytest.mark.parametrize("name", registry.NAMES)
def test_a_format_is_what_its_name_says(name: str) -> None:
    module = registry.get(name)
    assert name == module.NAME
    assert module.TITLE
    assert registry.get(name.replace("-", "_").upper()) is module


@pytest.mark.parametrize("name", registry.NAMES)
def test_a_format_is_documented_and_in_the_help(name: str) -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "formats.md"
    assert f"| `{name}` |" in page.read_text()
    assert f"\n      {name} " in str(command.command.__doc__)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", [*PER_REQUEST, *MEANS])
def test_content_tells_the_format_and_the_name_of_the_file_does_not(
    name: str, packed: bool, tmp_path: Path
) -> None:
    text = {**MEANS, **PER_REQUEST}[name](REQUESTS)
    path = tmp_path / "prometheus_llama_bench.txt"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert registry.sniff(path) == name.removesuffix("-csv")
    table, report = import_table(path, constants=GIVEN.get(name))
    assert report.format == name.removesuffix("-csv")
    assert len(table)


@pytest.mark.parametrize("content", ODD, ids=repr)
def test_odd_json_is_refused_and_never_breaks_a_format(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content, indent=1))
    for name in registry.NAMES:
        assert registry.get(name).matches(Document(path)) in (True, False)
    with pytest.raises((InputError, NothingUsableError)):
        import_table(path)


@pytest.mark.parametrize("name", PER_REQUEST)
@pytest.mark.parametrize("damage", ["null", "text", "list"])
def test_a_damaged_value_is_an_error_for_people(name: str, damage: str, tmp_path: Path) -> None:
    """Replace every value of one kind; whatever comes of it must not be a traceback."""
    bad = {"null": None, "text": "what", "list": [1, [2]]}[damage]

    def spoiled(value: Any, depth: int = 0) -> Any:
        if isinstance(value, dict):
            return {k: spoiled(v, depth + 1) for k, v in value.items()}
        if isinstance(value, list):
            return [spoiled(v, depth + 1) for v in value]
        return bad if isinstance(value, float) and depth > 1 else value

    text = PER_REQUEST[name](REQUESTS)
    rows = Document(_written(tmp_path, text)).rows
    path = _written(tmp_path, "\n".join(json.dumps(spoiled(row)) for row in rows))
    with suppress(LengthwiseError):  # any other exception fails the test
        import_table(path)


def _written(folder: Path, text: str) -> Path:
    path = folder / "x.json"
    path.write_text(text)
    return path


def test_json_cut_off_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _written(tmp_path, json.dumps(json.loads(as_vllm(REQUESTS)), indent=1)[:-500])
    code, out, err = run_cli(capsys, "import", path)
    assert (code, out) == (2, "")
    assert "must be complete JSON" in err
    assert "line" in err
    assert "cut off" in err


def test_lines_cut_off_say_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _written(tmp_path, as_aiperf(REQUESTS)[:-200])
    code, _, err = run_cli(capsys, "import", path)
    assert code == 2
    assert "cut off" in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must not be empty"),
        (b"  \n ", "must not be blank"),
        (b"\x7fELF\x02\x01\x01\x00\x00\x00", "looks like a program"),
        (bytes(range(128, 256)), "UTF-8"),
        (b"\x1f\x8b\x08\x00broken", "readable to its end"),
        (b'{"a": {"b": [1]}}', "1 JSON object with the keys a"),
        (b"[1, 2, 3]", "shape of a known format"),
        (b"{", "complete JSON"),
        (b"[" * 100_000, "nesting must be at most 64"),
        (b'{"a": NaN, "b": {}}', "of which b holds more JSON"),
    ],
)
def test_what_cannot_be_read_is_exit_code_2_and_no_traceback(
    content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    code, out, err = run_cli(capsys, "import", path)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert "unexpected" not in err


def test_a_wrong_format_name_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, err = run_cli(capsys, "import", "x.json", "--format", "guidelm")
    assert code == 2
    assert "did you mean guidellm" in err


def test_a_format_the_content_does_not_have_names_the_one_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _written(tmp_path, as_vllm(REQUESTS))
    code, _, err = run_cli(capsys, "import", path, "--format", "guidellm")
    assert code == 2
    assert "which looks like vllm-serve" in err


def test_content_of_two_formats_asks_which(tmp_path: Path) -> None:
    both = json.loads(as_vllm(REQUESTS)) | {"avg_latency": 1, "percentiles": {}}
    path = _written(tmp_path, json.dumps(both))
    with pytest.raises(InputError, match=r"vllm-serve or vllm-latency.*--format vllm-serve"):
        import_table(path)
    assert import_table(path, file_format="vllm-serve")[1].format == "vllm-serve"


def test_plain_tables_stay_plain(tmp_path: Path) -> None:
    lines = tmp_path / "t.jsonl"
    lines.write_text('{"phase": "prefill", "isl": 8, "latency_ms": 1.5}\n' * 2)
    table = tmp_path / "t.csv"
    table.write_text("phase,isl,latency_ms\nprefill,8,1.5\n")
    assert [import_table(path)[1].format for path in (lines, table)] == ["jsonl", "csv"]
    foreign = tmp_path / "f.jsonl"
    foreign.write_text('{"n": 8, "t": 1.5}\n{"n": 9, "t": 1.6}\n')
    maps = ["isl=n", "latency_ms=t", "phase='prefill'"]
    assert import_table(foreign, maps=maps)[1].rows_kept == 2
    assert import_table(foreign, maps=maps, file_format="table")[1].rows_kept == 2


def test_parquet_with_words_of_a_tool_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"phase": ["prefill"], "isl": [8], "latency_ms": [1.0]}).to_parquet(path)
    assert import_table(path)[1].format == "parquet"


def test_a_file_named_twice_is_flagged(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(as_vllm(REQUESTS))
    (tmp_path / "b.json").write_text(as_vllm(REQUESTS))
    table, reports = import_files([tmp_path / "a.json", tmp_path / "b.json"])
    assert table["source"].value_counts().to_dict() == {"a.json": 22, "b.json": 22}
    assert [[f.rule for f in report.flags][:1] for report in reports][1] == ["file twice"]
    assert "file twice" not in [flag.rule for flag in reports[0].flags]


@pytest.mark.parametrize("inside", [{}, {"notes.txt": "hello", "table.csv": "a,b\n1,2\n"}])
def test_a_folder_without_results_is_refused(inside: dict[str, str], tmp_path: Path) -> None:
    for name, text in inside.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="none of a known format"):
        import_table(tmp_path)


def test_a_folder_of_several_tools_becomes_one_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, save in PER_REQUEST.items():
        (tmp_path / f"{name}.json").write_text(save(run(seed=len(name))))
    code, out, err = run_cli(
        capsys, "import", tmp_path, "--set", "hardware=h100", "--set", "concurrency=4",
        "-o", tmp_path / "t.parquet",
    )  # fmt: skip
    assert code == 0, err
    for name in PER_REQUEST:
        assert f"({name})" in out
    assert pd.read_parquet(tmp_path / "t.parquet")["hardware"].unique().tolist() == ["h100"]


def test_the_command_says_what_was_left_out_and_assumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _written(tmp_path, as_vllm(REQUESTS))
    code, out, err = run_cli(capsys, "import", path, "-o", tmp_path / "t.parquet")
    assert code == 0
    assert "(vllm-serve)" in out
    assert "24 rows read, 22 usable" in out
    assert "2 rows not usable: failed request: Bad Gateway (left out)" in out
    assert "--set hardware=NAME" in out
    assert "wrote 22 rows, 22 usable" in err


def test_the_command_gives_the_same_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _written(tmp_path, as_vllm(REQUESTS))
    _, out, _ = run_cli(capsys, "import", path, "--json")
    (said,) = json.loads(out)["files"]
    assert (said["format"], said["rows_read"], said["rows_kept"]) == ("vllm-serve", 24, 22)


def test_means_alone_are_exit_code_1_with_a_way_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _written(tmp_path, as_vllm(REQUESTS, detailed=False))
    code, out, _ = run_cli(capsys, "import", path, "-o", tmp_path / "t.csv")
    assert code == 1
    assert "--map isl=isl_mean" in out
    assert len(pd.read_csv(tmp_path / "t.csv")) == 1
