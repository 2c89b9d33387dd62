"""What the double refuses: objects that no cluster would take, and calls that no Role allows."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate  # type: ignore[import-untyped]

from tests.deploy.manifests import role_rules

Object = dict[str, Any]
SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
VERSIONS = sorted(
    one.name.removeprefix("v").removesuffix("-local")
    for one in SCHEMAS.glob("v*-local")
    if int(one.name.split(".")[1]) >= 27
)

_FILES = {"Job": "job-batch-v1.json", "ConfigMap": "configmap-v1.json"}
_LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


@cache
def schema(kind: str, version: str) -> jsonschema_rs.Validator:
    """The strict schema of a kind: no unknown fields."""
    folder = SCHEMAS / f"v{version}-local-strict"
    document = json.loads((folder / _FILES[kind]).read_text())
    document |= json.loads((folder / "_definitions.json").read_text())
    text = re.sub(r'"(file:)?[^"]*_definitions.json#', '"#', json.dumps(document))
    return jsonschema_rs.validator_for(json.loads(text))


def faults(body: Object, versions: tuple[str, ...] = (VERSIONS[0], VERSIONS[-1])) -> list[str]:
    """Why a cluster would answer 422."""
    found = [
        f"{version}: {error.message}"
        for version in versions
        for error in schema(body["kind"], version).iter_errors(body)
    ]
    metadata = body["metadata"]
    if len(metadata["name"]) > 63 or not _NAME.fullmatch(metadata["name"]):
        found.append(f"metadata.name: Invalid value: {metadata['name']!r}")
    found += _label_faults(metadata)
    if body["kind"] == "Job":
        found += _pod_faults(body["spec"]["template"])
    elif sum(map(len, body.get("binaryData", {}).values())) * 3 / 4 > 1 << 20:
        found.append("data: Too long: may not be more than 1048576 bytes")
    return found


def _label_faults(metadata: Object) -> list[str]:
    return [
        f"metadata.labels: Invalid value: {value!r}"
        for value in metadata.get("labels", {}).values()
        if len(value) > 63 or not _LABEL.fullmatch(value)
    ]


def _pod_faults(template: Object) -> list[str]:
    found = _label_faults(template["metadata"])
    spec = template["spec"]
    volumes = {one["name"] for one in spec["volumes"]}
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        if not container.get("image"):
            found.append("spec.containers[0].image: Required value")
        if container.get("imagePullPolicy", "Always") not in ("Always", "Never", "IfNotPresent"):
            found.append("spec.containers[0].imagePullPolicy: Unsupported value")
        mounted = {one["name"] for one in container["volumeMounts"]}
        found += [f"volumeMounts: Not found: {name!r}" for name in mounted - volumes]
        named = [one["name"] for one in container.get("env", [])]
        found += [f"env: Invalid value: {one!r}" for one in named if not _ENV_NAME.fullmatch(one)]
    return found


class Rights:
    """What the Role allows; `without` takes verbs away."""

    def __init__(self) -> None:
        self.allowed = {
            (verb, resource)
            for rule in role_rules()
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    def without(self, verb: str, resource: str) -> None:
        """Take a right away."""
        self.allowed.remove((verb, resource))
