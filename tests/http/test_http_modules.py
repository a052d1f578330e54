"""`uvicorn MODULE:app` with llm-d's environment, for every module path its images use."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from http_api import Api, Server, wait_until

ROOT = Path(__file__).parents[2] / "packages" / "lengthwise-llmd" / "src"
PREDICTION = (
    "llm_d_latency_predictor.prediction_server", "prediction.prediction_server",
    "prediction_server",
)  # fmt: skip
TRAINING = (
    "llm_d_latency_predictor.training_server",
    "training.training_server",
    "training_server",
)


@pytest.fixture
def uvicorn(tmp_path: Path) -> Iterator[Callable[..., Api]]:
    running: list[subprocess.Popen[str]] = []

    def started(module: str, **env: str) -> Api:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "uvicorn", f"{module}:app", "--host", "127.0.0.1",
                 "--port", str(port), "--log-level", "warning"],
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **env},
                stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            )
        )  # fmt: skip
        api = Api(port)

        def answers() -> bool:
            try:
                return api.get("/healthz").status == 200
            except ConnectionError:
                assert running[-1].poll() is None, running[-1].communicate()[1]
                return False

        wait_until(answers)
        return api

    yield started
    for process in running:
        process.terminate()
    for process in running:
        assert "Traceback" not in process.communicate(timeout=30)[1]


def test_images_of_both_servers_work_together(uvicorn: Callable[..., Api], tmp_path: Path) -> None:
    trainer = uvicorn(
        TRAINING[1], LATENCY_TTFT_MODEL_PATH=str(tmp_path / "models" / "ttft.joblib"),
        LATENCY_MODEL_TYPE="xgboost", LATENCY_OBJECTIVE_TYPE="mean",
        LATENCY_RETRAINING_INTERVAL_SEC="1", LATENCY_MIN_SAMPLES_FOR_RETRAIN="100",
    )  # fmt: skip
    replica = uvicorn(
        PREDICTION[0], TRAINING_SERVER_URL=trainer.url, MODEL_SYNC_INTERVAL_SEC="1",
        LOCAL_TTFT_MODEL_PATH=str(tmp_path / "local" / "ttft.joblib"),
        LATENCY_MODEL_TYPE="xgboost", LATENCY_OBJECTIVE_TYPE="quantile",
        LATENCY_QUANTILE_ALPHA="0.95",
    )  # fmt: skip
    assert trainer.get("/model/download/info").json["model_type"] == "xgboost"
    status = replica.get("/status").json
    assert (status["model_type"], status["objective_type"], status["quantile"]) == (
        "xgboost", "quantile", 0.95,
    )  # fmt: skip
    wait_until(lambda: replica.get("/status").json["last_model_load"] is not None)


@pytest.mark.parametrize("module", [*PREDICTION, *TRAINING])
def test_every_module_path_holds_an_application(module: str) -> None:
    role = "prediction" if "prediction_server" in module else "training"
    code = f"import {module} as m; assert m.app._options['role'] == '{role}', m.app._options"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, timeout=60)


def test_a_wrong_environment_is_told_in_words(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "training_server:app", "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "LATENCY_QUANTILE_ALPHA": "90"},
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode != 0
    assert "alpha must be between 0 and 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_imports_nothing_heavy(start: Callable[..., Server]) -> None:
    """And so stays small."""
    psutil = pytest.importorskip("psutil")
    server = start(llm_d=True, objective="mean")
    assert psutil.Process(server.process.pid).memory_info().rss < 150e6
    code = (
        "import sys, lengthwise.interfaces.http.app, lengthwise.interfaces.service.runtime;"
        "print([m for m in ('pandas', 'scipy', 'sklearn', 'pyarrow') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"
