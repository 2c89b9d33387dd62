"""Work as a Job object: pure, for the cluster is neither asked nor told here."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from app.document.typed import Part
from app.engines.contract import MOUNT, RESULT_FILE, Work
from app.engines.kubernetes import names
from app.engines.kubernetes.port import Object
from app.engines.kubernetes.site import CONFINED, MODEST, RESTRICTED, Site
from app.jobconfig.schema import Resources, SecurityContext, Volume

PARTS = "/firstmate/files"
GRACE_SECONDS = 10
"""Between the polite end of a container and the certain one."""

BACKSTOP_SECONDS = 30
"""How long after a deadline the cluster ends the Job by itself, should nobody else have done so."""

SHORTEST_TTL, DEFAULT_TTL = 60, 21600

_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
"""What every Kubernetes takes for a variable; an event's label may be called anything."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Where a task's files are: the hash of all of them, and the ConfigMaps in their order."""

    digest: str
    config_maps: tuple[str, ...]


def job(key: str, work: Work, site: Site, parts: Parts | None = None) -> Object:
    """The Job for some work; `parts` are given when it has files."""
    task, ours = work.task, {names.KEY: key, names.MANAGED_BY: site.managed_by}
    files = {names.FILES: parts.digest[:32]} if parts else {}
    ttl = task.ttl_seconds_after_finished
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.job(key),
            "namespace": task.namespace or site.namespaces[0],
            "labels": {**site.defaults.labels, **names.labels(work.origin), **ours, **files},
            "annotations": dict(task.annotations),
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": math.ceil(max(work.deadline, 0)) + BACKSTOP_SECONDS,
            "ttlSecondsAfterFinished": DEFAULT_TTL if ttl is None else max(SHORTEST_TTL, ttl),
            "template": {
                "metadata": {
                    "labels": {**task.pod.labels, **ours, names.NETWORK: task.network},
                    "annotations": dict(task.pod.annotations),
                },
                "spec": _pod(key, work, site, parts),
            },
        },
    }


def _pod(key: str, work: Work, site: Site, parts: Parts | None) -> Object:
    task, mounts = work.task, [{"name": "job-volume", "mountPath": MOUNT}]
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "enableServiceLinks": False,
        "securityContext": _given(site.defaults.pod_security_context),
        "initContainers": [_init(work, site, parts, mounts)] if parts else [],
        "containers": [_container(names.job(key), work, site, mounts)],
        "volumes": [
            {"name": "job-volume", "emptyDir": {"sizeLimit": site.volume_size}},
            *([_projection(parts)] if parts else []),
            *({"name": f"volume-{n}", **one.source} for n, one in enumerate(task.pod.volumes)),
        ],
    }
    # A task that names an account asks for its token; whether it gets one, the account says.
    if not task.service_account or task.service_account == site.service_account:
        spec["automountServiceAccountToken"] = False
    return spec | _filled(
        serviceAccountName=task.service_account or site.service_account,
        imagePullSecrets=[{"name": name} for name in task.pod.image_pull_secrets],
        nodeSelector=dict(task.pod.node_selector),
        tolerations=[_given(one) for one in task.pod.tolerations],
        affinity=dict(task.pod.affinity),
    )


def _container(name: str, work: Work, site: Site, mounts: list[Object]) -> Object:
    task = work.task
    env = {"KEPTN_FILES_DIR": MOUNT, "KEPTN_RESULT_FILE": RESULT_FILE, **work.env}
    return {
        "name": name,
        "image": task.image,
        "env": [{"name": key, "value": text} for key, text in env.items() if _NAME.fullmatch(key)],
        "resources": _resources(task.resources or site.resources),
        "securityContext": _security(site, task.security_context),
        "volumeMounts": mounts + _mounts(task.pod.volumes),
        "terminationMessagePath": RESULT_FILE,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    } | _filled(
        command=list(task.cmd),
        args=list(task.args),
        envFrom=[{"secretRef": {"name": name}} for name in task.secrets],
        workingDir=task.working_dir,
        imagePullPolicy=task.image_pull_policy,
    )


def _init(work: Work, site: Site, parts: Parts, mounts: list[Object]) -> Object:
    """Our own program; the same user as the task's, so that the files are its own."""
    user = work.task.security_context.model_copy(update={"capabilities": None, "proc_mount": None})
    return {
        "name": "files",
        "image": site.init_image,
        "command": ["python", "-I", "-m", "app.engines.kubernetes.unpack"],
        "args": [PARTS, MOUNT, parts.digest],
        "resources": _resources(MODEST),
        "securityContext": _security(site, user, CONFINED),
        "volumeMounts": [*mounts, {"name": "files", "mountPath": PARTS, "readOnly": True}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _projection(parts: Parts) -> Object:
    """All parts below one folder, in their order."""
    sources = [
        {"configMap": {"name": name, "items": [{"key": "part", "path": f"{index:03d}"}]}}
        for index, name in enumerate(parts.config_maps)
    ]
    return {"name": "files", "projected": {"sources": sources}}


def _mounts(volumes: Iterable[Volume]) -> list[Object]:
    return [
        {"name": f"volume-{n}", "mountPath": one.mount_path, "readOnly": one.read_only}
        for n, one in enumerate(volumes)
    ]


def _security(site: Site, *own: SecurityContext) -> Object:
    """Field by field, the later before the earlier; capabilities and seccomp are one field each."""
    return reduce(or_, map(_given, (RESTRICTED, site.defaults.job_security_context, *own)))


def _given(part: Part) -> Object:
    return part.model_dump(mode="json", by_alias=True, exclude_none=True)


def _resources(resources: Resources) -> Object:
    return {
        part: {name: text for name, text in quantities.items() if text}
        for part, quantities in resources.model_dump(by_alias=True).items()
    }


def _filled(**fields: Any) -> Object:
    return {name: value for name, value in fields.items() if value}
