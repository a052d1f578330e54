"""Models are found by file, folder, name; everything else is refused with a remedy."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lengthwise.data.model_files import load_model, read_config
from lengthwise.errors import InputError

SIZES = {
    "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 100, "num_attention_heads": 4,
    "intermediate_size": 128,
}  # fmt: skip


def write(path: Path, content: object = SIZES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("place", "name"),
    [("tiny.json", "tiny"), ("org--tiny.json", "tiny"), ("my-model/config.json", "my-model"),
     ("models--org--tiny/snapshots/0123/config.json", "tiny")],
)  # fmt: skip
def test_a_file_names_its_model(tmp_path: Path, place: str, name: str) -> None:
    path = write(tmp_path / place)
    assert load_model(path).name == load_model(str(path)).name == name


def test_a_folder_with_a_config(tmp_path: Path) -> None:
    write(tmp_path / "tiny" / "config.json")
    assert load_model(tmp_path / "tiny").parameters == 81920


def test_a_quantisation_section_in_a_file_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "config.json")
    assert read_config(path).weight_format == "bf16"
    write(tmp_path / "hf_quant_config.json",
          {"quantization": {"quant_algo": "NVFP4", "exclude_modules": ["lm_head"]}})  # fmt: skip
    assert read_config(path).weight_format == "nvfp4"


def test_a_path_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "llama3.1-8b" / "config.json")
    monkeypatch.chdir(tmp_path)
    assert load_model("llama3.1-8b").vocab == 100
    assert load_model("meta-llama/Llama-3.1-8B").vocab == 128256


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"hidden_size": 64,', "one JSON object"),
        ("", "one JSON object"),
        ("[1, 2]", "a list"),
        ("[" * 100_000, "nesting must be"),
        ('{"hidden_size": NaN}', "whole number"),
        ("{}", "hidden_size"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=f"{message}.*Remedy"):
        load_model(write(tmp_path / "config.json", content))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b"\xff\xfe\x00PAR1")
    with pytest.raises(InputError, match="one JSON object"):
        load_model(path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    with path.open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(InputError, match="at most 16 MB"):
        load_model(path)


@pytest.mark.parametrize("text", ["missing/config.json", "./nowhere", "x.json"])
def test_a_missing_path_is_no_name(text: str) -> None:
    with pytest.raises(InputError, match="must exist"):
        load_model(text)


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"readable.*config\.json"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("text", "near"), [("lama3.1-8b", "llama3.1-8b"), ("qwen3-9b", "qwen3-8b")]
)
def test_an_unknown_name_comes_with_the_nearest_ones(text: str, near: str) -> None:
    with pytest.raises(InputError, match=f"did you mean .*{near}"):
        load_model(text)


@pytest.mark.parametrize("text", ["", "  ", "a/b/c", "\N{SNOWMAN}"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="Remedy"):
        load_model(text)


def test_no_table_library_is_loaded() -> None:
    code = (
        "import sys; from lengthwise.data.model_files import load_model; load_model('qwen3-8b');"
        "print([name for name in ('pandas', 'numpy', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
