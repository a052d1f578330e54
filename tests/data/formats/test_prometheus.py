"""Prometheus text of vLLM and SGLang."""

from pathlib import Path

import pytest

from lengthwise.data.formats import prometheus
from lengthwise.data.formats.base import Document, Parsed
from lengthwise.data.table import prepare
from lengthwise.errors import InputError, NothingUsableError


def histogram(
    name: str, total: float, count: int, buckets: dict[str, int], model: str = "Qwen/Qwen3-8B"
) -> str:
    labels = f'engine="0",model_name="{model}"'
    lines = [f"# HELP {name} Histogram.", f"# TYPE {name} histogram"]
    lines += [f'{name}_bucket{{{labels},le="{le}"}} {n}.0' for le, n in buckets.items()]
    lines += [f"{name}_sum{{{labels}}} {total}", f"{name}_count{{{labels}}} {count}.0"]
    return "\n".join(lines) + "\n"


def vllm(model: str = "Qwen/Qwen3-8B", count: int = 100) -> str:
    def one(name: str, mean: float, buckets: dict[str, int]) -> str:
        return histogram(f"vllm:{name}", mean * count, count, buckets, model)

    return (
        one("time_to_first_token_seconds", 0.0444,
            {"0.04": 40, "0.06": 98, "0.08": 99, "+Inf": 100})
        + one("request_time_per_output_token_seconds", 0.004, {"0.01": 100, "+Inf": 100})
        + one("inter_token_latency_seconds", 0.0041, {"0.01": 100, "+Inf": 100})
        + one("e2e_request_latency_seconds", 0.44, {"0.3": 0, "0.5": 90, "+Inf": 100})
        + one("request_queue_time_seconds", 0.001, {"0.3": 100, "+Inf": 100})
        + one("request_prompt_tokens", 512.4, {"500": 50, "1000": 100, "+Inf": 100})
        + one("request_generation_tokens", 99.8, {"100": 100, "+Inf": 100})
        + "# TYPE vllm:num_requests_running gauge\n"
        + f'vllm:num_requests_running{{engine="0",model_name="{model}"}} 4.0\n'
    )  # fmt: skip


def parse(tmp_path: Path, text: str) -> Parsed:
    path = tmp_path / "metrics.txt"
    path.write_text(text)
    assert prometheus.matches(Document(path))
    return prometheus.read(Document(path))


def test_means_are_exact(tmp_path: Path) -> None:
    parsed = parse(tmp_path, "# TYPE python_info gauge\npython_info 1.0\n" + vllm())
    row = prepare(parsed.frame).iloc[0]
    assert row["ttft_ms"] == pytest.approx(44.4)
    assert row["tpot_ms"] == pytest.approx(4.0)
    assert row["e2e_ms"] == pytest.approx(440)
    assert row["queue_mean_ms"] == pytest.approx(1.0)
    assert (row["isl"], row["osl"]) == (512, 100)
    assert row["isl_mean"] == pytest.approx(512.4)
    assert (row["statistic"], row["n_requests"]) == ("mean", 100)
    assert (row["engine"], row["model"], row["clock"]) == ("vllm", "Qwen/Qwen3-8B", "server")
    assert any("means of 100 requests" in text for text in parsed.assumptions)


def test_buckets_only_bound(tmp_path: Path) -> None:
    row = parse(tmp_path, vllm()).frame.iloc[0]
    assert row[["ttft_p50_lo_ms", "ttft_p50_hi_ms"]].tolist() == pytest.approx([40, 60])
    assert row[["tpot_p50_lo_ms", "tpot_p50_hi_ms"]].tolist() == pytest.approx([0, 10])
    assert row["e2e_p99_lo_ms"] == 500
    assert "e2e_p99_hi_ms" not in row
    assert "ttft_p50_ms" not in row


def test_one_row_per_model(tmp_path: Path) -> None:
    frame = prepare(parse(tmp_path, vllm("a") + vllm("b", 50)).frame)
    assert frame["model"].tolist() == ["a", "b"]
    assert frame["n_requests"].tolist() == [100, 50]
    assert frame["ttft_ms"].tolist() == pytest.approx([44.4, 44.4])


def test_sglang(tmp_path: Path) -> None:
    text = (
        vllm()
        .replace("vllm:", "sglang:")
        .replace("request_prompt_tokens", "prompt_tokens_histogram")
    )
    text = text.replace("request_generation_tokens", "generation_tokens_histogram")
    text = text.replace("request_queue_time", "queue_time")
    text += 'sglang:cached_tokens_total{model_name="Qwen/Qwen3-8B"} 12800.0\n'
    row = prepare(parse(tmp_path, text).frame).iloc[0]
    assert (row["engine"], row["isl"], row["osl"]) == ("sglang", 512, 100)
    assert row["cached_tokens"] == 128
    assert row["queue_mean_ms"] == pytest.approx(1.0)


def test_old_names(tmp_path: Path) -> None:
    old = vllm().replace("request_time_per_output_token", "no_such").replace(
        "inter_token_latency", "time_per_output_token"
    )  # fmt: skip
    parsed = parse(tmp_path, old)
    assert parsed.frame["tpot_ms"].tolist() == pytest.approx([4.1])
    assert any("mean gap" in text for text in parsed.assumptions)


def test_without_any_per_token_histogram_it_follows_from_means(tmp_path: Path) -> None:
    text = vllm().replace("request_time_per_output_token", "x").replace("inter_token_latency", "y")
    row = parse(tmp_path, text).frame.iloc[0]
    assert row["tpot_ms"] == pytest.approx((440 - 44.4) / 98.8)


def test_aborted_requests_and_load_are_said(tmp_path: Path) -> None:
    text = vllm() + (
        'vllm:request_success_total{finished_reason="abort",model_name="Qwen/Qwen3-8B"} 3.0\n'
        'vllm:request_success_total{finished_reason="stop",model_name="Qwen/Qwen3-8B"} 97.0\n'
    )
    said = " ".join(parse(tmp_path, text).assumptions)
    assert "3 aborted" in said
    assert "--set concurrency=N" in said


def test_a_server_without_requests_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NothingUsableError, match="finished requests"):
        parse(tmp_path, vllm(count=0))


def test_damaged_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Remedy"):
        parse(tmp_path, vllm() + "<html>proxy error</html>\n")


@pytest.mark.parametrize("text", ["", "{}", "# TYPE go_info gauge\ngo_info 1\n", "a,b\n1,2\n"])
def test_other_files_do_not_match(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    assert not prometheus.matches(Document(path))


def test_a_page_of_llama_cpp_is_refused(tmp_path: Path) -> None:
    page = """# HELP llamacpp:tokens_predicted_total Number of generation tokens processed
# TYPE llamacpp:tokens_predicted_total counter
llamacpp:tokens_predicted_total 1894
# TYPE llamacpp:tokens_predicted_seconds_total counter
llamacpp:tokens_predicted_seconds_total 21.186
"""
    with pytest.raises(
        InputError, match=r"llama\.cpp, which has sums .* Remedy: measure the server"
    ):
        parse(tmp_path, page)
