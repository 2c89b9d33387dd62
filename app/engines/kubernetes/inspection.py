"""What the engine needs of a cluster, and whether it is there: asked without changing a thing.

What to make of the answers is for whoever asks.
"""

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from app.engines.kubernetes.port import Kind, Rejected, Where
from app.engines.kubernetes.site import Site
from app.errors import Permanent

if TYPE_CHECKING:  # who has not installed the client can still be told so
    from app.engines.kubernetes.client import Cluster

NEEDED = {
    "create jobs": "no task can be launched",
    "list jobs": "what runs is not found again after a restart",
    "watch jobs": "the end of a task is seen late",
    "delete jobs": "what timed out or was cancelled runs on",
    "list pods": "nobody can tell why a task failed or does not start",
    "watch pods": "a task that cannot start is seen late",
    "get pods/log": "answers come without output",
    "list events": "nobody can tell why a Job gets no pod",
    "create configmaps": "tasks with files cannot be launched",
    "list configmaps": "the files of old tasks stay for ever",
    "delete configmaps": "the files of old tasks stay for ever",
}
"""The rights in a namespace of Jobs, each with what comes of its absence."""

DANGEROUS = ("get secrets", "list secrets", "create pods/exec")
"""Rights that the engine never uses, and an intruder would like to."""

OWN_CONTAINER = "firstmate"
"""The name of our container in our own pod."""


def group(resource: str) -> str:
    """The group of the API that a resource is in."""
    return "batch" if resource == "jobs" else ""


async def with_image(cluster: "Cluster", site: Site) -> Site:
    """The site with our own image, which brings files to pods; if none is set, that of our pod.

    Raises:
        Permanent: our pod does not tell, or cannot be seen.
    """
    if site.init_image:
        return site
    namespace, name = site.own_pod
    where = Where(Kind.POD, namespace, fields=f"metadata.name={name}")
    pods = await cluster.all(where)
    images = {one["name"]: one["image"] for pod in pods for one in pod["spec"]["containers"]}
    if OWN_CONTAINER not in images:
        pod = f"pod {name!r} in {namespace!r} has no container {OWN_CONTAINER!r}"
        raise Permanent(f"no image that brings files: set INIT_CONTAINER_IMAGE, for {pod}")
    return replace(site, init_image=images[OWN_CONTAINER])


async def is_given(cluster: "Cluster", namespace: str, right: str) -> bool | None:
    """Whether we have a right; None where the cluster does not tell."""
    verb, _, resource = right.partition(" ")
    resource, _, part = resource.partition("/")
    asked = {"verb": verb, "group": group(resource), "resource": resource, "subresource": part}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked | {"namespace": namespace}},
    }
    with contextlib.suppress(Rejected):
        reply = await cluster.create(Where(Kind.ACCESS_REVIEW, namespace), review)
        return bool(reply["status"]["allowed"])
    return None
