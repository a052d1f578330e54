"""Read what is deployed: the manifests, the patch, the values, the Dockerfile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
PATCH = DEPLOY / "llm-d" / "sidecars-patch.yaml"
VALUES = DEPLOY / "llm-d" / "values.yaml"


def documents(path: Path) -> list[dict[str, Any]]:
    """All documents of a YAML file."""
    return [d for d in yaml.safe_load_all(path.read_text(encoding="utf-8")) if d]


def predictor() -> dict[str, Any]:
    """The values of the chart that are about the latency predictor."""
    (values,) = documents(VALUES)
    found: dict[str, Any] = values["router"]["latencyPredictor"]
    return found


def containers(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Our containers of a file, each with the pod it is in."""
    for document in documents(path):
        if document["kind"] == "Deployment":
            pod = document["spec"]["template"]["spec"]
            for container in pod["containers"]:
                if "image" in container:
                    yield container, pod


def environment(container: dict[str, Any], path: Path) -> dict[str, str]:
    """Variables of a container: its own, and those of the config maps it names."""
    maps = {d["metadata"]["name"]: d["data"] for d in documents(path) if d["kind"] == "ConfigMap"}
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= maps[source["configMapRef"]["name"]]
    secret = {"LENGTHWISE_TOKENS": "a:write,b:read", "LENGTHWISE_DATABASE": "postgresql://h/d"}
    for variable in container.get("env", []):
        found[variable["name"]] = variable.get("value", secret.get(variable["name"], ""))
    return found


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile, in order, each on one line."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    pairs = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(name, rest) for name, rest in pairs]


def of(name: str) -> list[str]:
    """Arguments of the instructions of a name in the last stage."""
    all_of_them = instructions()
    last = max(i for i, (found, _) in enumerate(all_of_them) if found == "FROM")
    return [rest for found, rest in all_of_them[last:] if found == name]
