"""The Kubernetes manifests and the values for llm-d's chart: valid, restricted, as contracted."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("yaml")

from reading import (
    DEPLOY,
    MANIFESTS,
    PATCH,
    VALUES,
    containers,
    documents,
    environment,
    predictor,
)

from lengthwise.interfaces.service import environment as service_environment
from lengthwise.interfaces.service.settings import ServiceSettings

OURS = [(path, *pair) for path in (*MANIFESTS, PATCH) for pair in containers(path)]
CHART = {"trainingServer": ("training", 8000, "/models"),
         "predictionServers": ("prediction", 8001, "/server_models")}  # fmt: skip
CHART_SETS = {
    "training": {
        "LATENCY_TTFT_MODEL_PATH": "/models/ttft.joblib", "LATENCY_MODEL_TYPE": "xgboost",
        "LATENCY_MAX_TRAINING_DATA_SIZE_PER_BUCKET": "500", "SERVER_TYPE": "training",
        "LATENCY_RETRAINING_INTERVAL_SEC": "10", "LATENCY_MIN_SAMPLES_FOR_RETRAIN": "100",
    },
    "prediction": {
        "LOCAL_TTFT_MODEL_PATH": "/server_models/ttft.joblib", "LATENCY_MODEL_TYPE": "xgboost",
        "UVICORN_WORKERS": "28", "MODEL_SYNC_INTERVAL_SEC": "30", "SERVER_TYPE": "prediction-1",
        "PREDICT_PORT": "8001", "TRAINING_SERVER_URL": "http://localhost:8000",
    },
}  # fmt: skip
"""What the chart sets by itself; the values win over what is configurable of it."""
NOT_OURS = {"OMP_NUM_THREADS"}
"""Variables for the libraries below us."""


def named(case: tuple[Any, ...]) -> str:
    return f"{case[0].stem}-{case[1]['name']}"


def options(command: list[str]) -> dict[str, Any]:
    """What a command line of `lengthwise serve` sets."""
    assert command[:2] == ["lengthwise", "serve"]
    rest = command[2:]
    role = rest[rest.index("--role") + 1] if "--role" in rest else None
    return {"llm_d": "--llm-d" in rest or None, "role": role}


def test_files_are_tidy() -> None:
    linter = pytest.importorskip("yamllint.linter")
    config = pytest.importorskip("yamllint.config")
    rules = config.YamlLintConfig(file=str(DEPLOY / ".yamllint"))
    for path in (*MANIFESTS, PATCH, VALUES):
        assert [str(p) for p in linter.run(path.read_text(), rules, str(path))] == [], path


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.stem)
def test_manifests_fit_the_schemas_of_kubernetes(path: Path) -> None:
    schemas = pytest.importorskip("kubernetes_validate")
    for document in documents(path):
        schemas.validate(document, schemas.latest_version(), strict=True)


@pytest.fixture
def patched(tmp_path: Path) -> dict[str, Any]:
    """An endpoint picker with the patch applied the way a cluster would."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl (no cluster)")
    labels = {"app": "epp"}
    epp = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "llm-d-router-epp"},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "epp", "image": "epp:1",
                                     "env": [{"name": "KEPT", "value": "1"}]}]}}},
    }  # fmt: skip
    base = tmp_path / "epp.json"
    base.write_text(json.dumps(epp))
    done = subprocess.run(
        [kubectl, "patch", "--local", "-f", base, "--patch-file", PATCH, "-o", "json"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_patch_adds_two_sidecars_and_keeps_the_rest(patched: dict[str, Any]) -> None:
    pod = patched["spec"]["template"]["spec"]
    by_name = {c["name"]: c for c in pod["containers"]}
    assert set(by_name) == {"epp", "training-server", "prediction-server-1"}
    env = {e["name"]: e["value"] for e in by_name["epp"]["env"]}
    assert by_name["epp"]["image"] == "epp:1"
    assert env["KEPT"] == "1"
    for name, server in (
        ("PREDICTION_SERVER_URL", "prediction-server-1"),
        ("TRAINING_SERVER_URL", "training-server"),
    ):
        port = by_name[server]["ports"][0]["containerPort"]
        assert env[name] == f"http://localhost:{port}"
    schemas = pytest.importorskip("kubernetes_validate")
    schemas.validate(patched, schemas.latest_version(), strict=True)


@pytest.mark.parametrize("case", OURS, ids=named)
def test_containers_are_restricted(case: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    _, container, pod = case
    rules = {**pod.get("securityContext", {}), **container["securityContext"]}
    assert rules["runAsNonRoot"] is True
    assert rules["allowPrivilegeEscalation"] is False
    assert rules["readOnlyRootFilesystem"] is True
    assert rules["capabilities"] == {"drop": ["ALL"]}
    assert rules["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "runAsUser" not in rules  # any user id, as OpenShift gives them
    assert not container["image"].endswith((":latest", ":main"))
    assert "limits" in container["resources"]
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])


@pytest.mark.parametrize("case", OURS, ids=named)
def test_probes_ask_the_port_the_service_listens_on(
    case: tuple[Path, dict[str, Any], dict[str, Any]],
) -> None:
    path, container, _ = case
    (port,) = container["ports"]
    settings = ServiceSettings.from_environment(environment(container, path))
    assert settings.port == port["containerPort"]
    for name, asked in (
        ("startup", "/healthz"),
        ("liveness", "/healthz"),
        ("readiness", "/readyz"),
    ):
        assert container[f"{name}Probe"]["httpGet"] == {"path": asked, "port": port["name"]}


@pytest.mark.parametrize("case", OURS, ids=named)
def test_what_is_written_is_on_a_volume(
    case: tuple[Path, dict[str, Any], dict[str, Any]],
) -> None:
    path, container, pod = case
    mounts = {m["mountPath"]: m["name"] for m in container["volumeMounts"]}
    state = ServiceSettings.from_environment(environment(container, path)).state
    assert any(state.is_relative_to(mount) for mount in mounts)
    assert "/tmp" in mounts
    assert set(mounts.values()) <= {volume["name"] for volume in pod["volumes"]}


@pytest.mark.parametrize("case", OURS, ids=named)
def test_environment_is_that_of_the_service(
    case: tuple[Path, dict[str, Any], dict[str, Any]],
) -> None:
    path, container, _ = case
    env = environment(container, path)
    assert set(env) <= {*service_environment._READERS, *NOT_OURS}
    settings = ServiceSettings.from_environment(env, **options(container["command"]))
    assert settings.llm_d == (path == PATCH)
    if path == PATCH:
        role = container["name"].split("-")[0]
        assert settings.role == role
        assert settings.host == "0.0.0.0"
        assert settings.port == {"training": 8000, "prediction": 8001}[role]
        assert settings.model_type == "lightgbm"
    else:
        assert settings.tokens == {"a": "write", "b": "read"}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.stem)
def test_parts_of_a_manifest_find_each_other(path: Path) -> None:
    by_kind = {d["kind"]: d for d in documents(path)}
    deployment, service = by_kind["Deployment"]["spec"], by_kind["Service"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    assert service["selector"] == labels
    pod = deployment["template"]["spec"]
    (port,) = pod["containers"][0]["ports"]
    assert service["ports"][0]["targetPort"] == port["name"]
    assert service["ports"][0]["port"] == port["containerPort"]
    assert by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    claims = [v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"]
              if "persistentVolumeClaim" in v]  # fmt: skip
    assert claims == [d["metadata"]["name"] for d in documents(path)
                      if d["kind"] == "PersistentVolumeClaim"]  # fmt: skip


def test_only_one_pod_writes_a_state_on_a_volume() -> None:
    spec = next(d for d in documents(MANIFESTS[0]) if d["kind"] == "Deployment")["spec"]
    several = next(d for d in documents(MANIFESTS[1]) if d["kind"] == "Deployment")["spec"]
    if spec["replicas"] != 1:
        spec, several = several, spec
    assert spec["strategy"] == {"type": "Recreate"}
    env = {e["name"] for e in several["template"]["spec"]["containers"][0]["env"]}
    assert several["replicas"] > 1
    assert "LENGTHWISE_DATABASE" in env


@pytest.mark.parametrize("server", CHART)
def test_values_are_of_the_chart_and_of_the_service(server: str) -> None:
    role, port, models = CHART[server]
    values = predictor()[server]
    known = {"image", "port", "command", "args", "resources", "securityContext", "livenessProbe",
             "readinessProbe", "volumeSize", "config", "count", "startPort"}  # fmt: skip
    assert set(values) <= known
    assert set(values["image"]) == {"registry", "repository", "tag", "pullPolicy"}
    assert values.get("port", values.get("startPort")) == port
    config = values["config"]
    assert all(isinstance(v, str) for v in config.values())  # a ConfigMap holds text
    assert set(config) <= {*service_environment._READERS, *NOT_OURS}
    env = {**CHART_SETS[role], **config}
    by_image_command = ServiceSettings.from_environment(env, llm_d=True)
    by_command = ServiceSettings.from_environment(env, **options(values["command"]))
    assert by_image_command == by_command
    assert by_command.role == role
    assert by_command.port == port
    assert by_command.state == Path(models)
    assert by_command.host == "0.0.0.0"
    assert by_command.objective == "mean"
    assert values["securityContext"]["runAsNonRoot"] is True
    assert values["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert values["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_values_switch_the_predictor_on_for_the_router() -> None:
    values = predictor()
    assert values["enabled"] is True
    assert values["predictionServers"]["count"] >= 1
    assert all(isinstance(v, str) for v in values["eppEnv"].values())
    bulk = int(values["eppEnv"]["LATENCY_MAX_SAMPLE_SIZE"])
    assert bulk <= ServiceSettings(state=Path("s")).max_rows
