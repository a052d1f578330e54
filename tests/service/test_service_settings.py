from pathlib import Path

import pytest

from lengthwise.errors import InputError
from lengthwise.interfaces.service.environment import default_state
from lengthwise.interfaces.service.limits import LIMITS
from lengthwise.interfaces.service.settings import ServiceSettings
from lengthwise.interfaces.service.tokens import read_tokens


def test_environment_of_the_chart() -> None:
    env = {
        "LATENCY_OBJECTIVE_TYPE": "quantile", "LATENCY_QUANTILE_ALPHA": "0.95",
        "LATENCY_MODEL_TYPE": "xgboost", "LATENCY_TTFT_MODEL_PATH": "/models/ttft.joblib",
        "LATENCY_RETRAINING_INTERVAL_SEC": "10", "UVICORN_WORKERS": "28",
        "PREDICT_HOST": "0.0.0.0", "PREDICT_PORT": "8003", "MODEL_SYNC_INTERVAL_SEC": "30",
        "TRAINING_SERVER_URL": "http://localhost:8000/", "LATENCY_ENSEMBLE_MODE": "false",
        "LATENCY_TTFT_SCALER_PATH": "/models/ttft_scaler.joblib",
    }  # fmt: skip
    found = ServiceSettings.from_environment(env)
    assert (found.objective, found.alpha, found.model_type) == ("quantile", 0.95, "xgboost")
    assert (found.state, found.workers, found.port) == (Path("/models"), 28, 8003)
    assert (found.sync_s, found.train_every_s, found.ensemble_mode) == (30.0, 10.0, False)
    assert found.trainer_url == "http://localhost:8000"


def test_options_win_over_the_environment() -> None:
    env = {"PREDICT_PORT": "8003", "LENGTHWISE_STATE": "/a"}
    found = ServiceSettings.from_environment(env, port=1, state=Path("/b"), host=None)
    assert (found.port, found.state, found.host) == (1, Path("/b"), "127.0.0.1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PREDICT_PORT", "http"), ("PREDICT_PORT", "70000"), ("LATENCY_QUANTILE_ALPHA", "90"),
        ("LATENCY_OBJECTIVE_TYPE", "median"), ("LATENCY_MODEL_TYPE", "forest"),
        ("LATENCY_ENSEMBLE_MODE", "maybe"), ("UVICORN_WORKERS", "0"),
        ("MODEL_SYNC_INTERVAL_SEC", "nan"), ("TRAINING_SERVER_URL", "localhost"),
        ("LENGTHWISE_ROLE", "prediction"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(InputError) as caught:
        ServiceSettings.from_environment({name: value})
    assert "Remedy" in str(caught.value)


def test_secrets_stay_out_of_messages(tmp_path: Path) -> None:
    settings = ServiceSettings(
        state=tmp_path, tokens={"topsecret": "read"}, database="postgresql://u:topsecret@h/d"
    )
    assert "topsecret" not in repr(settings)
    with pytest.raises(InputError) as caught:
        ServiceSettings.from_environment({"LENGTHWISE_TOKENS": "topsecret:admin"})
    assert "topsecret" not in str(caught.value)


def test_settings_survive_the_pipe(tmp_path: Path) -> None:
    settings = ServiceSettings(
        state=tmp_path, tokens={"a:b": "write"}, tls_cert=tmp_path / "c", tls_key=tmp_path / "k"
    )
    assert ServiceSettings.from_json(settings.to_json()) == settings


def test_tokens_with_comments_and_colons() -> None:
    assert read_tokens("# ours\na:b:read\n\nc:write", "f") == {"a:b": "read", "c": "write"}
    with pytest.raises(InputError, match="entry 1 of f"):
        read_tokens("secret", "f")


def test_a_home_we_cannot_write_to_is_not_used() -> None:
    assert default_state({"HOME": "/nowhere", "TMPDIR": "/t"}) == Path("/t/lengthwise")


@pytest.mark.parametrize("text", ["", "  ", ",", "# none", " :write", "a b:write", "\u20ac:read"])
def test_a_list_of_tokens_that_holds_none_is_an_error(text: str) -> None:
    with pytest.raises(InputError):
        ServiceSettings.from_environment({"LENGTHWISE_TOKENS": text})
    with pytest.raises(InputError):
        read_tokens(text, "--token")


def test_every_limit_is_a_setting_with_bounds(tmp_path: Path) -> None:
    plain = ServiceSettings(state=tmp_path)
    for limit in LIMITS:
        assert limit.holds(getattr(plain, limit.name))
        told = str(getattr(plain, limit.name))
        found = ServiceSettings.from_environment({limit.variable: told}, state=tmp_path)
        assert found == plain
        for wrong in ("-1", "many", "nan"):
            with pytest.raises(InputError):
                ServiceSettings.from_environment({limit.variable: wrong})


def test_addresses_are_told_without_their_secrets(tmp_path: Path) -> None:
    for url in ("http://u:hunter2@t:8000", "http://hunter2@t:8000", "http://t:8000/?k=hunter2"):
        found = ServiceSettings(state=tmp_path, role="prediction", trainer_url=url)
        assert found.trainer_place.startswith("http://t:8000")
        assert "hunter2" not in found.trainer_place + repr(found)
    with pytest.raises(InputError) as caught:
        ServiceSettings(state=tmp_path, role="prediction", trainer_url="ftp://u:hunter2@t")
    assert "hunter2" not in str(caught.value)


def test_every_limit_is_documented_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "serve.md").read_text(encoding="utf-8")
    for limit in LIMITS:
        assert f"| `{limit.variable}` |" in page
        assert limit.meaning in page
