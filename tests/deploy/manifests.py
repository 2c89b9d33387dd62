"""The objects of deploy/, read for tests; what must be true of them stands in the tests.

Tests of the engine take its rights from here: `role_rules` is the one place that knows the Role.
"""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FIELDS = {
    "metadata.namespace": "keptn",
    "metadata.name": "firstmate-5d8f7c9b6-x2x7k",
    "spec.nodeName": "node",
}
"""What the downward API would fill in."""

FILES = ("service.yaml", "configuration.yaml", "jobs-namespace.yaml")


def documents(file: str = "service.yaml") -> list[Object]:
    """All objects of a file, in its order; who asks may change them."""
    return deepcopy(_parsed(file))


@cache
def _parsed(file: str) -> list[Object]:
    return list(yaml.safe_load_all((DEPLOY / file).read_text()))


def find(kind: str, name: str = "firstmate", file: str = "service.yaml") -> Object:
    """The one object of a kind and name."""
    (found,) = [
        one for one in documents(file) if (one["kind"], one["metadata"]["name"]) == (kind, name)
    ]
    return found


def role_rules(file: str = "service.yaml") -> list[Object]:
    """What the service may do in a namespace of jobs."""
    rules: list[Object] = find("Role", file=file)["rules"]
    return rules


def pod() -> Object:
    """The specification of the service's pod."""
    spec: Object = find("Deployment")["spec"]["template"]["spec"]
    return spec


def container(name: str = "firstmate") -> Object:
    """One container of that pod."""
    (found,) = [one for one in pod()["containers"] if one["name"] == name]
    return dict(found)


def environment(name: str) -> dict[str, str]:
    """A container's variables, as they would be in a pod."""
    return {
        one["name"]: one.get("value") or FIELDS[one["valueFrom"]["fieldRef"]["fieldPath"]]
        for one in container(name)["env"]
    }


def mounts(name: str = "firstmate") -> Iterator[tuple[str, Object]]:
    """Where a container has which volume."""
    volumes = {one["name"]: one for one in pod()["volumes"]}
    for mount in container(name).get("volumeMounts", []):
        yield mount["mountPath"], volumes[mount["name"]]
