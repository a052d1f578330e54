import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lengthwise.data import datasets, registry
from lengthwise.data.table import prepare
from lengthwise.errors import FileFormatError, InputError, LengthwiseError

OWN = "own-openvino-cpu"


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a machine without local copies and with an empty cache."""
    monkeypatch.delenv("LENGTHWISE_DATA", raising=False)
    monkeypatch.setattr(datasets, "_cache_root", lambda: tmp_path / "cache")
    return tmp_path


def test_every_entry_says_what_where_from_and_under_which_licence() -> None:
    for name, info in registry.registry().items():
        assert info.name == name
        assert info.licence
        assert info.citation
        assert info.measured
        for file in info.files:
            assert len(file.sha256) == 64
            assert info.ships or bool(file.commit) != bool(file.not_upstream), file.path


def test_addresses_are_pinned_to_a_commit() -> None:
    for info in registry.registry().values():
        for file in info.files:
            if file.commit:
                assert f"/{file.commit}/" in info.url(file)
                assert "/main/" not in info.url(file)
                assert "/master/" not in info.url(file)


@pytest.mark.data
@pytest.mark.parametrize("name", [n for n in datasets.names() if not n.startswith("own-")])
def test_local_files_have_the_registered_bytes(needs_data: Path, name: str) -> None:
    info = datasets.describe(name)
    for file in info.files:
        content = (needs_data / info.folder / file.path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.sha256
        assert len(content) == file.size_bytes
    assert datasets.fetch(name) == needs_data / info.folder


@pytest.mark.data
@pytest.mark.parametrize(
    "name", [n for n in datasets.names() if datasets.describe(n).kind in ("steps", "requests")]
)
def test_tables_have_the_registered_rows_and_a_source(needs_data: Path, name: str) -> None:
    table = datasets.table(name)
    assert len(table) == datasets.describe(name).rows
    assert table["source"].notna().all()
    assert set(table["phase"]) <= {"prefill", "decode", "mixed", "request"}
    wanted = {"prefill": "isl", "decode": "context_len"}
    for phase, column in wanted.items():
        rows = table[table["phase"] == phase]
        assert rows.empty or (rows[[column, "latency_ms"]] > 0).all(axis=None)


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    ["splitwise", "edgereasoning", "llamacpp_benches", "ibm_llm_pilot", "ibm_llm_pilot_tokens",
     "argonne", "aiconfigurator", "hat", "ik_llama_sweep_bench", "ds4_speed_bench", "minference",
     "krisdcosta_edge", "turboquant_plus"],
)  # fmt: skip
def test_tables_keep_every_rule_of_the_measurement_table(needs_data: Path, name: str) -> None:
    assert len(prepare(datasets.table(name))) == datasets.describe(name).rows


@pytest.mark.parametrize("name", [n for n in datasets.names() if n.startswith("own-")])
def test_own_measurements_need_no_environment(nowhere: Path, name: str) -> None:
    table = datasets.table(name)
    assert len(prepare(table)) == datasets.describe(name).rows
    assert datasets.available(name)


def test_unknown_name_lists_close_ones() -> None:
    with pytest.raises(InputError, match="splitwise") as caught:
        datasets.describe("splitwize")
    assert caught.value.exit_code == 2


def test_converted_data_say_that_only_a_local_copy_helps(nowhere: Path) -> None:
    assert not datasets.available("splitwise")
    with pytest.raises(InputError, match=r"set LENGTHWISE_DATA .* github.com/Mutinifni") as caught:
        datasets.fetch("splitwise")
    assert "perf_model.csv differs from what is published (the upstream file" in str(caught.value)


def test_environment_variable_must_name_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LENGTHWISE_DATA", str(tmp_path / "absent"))
    with pytest.raises(InputError, match="LENGTHWISE_DATA must name a folder"):
        datasets.fetch("hat")


def test_a_changed_local_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "splitwise").mkdir()
    (tmp_path / "splitwise" / "perf_model.csv").write_text("model\n")
    monkeypatch.setenv("LENGTHWISE_DATA", str(tmp_path))
    with pytest.raises(FileFormatError, match=r"SHA-256 .* Remedy"):
        datasets.table("splitwise")


@pytest.mark.parametrize(
    ("name", "words"),
    [("distserve", "coefficients"), ("mooncake", "without latencies"), ("azure_traces", "fetch")],
)
def test_what_is_no_measurement_says_what_it_is(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        datasets.table(name)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Serve a folder over HTTP on this machine."""
    folder = tmp_path / "served"
    folder.mkdir()
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *a: None})
    handler = partial(quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def _one_file(monkeypatch: pytest.MonkeyPatch, address: str, content: bytes) -> None:
    file = registry.DatasetFile(
        "part/x.csv", hashlib.sha256(content).hexdigest(), len(content), "x.csv", "abc"
    )
    info = registry.DatasetInfo(
        "toy", "toy", "Toy", "nothing", "MIT", "a/b", "abc", "none", "steps", 1, (file,)
    )
    monkeypatch.setattr(datasets, "registry", lambda: {"toy": info})
    monkeypatch.setattr(registry.DatasetInfo, "url", lambda self, f: f"{address}/{f.upstream}")


def test_a_missing_dataset_is_downloaded_once(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, server: tuple[Path, str]
) -> None:
    folder, address = server
    (folder / "x.csv").write_bytes(b"isl\n1\n")
    _one_file(monkeypatch, address, b"isl\n1\n")
    assert (datasets.fetch("toy") / "part" / "x.csv").read_bytes() == b"isl\n1\n"
    (folder / "x.csv").unlink()
    assert datasets.fetch("toy") == nowhere / "cache" / "toy"


def test_a_download_with_other_bytes_is_refused(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, server: tuple[Path, str]
) -> None:
    folder, address = server
    (folder / "x.csv").write_bytes(b"isl\n2\n")
    _one_file(monkeypatch, address, b"isl\n1\n")
    with pytest.raises(LengthwiseError, match="must download with SHA-256"):
        datasets.fetch("toy")
    assert not datasets.available("toy")


def test_an_unreachable_address_is_an_error_with_a_remedy(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, server: tuple[Path, str]
) -> None:
    _, address = server
    _one_file(monkeypatch, address, b"isl\n1\n")
    with pytest.raises(LengthwiseError, match="check the connection"):
        datasets.fetch("toy")
