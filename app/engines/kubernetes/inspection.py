"""What the engine needs of a namespace, and whether it is there: asked without changing a thing.

What to make of the answers is for whoever asks.
"""

from typing import TYPE_CHECKING

from app.engines.contract import Work
from app.engines.kubernetes import manifest
from app.engines.kubernetes.port import Kind, Rejected, Where
from app.engines.kubernetes.site import Site

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

_KINDS = {kind.rpartition("/")[2]: kind for kind in Kind}


def group(resource: str) -> str:
    """The group of the API that a resource is in."""
    return "batch" if resource == "jobs" else ""


async def is_given(cluster: "Cluster", namespace: str, right: str) -> bool | None:
    """Whether we have a right; None where the cluster does not tell, and no list does."""
    verb, _, resource = right.partition(" ")
    resource, _, part = resource.partition("/")
    asked = {"verb": verb, "group": group(resource), "resource": resource, "subresource": part}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked | {"namespace": namespace}},
    }
    try:
        reply = await cluster.create(Where(Kind.ACCESS_REVIEW, namespace), review)
    except Rejected:
        is_listed = verb == "list" and resource in _KINDS
        return await _lists(cluster, Where(_KINDS[resource], namespace)) if is_listed else None
    return bool(reply["status"]["allowed"])


async def rehearse(cluster: "Cluster", site: Site, namespace: str) -> None:
    """Have a Job like those of tasks judged by all who have a say, and not made.

    Raises:
        Rejected: in the words of the one who refuses it.
    """
    image = site.init_image or "firstmate"
    work = Work(image, (), (), {}, "", deadline=60.0, namespace=namespace)
    body = manifest.job("check", work, site)
    await cluster.create(Where(Kind.JOB, namespace), body, dryRun="All")


async def _lists(cluster: "Cluster", where: Where) -> bool:
    try:
        await anext(cluster.pages(where))
    except Rejected:
        return False
    return True
