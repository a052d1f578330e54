"""Golden cells of the readers of requests; the expected values are read from the files anew."""

import csv
import re
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lengthwise.data.datasets import fetch, table
from lengthwise.data.readers import ibm_llm_pilot
from lengthwise.data.schema import COLUMNS

pytestmark = pytest.mark.data


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(line for line in stream if line.strip()))


def test_llm_pilot_keeps_every_request(needs_data: Path) -> None:
    start = time.process_time()
    got = ibm_llm_pilot.read(fetch("ibm_llm_pilot"), failed=True)
    assert time.process_time() - start < 10
    assert got.memory_usage(deep=True).sum() < 500e6
    raw = pq.read_table(needs_data / "ibm_llm_pilot/requests_agg.parquet")
    for i in (0, 400_000, 829_494):
        row = {name: raw[name][i].as_py() for name in raw.column_names}
        assert got["ttft_ms"][i] == row["ttft_ms"]
        assert got["tpot_ms"][i] == row["itl_mean_ms"]
        assert got["isl"][i] == row["n_input_tokens"]
        assert got["concurrency"][i] == row["n_users"]
    assert (~got["ok"]).sum() == 34357
    assert got.loc[~got["ok"], "e2e_ms"].isna().all()
    assert got["model"].nunique() == 10


def test_llm_pilot_table_holds_the_answered_requests(needs_data: Path) -> None:
    got = table("ibm_llm_pilot")
    assert got["ok"].all()
    assert got[["isl", "osl", "e2e_ms"]].notna().all(axis=None)


def test_argonne_batches(needs_data: Path) -> None:
    raw, got = rows_of(needs_data / "argonne/All_results.csv"), table("argonne")
    whole = got[got["source"] == "argonne/All_results.csv"].reset_index(drop=True)
    for i in (0, 2500, 4771):
        assert whole["e2e_ms"][i] == pytest.approx(1e3 * float(raw[i]["Latency"]))
        assert whole["isl"][i] == whole["osl"][i] == int(raw[i]["Input Output Length"])
        assert whole["batch_size"][i] == int(raw[i]["Batch Size"])


def test_argonne_first_tokens_and_the_time_of_the_long_run(needs_data: Path) -> None:
    got = table("argonne")
    both = got[got["source"] == "argonne/all_results_TTFT_ITL.csv"]
    timed = both[both["e2e_ms"].notna()]
    assert (len(both), len(timed)) == (30, 27)
    assert set(timed["osl"]) == {1024}
    assert set(both.loc[both["e2e_ms"].isna(), "osl"]) == {1}
    row = timed.iloc[0]
    assert row["tpot_ms"] == pytest.approx((14616.763864 - 2275.825647) / 1023)
    # The same run is in the table of 1,024-token batches, which shows that osl is 1,024.
    whole = got.query(
        "source == 'argonne/All_results.csv' and hardware == 'Nvidia A100 GPU' and tp == 1 and "
        "engine == 'vLLM' and model == 'meta-llama/Llama-2-7b-hf' and isl == 1024 "
        "and batch_size == 16"
    )
    same = timed.query(
        "hardware == 'Nvidia A100 GPU' and engine == 'vLLM' and model == 'meta-llama/Llama-2-7b-hf'"
    )
    assert same["e2e_ms"].item() == pytest.approx(whole["e2e_ms"].item(), rel=1e-9)


def test_argonne_power_is_in_watts(needs_data: Path) -> None:
    power = table("argonne").query("source == 'argonne/power/power_results.csv'")
    assert len(power) == 48
    assert power["power_w"].between(200, 700).all()


def test_mlenergy(needs_data: Path) -> None:
    raw, got = rows_of(needs_data / "mlenergy/configs_all.csv"), table("mlenergy")
    for i in (0, 300, 564):
        assert got["tpot_ms"][i] == float(raw[i]["median_itl_ms"])
        assert got["power_w"][i] == float(raw[i]["avg_power_watts"])
        assert got["osl"][i] == round(float(raw[i]["avg_output_len"]))
        assert got["tp"][i] == int(raw[i]["par_tensor_parallel"])
    assert got["isl"].isna().all()
    assert "energy_per_token_joules" in got


def test_aiconfigurator(needs_data: Path) -> None:
    raw, got = rows_of(needs_data / "aiconfigurator/silicon_sample.csv"), table("aiconfigurator")
    for i in (0, 2000, 3999):
        stated = re.search(r"silicon_concurrency=(\d+)", raw[i]["silicon_data_source"])
        assert got["ttft_ms"][i] == float(raw[i]["silicon_ttft_ms"])
        assert got["tpot_ms"][i] == float(raw[i]["silicon_tpot_ms"])
        assert got["concurrency"][i] == int(stated.group(1))
        assert got["hardware"][i] == raw[i]["system"]
        assert got["id"][i] == raw[i]["id"]
    assert got["concurrency"].isna().sum() == 7
    agg = got[got["mode"] == "agg"]
    assert set(got["mode"]) == {"agg", "disagg"}
    named = agg["id"].str.extract(r"_tp(\d+)(?:_0)?_ep(?:\d+|none)")[0].astype(float)
    gpus = (agg["tp"] * agg["dp"]).astype(float)
    assert (gpus == named)[named.notna()].mean() == 1.0, "the id names the GPUs of a replica"


def test_hat(needs_data: Path) -> None:
    got = table("hat")
    for task, device, length in (("iwslt14deen", "gpu_titanxp", 23), ("wmt14ende", "cpu_xeon", 30)):
        raw = rows_of(needs_data / f"hat/hat_{task}_{device}.csv")
        mine = got[got["source"] == f"hat/hat_{task}_{device}.csv"].reset_index(drop=True)
        assert len(mine) == 2000
        encoder = float(raw[7]["latency_mean_encoder"])
        assert mine["ttft_ms"][7] == encoder
        assert mine["e2e_ms"][7] == encoder + float(raw[7]["latency_mean_decoder"])
        assert mine["decoder_layer_num"][7] == int(raw[7]["decoder_layer_num"])
        assert set(mine["isl"]) == set(mine["osl"]) == {length}


@pytest.mark.parametrize("name", ["argonne", "mlenergy", "aiconfigurator", "hat"])
def test_known_columns_come_first(needs_data: Path, name: str) -> None:
    known = [column in COLUMNS for column in table(name)]
    assert known == sorted(known, reverse=True)
