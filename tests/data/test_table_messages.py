"""What is said about a table: all columns at once, lines of the file, rates, means."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lengthwise.data.importing import import_table
from lengthwise.data.table import load, prepare
from lengthwise.errors import ColumnError, FileFormatError


def written(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize(
    ("header", "named", "remedy"),
    [
        ("prompt_tokens,step", ["phase", "isl", "latency_ms"],
         "--set phase=prefill (prefill, decode, mixed or request) --map isl=prompt_tokens --map "
         "latency_ms=COLUMN"),
        ("prompt_len,output_len,ttft_s,e2e_s", ["phase", "isl", "osl", "ttft_ms", "e2e_ms"],
         "--set phase=request (prefill, decode, mixed or request) --map isl=prompt_len --map "
         "osl=output_len --map ttft_ms=ttft_s*1000 --map e2e_ms=e2e_s*1000"),
        ("kv_len,bs,step", ["phase", "context_len", "batch_size", "latency_ms"],
         "--set phase=decode (prefill, decode, mixed or request) --map context_len=kv_len --map "
         "batch_size=bs --map latency_ms=COLUMN"),
        ("step", ["phase", "latency_ms", "isl"],
         "add --set phase=prefill (prefill, decode, mixed or request) --map latency_ms=COLUMN "
         "--map isl=COLUMN"),
    ],
)  # fmt: skip
def test_all_missing_columns_are_named_at_once(
    header: str, named: list[str], remedy: str, tmp_path: Path
) -> None:
    path = written(tmp_path, f"{header}\n{','.join('1' for _ in header.split(','))}\n")
    with pytest.raises(ColumnError) as caught:
        import_table(path)
    assert all(name in str(caught.value) for name in named)
    assert caught.value.remedy == remedy


def test_what_the_remedy_says_works(tmp_path: Path) -> None:
    path = written(tmp_path, "prompt_len,output_len,ttft_s,bs\n512,64,0.1,1\n")
    maps = ["isl=prompt_len", "osl=output_len", "ttft_ms=ttft_s*1000", "batch_size=bs"]
    table, _ = import_table(path, maps=maps, constants={"phase": "request"})
    assert table[["isl", "osl", "ttft_ms", "batch_size"]].values.tolist() == [[512, 64, 100, 1]]


HEAD = "phase,isl,latency_ms,note\n"


@pytest.mark.parametrize(
    ("text", "name", "line"),
    [
        (HEAD + "prefill,512,20,\nprefill,12.5,20,\n", "t.csv", 3),
        ("\n" + HEAD + "\nprefill,512,20,\n\nprefill,12.5,20,\n", "t.csv", 6),
        (HEAD + 'prefill,512,20,"two\nlines"\nprefill,12.5,20,\n', "t.csv", 4),
        (HEAD.replace(",", "\t") + "prefill\t12.5\t20\t\n", "t.tsv", 2),
        (HEAD + "prefill,512,20,\nprefill,12.5,20,\n", "t.csv.gz", 3),
        ('{"phase": "prefill", "isl": 1, "latency_ms": 1}\n\n'
         '{"phase": "prefill", "isl": 12.5, "latency_ms": 1}\n', "t.jsonl", 3),
    ],
)  # fmt: skip
def test_an_error_names_the_line_of_the_file(
    text: str, name: str, line: int, tmp_path: Path
) -> None:
    path = written(tmp_path, text, name)
    for read in (load, import_table):
        with pytest.raises(ColumnError, match=rf"isl=12\.5 in line {line}\b"):
            read(path)


def test_text_in_numbers_phases_and_mappings_name_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "prefill,512,20,a\nprefill,x,20,b\n")
    with pytest.raises(ColumnError, match="'x' in line 3"):
        import_table(path)
    with pytest.raises(ColumnError, match=r"'a' in line 2"):
        import_table(path, maps=["isl=note*2"])
    path = written(tmp_path, HEAD + "prefill,512,20,\ntrain,1,20,\n")
    with pytest.raises(ColumnError, match="'train' in line 3"):
        import_table(path)


def test_a_line_with_too_few_cells_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + '\nprefill,512,20,"a\nb"\nprefill,512\n')
    with pytest.raises(FileFormatError, match=r"2 cells in line 5 .* and 4 names"):
        load(path)


def test_flags_name_lines_and_the_table_keeps_no_path(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "prefill,512,20,\n\nprefill,600,-1,\n")
    table, report = import_table(path)
    [flag] = report.flags
    assert (flag.rows, flag.lines) == ((1,), (4,))
    assert "[line 4]" in str(report)
    assert "by lines of the file" in str(report)
    assert table.attrs == {}
    assert load(path).attrs == {}


def test_rows_of_a_frame_count_from_0() -> None:
    rows = pd.DataFrame({"phase": "prefill", "isl": [1.0, 2.5], "latency_ms": 1.0})
    with pytest.raises(ColumnError, match=r"in row 1 \(counted from 0\)"):
        prepare(rows)


@pytest.mark.parametrize("text", ["inf", "Infinity", "INF"])
def test_a_rate_without_a_limit_is_no_rate(text: str, tmp_path: Path) -> None:
    path = written(
        tmp_path, "phase,isl,osl,max_concurrency,request_rate,ttft_ms\n"
        f"request,512,64,4,{text},80.1\nrequest,1024,64,4,2.5,120.3\n",
    )  # fmt: skip
    table, _ = import_table(path, maps=["concurrency=max_concurrency"])
    assert table["request_rate"].tolist()[1] == 2.5
    assert np.isnan(table["request_rate"].iloc[0])
    assert table["concurrency"].tolist() == [4, 4]


def test_without_a_limit_nothing_says_that_requests_came_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "phase,isl,osl,request_rate,ttft_ms\nrequest,512,64,inf,80\n")
    table, _ = import_table(path)
    assert not (table.get("batch_size", pd.Series([np.nan])) == 1).any()


def test_a_negative_rate_is_still_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "phase,isl,osl,request_rate,ttft_ms\nrequest,512,64,-inf,80\n")
    with pytest.raises(ColumnError, match="request_rate must be finite"):
        import_table(path)


MEANS = "isl,osl,concurrency,ttft_ms,tpot_ms\n511.6,63.2,4,80.1,11.2\n1023.1,64,4,120.3,11.4\n"


def test_a_table_of_means_is_declared(tmp_path: Path) -> None:
    table, report = import_table(written(tmp_path, MEANS), constants={"statistic": "mean"})
    assert table["isl_mean"].tolist() == [511.6, 1023.1]
    assert table["isl"].isna().all()
    assert set(table["phase"]) == {"request"}
    assert "means only" in [flag.rule for flag in report.flags]


def test_a_column_declares_means_row_by_row(tmp_path: Path) -> None:
    path = written(
        tmp_path, "phase,statistic,isl,ttft_ms\nrequest,mean,511.6,80\nrequest,,512,80\n"
    )
    table, _ = import_table(path)
    assert table["isl"].tolist()[1] == 512
    assert np.isnan(table["isl"].iloc[0])
    assert table["isl_mean"].tolist()[0] == 511.6


def test_an_undeclared_mean_is_told_how_to_declare_it(tmp_path: Path) -> None:
    with pytest.raises(ColumnError) as caught:
        import_table(written(tmp_path, MEANS), constants={"phase": "request"})
    assert "--set statistic=mean" in caught.value.remedy


def test_means_that_an_import_wrote_are_read_again_as_they_are(tmp_path: Path) -> None:
    table, _ = import_table(written(tmp_path, MEANS), constants={"statistic": "mean"})
    table.assign(isl=512.0).to_csv(tmp_path / "again.csv", index=False)
    again, _ = import_table(tmp_path / "again.csv")
    assert again["isl"].tolist() == [512, 512]
    assert again["isl_mean"].tolist() == [511.6, 1023.1]


def test_a_result_file_given_for_a_table_is_named(tmp_path: Path) -> None:
    table = "| model | test | t/s |\n| - | -: | -: |\n| llama 8B Q8_0 | pp512 | 5120.00 ± 9.00 |\n"
    run = (
        '{"mean_ttft_ms": 30.0, "completed": 4, "total_input_tokens": 40, "backend": "vllm", '
        '"model_id": "m", "duration": 2.0, "total_output_tokens": 80, "total_token_throughput": 9}'
    )
    for text, tool in ((table, "llama-bench"), (run, "vLLM bench serve")):
        with pytest.raises(FileFormatError) as caught:
            load(written(tmp_path, text, "out.txt"))
        assert f"a result file of {tool}" in caught.value.got
        assert "lengthwise import out.txt -o table.parquet" in caught.value.remedy
